"""How far the work is, counted by the work and read by the heartbeats."""

import threading
from collections.abc import Callable

from bec_ops.contract.protocol import BIGGEST, Progress

DEFAULT_UNIT = "pages"
"""What most tasks count."""


class Meter:
    """Counts items and signs of activity, from any thread. `on_change` is told of each change.

    It counts no further than what the operator takes: a heartbeat is never refused for a number.
    """

    def __init__(self, on_change: Callable[[Progress], None] | None = None) -> None:
        self._lock = threading.Lock()
        self._on_change = on_change
        self._progress: Progress | None = None
        self._activity = 0

    @property
    def progress(self) -> Progress | None:
        """The last progress; None before anything was counted."""
        return self._progress

    @property
    def activity(self) -> int:
        """A number that grows with each sign that the work goes on."""
        return self._activity

    def start(self, total: int | None, unit: str = DEFAULT_UNIT) -> None:
        """Count anew: items of one kind, and how many there are if that is known."""
        known = None if total is None else _in_bounds(total)
        self._change(lambda _: Progress(done=0, total=known, unit=unit))

    def advance(self, items: int = 1) -> None:
        """Count items that are done."""

        def advanced(before: Progress | None) -> Progress:
            before = before or Progress(done=0, unit=DEFAULT_UNIT)
            return before.model_copy(update={"done": _in_bounds(before.done + items)})

        self._change(advanced)

    def show(self, progress: Progress) -> None:
        """Take over what another program says of its progress."""
        self._change(lambda _: progress)

    def note_activity(self) -> None:
        """Count a sign that the work goes on."""
        with self._lock:
            self._activity = _in_bounds(self._activity + 1)

    def _change(self, change: Callable[[Progress | None], Progress]) -> None:
        with self._lock:
            self._progress = progress = change(self._progress)
            self._activity = _in_bounds(self._activity + 1)
        if self._on_change is not None:
            self._on_change(progress)


def _in_bounds(number: int) -> int:
    return max(0, min(number, BIGGEST))
