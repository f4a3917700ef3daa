"""An event loop whose time jumps: nobody waits, and everything happens at its hour.

What would run in a thread is done at once, a moment later: so a run is the same each time.
"""

import asyncio
import selectors
from collections.abc import Callable
from typing import Any

from tests.unit.decide.world import WorldClock

S3_SECONDS = 0.02  # that a call of S3 takes
_BEGINNING = 1_800_000_000.0


class _Idle(selectors.DefaultSelector):
    """Does not wait for files, of which there are none, but lets the time pass."""

    def __init__(self, waited: Callable[[float], None]) -> None:
        super().__init__()
        self._waited = waited

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "everybody waits, and nothing will ever happen"
        if timeout > 0:
            self._waited(timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop. `time` is seconds since its beginning."""

    def __init__(self) -> None:
        self._now = 0.0
        super().__init__(_Idle(self.pass_by))

    def time(self) -> float:
        return self._now

    def pass_by(self, seconds: float) -> None:
        """Let time pass, whoever is at work."""
        self._now += seconds

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Any, *args: Any
    ) -> "asyncio.Future[Any]":
        """Do what would run in a thread: computing at once, S3 in its time."""
        future = self.create_future()
        self.call_later(0.0 if executor is None else S3_SECONDS, _do, future, func, args)
        return future


def _do(future: "asyncio.Future[Any]", func: Callable[..., Any], args: tuple[Any, ...]) -> None:
    if future.cancelled():
        return
    try:
        result = func(*args)
    except Exception as error:  # noqa: BLE001 - whatever it is, the caller judges it
        future.set_exception(error)
    else:
        future.set_result(result)


class LoopClock(WorldClock):
    """The time of a loop, as the world around it tells it."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    @property
    def time(self) -> float:
        """Epoch seconds; to set it lets time pass."""
        return _BEGINNING + self._loop.time()

    @time.setter
    def time(self, now: float) -> None:
        self._loop.pass_by(now - self.time)
