"""Who tries one secret after the other has to wait ever longer."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from bec_operator.worker_api.callers.rates import Rates
from bec_operator.worker_api.callers.refusals import CallRefusedError

_GUESSES = (0.2, 20)  # wrong tokens and secrets of one address: a second, and at once after a rest

T = TypeVar("T")


class Guesses:
    """Counts wrong secrets by address; `now` is the clock."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._rates = Rates(*_GUESSES)

    async def guard(self, address: str | None, do: Callable[[], Awaitable[T]]) -> T:
        """Do what needs a secret, and raise CallRefusedError, TooMany, after many wrong ones."""
        if wait := self._rates.take(address, self._now()):
            said = "too many wrong tokens or secrets came from this address"
            raise CallRefusedError("TooMany", said, retry_after=wait)
        try:
            answer = await do()
        except CallRefusedError as refused:
            if refused.word != "Unauthenticated":
                self._rates.give_back(address)
            raise
        self._rates.give_back(address)
        return answer
