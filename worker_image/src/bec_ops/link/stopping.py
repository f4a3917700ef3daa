"""Being told to stop: by a signal, by the operator, or by whoever sits at the keyboard."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from bec_ops.contract.errors import Interrupted
from bec_ops.contract.exit_codes import ExitCode

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stop:
    """Whether and why the work is to be given up.

    It has no lock: a signal handler may call it wherever the main thread happens to be.
    """

    def __init__(self) -> None:
        self.reason = ""
        self.seen = False  # by the work, which may then end early without having done its task
        self._listeners: list[Callable[[], None]] = []
        self._hurrying: list[Callable[[], None]] = []

    @property
    def requested(self) -> bool:
        """Whether to stop."""
        return bool(self.reason)

    def look(self) -> bool:
        """Tell the work whether to stop."""
        self.seen = self.seen or self.requested
        return self.requested

    def check(self) -> None:
        """Raise Interrupted if the work is to stop."""
        if self.look():
            raise Interrupted(self.reason)

    def request(self, reason: str) -> None:
        """Ask the work to stop; only the first reason counts."""
        if not self.reason:
            self.reason = reason
            for listener in self._listeners:
                listener()

    def on_request(self, listener: Callable[[], None]) -> None:
        """Have something called once when a stop is asked for, in whatever thread that is."""
        self._listeners.append(listener)
        if self.requested:
            listener()

    def on_hurry(self, listener: Callable[[], None]) -> None:
        """Have something called when the process is about to end, whatever is under way."""
        self._hurrying.append(listener)

    def hurry(self) -> None:
        """End at once what would outlive the process."""
        for listener in self._hurrying:
            listener()


@contextmanager
def signals_stop(stop: Stop, at_once: Callable[[], None]) -> Iterator[None]:
    """Let SIGTERM and SIGINT ask for a stop, and a second one end the process with 143 then.

    `at_once` is called before that end. Only the main thread may handle signals: elsewhere they
    do what they did.
    """
    restore = catch_signals(stop, at_once)
    try:
        yield
    finally:
        restore()


def catch_signals(stop: Stop, at_once: Callable[[], None]) -> Callable[[], None]:
    """Do as `signals_stop` does until the returned function is called."""
    if threading.current_thread() is not threading.main_thread():
        return lambda: None

    def handle(number: int, frame: FrameType | None) -> None:
        del frame
        if stop.requested and stop.reason.startswith("got "):
            at_once()
            os._exit(ExitCode.INTERRUPTED)
        stop.request(f"got {signal.Signals(number).name}")

    before = {number: signal.signal(number, handle) for number in _SIGNALS}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    return restore
