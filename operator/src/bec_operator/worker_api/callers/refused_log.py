"""Calls that are refused, and connections that are closed, in the log: each of them once a while.

What is logged is who calls, never with what: a token is a secret.
"""

import logging
from collections.abc import Hashable

from bec_operator.worker_api.callers.rates import Rates
from bec_operator.worker_api.callers.refusals import Word
from bec_operator.worker_api.connections import Why

log = logging.getLogger(__name__)

EVERY = 60.0  # seconds between two lines about the same pod, or address
_CLOSED: dict[Why, str] = {
    "full": "as many are open as may be (BEC_OPERATOR_WORKER_CONNECTIONS)",
    "address": "it has as many as one address may (BEC_OPERATOR_WORKER_CONNECTIONS_OF_ADDRESS)",
    "slow": "no request came in time (BEC_OPERATOR_WORKER_REQUEST_SECONDS)",
}


class RefusedLog:
    """Says what was refused, about each caller once a minute at most."""

    def __init__(self) -> None:
        self._lines = Rates(1 / EVERY, 1)

    def refused(self, call: str, who: str, word: Word, now: float) -> None:
        """Tell of a call that is refused."""
        if word == "UnknownSession":
            return  # each worker gets it once after a restart of the operator, and goes on
        # Where nobody is heard it is not the fault of one.
        if self.is_due("" if word == "Unavailable" else who, now):
            log.info("the call %s of %s is refused: %s", call, who, word)

    def closed(self, why: Why, address: str, now: float) -> None:
        """Tell of a connection that is closed."""
        if self.is_due((why, "" if why == "full" else address), now):
            log.warning("a connection of address %s is closed: %s", address, _CLOSED[why])

    def is_due(self, about: Hashable, now: float) -> bool:
        """Whether there was no line about something for a minute."""
        return not self._lines.take(about, now)
