"""How often an address may be wrong about a token or a secret."""

from collections.abc import Iterator
from contextlib import contextmanager

from bec_operator.worker_api.callers.rates import Rates
from bec_operator.worker_api.callers.refusals import CallRefusedError

_GUESSES = (0.2, 20)  # wrong tokens and secrets of one address: a second, and at once after a rest


class Guesses:
    """Who tries one after the other has to wait.

    Those who know theirs are served all the same: many may share an address.
    """

    def __init__(self) -> None:
        self._rates = Rates(*_GUESSES)

    @contextmanager
    def of(self, address: str, now: float) -> Iterator[None]:
        """Let an address try; raises CallRefusedError, TooMany, if it is wrong too often."""
        try:
            yield
        except CallRefusedError as refused:
            wait = self._rates.take(address, now) if refused.word == "Unauthenticated" else 0.0
            if not wait:
                raise
            said = "too many wrong tokens or secrets came from this address"
            raise CallRefusedError("TooMany", said, retry_after=wait) from refused
