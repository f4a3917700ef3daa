"""Wrong tokens and secrets: who tries one after the other has to wait ever longer."""

from collections.abc import Iterator
from contextlib import contextmanager

from bec_operator.worker_api.callers.rates import Rates
from bec_operator.worker_api.callers.refusals import CallRefusedError

_GUESSES = (0.2, 20)  # of one address: a second, and at once after a rest


class Guesses:
    """The wrong ones, by the address that they come from."""

    def __init__(self) -> None:
        self._rates = Rates(*_GUESSES)

    @contextmanager
    def of(self, address: str, now: float) -> Iterator[None]:
        """Do in here what needs a secret; raises CallRefusedError, TooMany."""
        if wait := self._rates.take(address, now):
            said = "too many wrong tokens or secrets came from this address"
            raise CallRefusedError("TooMany", said, retry_after=wait)
        try:
            yield
        except CallRefusedError as refused:
            if refused.word != "Unauthenticated":
                self._rates.give_back(address)
            raise
        self._rates.give_back(address)
