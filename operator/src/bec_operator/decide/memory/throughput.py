"""How many items, such as pages, the workers of a job get done in an hour."""

from collections import deque
from dataclasses import dataclass, field

from bec_operator.decide.attempts.record import Counted
from bec_ops.contract.protocol import Progress

WINDOW = 1800.0  # seconds over which the rate is taken
SAMPLE_EVERY = 10.0  # seconds


@dataclass(slots=True)
class Throughput:
    """Adds up what is done, and knows what it was a while ago."""

    unit: str = ""
    total: int = 0
    written: int = 0  # what that was when the Job's status was last written
    _samples: deque[tuple[float, int]] = field(default_factory=deque)

    def note(self, counted: Counted, progress: Progress, now: float) -> None:
        """Take in how far a worker is; `counted` is what of its attempt is in the total already."""
        if not self._samples:
            self._samples.append((now, self.total))
        self.unit = progress.unit
        self._count(counted, progress.done)
        self._sample(now)

    def note_done(self, counted: Counted, items: int, now: float) -> None:
        """Take in that a task is done, and how many items it had; 0 where that is not told."""
        if items:
            self._count(counted, items)
        self._sample(now)

    def note_written(self) -> None:
        """Take in that the Job's status tells what it comes to now."""
        self.written = self.total

    def per_hour(self, now: float) -> float | None:
        """Return the items an hour; None while there is nothing to tell."""
        if not self._samples:
            return None
        since, before = self._samples[0]
        if now - since < SAMPLE_EVERY or self.total == before:
            return None
        return (self.total - before) * 3600.0 / (now - since)

    def _count(self, counted: Counted, done: int) -> None:
        self.total += max(0, done - counted.items)
        counted.items = done

    def _sample(self, now: float) -> None:
        if not self._samples or now - self._samples[-1][0] >= SAMPLE_EVERY:
            self._samples.append((now, self.total))
        while len(self._samples) > 2 and now - self._samples[0][0] > WINDOW:
            self._samples.popleft()
