"""Attempts that just run: while nothing new is known of one, it needs no look at each pass.

Each is still looked at every few seconds, since time alone may end it. What is noted here saves
looks, and changes no decision.
"""

import operator
from dataclasses import dataclass, field

from bec_operator.decide.attempts.notes import Notes
from bec_operator.decide.sight.seen import MarkerSeen, PodSeen, TaskSeen

REST = 3.0  # seconds between two looks at an attempt that just runs
_Seen = tuple[object, ...]


@dataclass(slots=True)
class Resting:
    """When a look at a task had nothing to do last, and at what, by the UID of the task.

    `terms` is what bears on all tasks of the job alike.
    """

    _looks: dict[str, tuple[float, _Seen]] = field(default_factory=dict)
    _terms: object = None

    def agree(self, terms: object) -> None:
        """Wake all tasks if what bears on them alike has changed."""
        if terms != self._terms:
            self._looks.clear()
            self._terms = terms

    def rests(self, uid: str, seen: _Seen, now: float) -> bool:
        """Whether the same was seen of a task a moment ago, and there was nothing to do."""
        last = self._looks.get(uid)
        if last is None or not last[0] <= now < last[0] + REST:
            return False
        return all(map(operator.is_, last[1], seen))

    def note(self, uid: str, seen: _Seen, now: float) -> None:
        """Take in that there was nothing to do."""
        self._looks[uid] = (now, seen)

    def forget(self, uid: str) -> None:
        """Drop a task that is gone."""
        self._looks.pop(uid, None)


def seen_of(task: TaskSeen, pod: PodSeen, reading: MarkerSeen | None, notes: Notes) -> _Seen:
    """Return all that bears on a task that runs, beside the time."""
    return task, pod, reading, notes.worker, notes.verdict, notes.heard, notes.probed, notes.told


def just_runs(task: TaskSeen, pod: PodSeen | None) -> bool:
    """Whether an attempt has its pod, whose worker has not ended."""
    return pod is not None and pod.owner_uid == task.uid and not pod.worker_ended
