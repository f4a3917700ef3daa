"""How many items, such as pages, the workers of a job get done in an hour."""

from collections import deque
from dataclasses import dataclass, field

from bec_ops.contract.protocol import Progress

WINDOW = 1800.0  # seconds over which the rate is taken
SAMPLE_EVERY = 10.0  # seconds


@dataclass(slots=True)
class Throughput:
    """Adds up what is done, and knows what it was a while ago."""

    unit: str = ""
    total: int = 0
    _at: dict[str, int] = field(default_factory=dict)  # task uid → items of its attempt so far
    _samples: deque[tuple[float, int]] = field(default_factory=deque)

    def note(self, task_uid: str, progress: Progress, now: float) -> None:
        """Take in how far the worker of a task is."""
        if not self._samples:
            self._samples.append((now, self.total))
        self.unit = progress.unit
        self._count(task_uid, progress.done)
        self._sample(now)

    def note_done(self, task_uid: str, items: int, now: float) -> None:
        """Take in that a task is done, and how many items it had; 0 where that is not told."""
        if items:
            self._count(task_uid, items)
        self._at.pop(task_uid, None)
        self._sample(now)

    def forget(self, task_uid: str) -> None:
        """Take in that the attempt at a task is over: the next one begins at nothing."""
        self._at.pop(task_uid, None)

    def per_hour(self, now: float) -> float | None:
        """Return the items an hour; None while there is nothing to tell."""
        if not self._samples:
            return None
        since, before = self._samples[0]
        if now - since < SAMPLE_EVERY or self.total == before:
            return None
        return (self.total - before) * 3600.0 / (now - since)

    def _count(self, task_uid: str, done: int) -> None:
        known = self._at.get(task_uid, 0)
        self.total += max(0, done - known)
        self._at[task_uid] = done

    def _sample(self, now: float) -> None:
        if not self._samples or now - self._samples[-1][0] >= SAMPLE_EVERY:
            self._samples.append((now, self.total))
        while len(self._samples) > 2 and now - self._samples[0][0] > WINDOW:
            self._samples.popleft()
