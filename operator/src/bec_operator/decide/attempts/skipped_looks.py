"""Attempts that just run: while nothing new is known of one, it needs no look at each pass.

Each is still looked at every few seconds, since time alone may end it. What is noted here saves
looks, and changes no decision.
"""

import operator

from bec_operator.decide.attempts.record import Basis, Cached, TaskRecord
from bec_operator.decide.sight.seen import PodSeen, TaskSeen

REST = 3.0  # seconds between two looks at an attempt that just runs


def rests(cached: Cached, basis: Basis, terms: object, now: float) -> bool:
    """Whether the same was seen of a task a moment ago, and there was nothing to do.

    `terms` is what bears on all tasks of the job alike.
    """
    if cached.rest is None:
        return False
    last, before, agreed = cached.rest
    fresh = last <= now < last + REST and terms == agreed
    return fresh and all(map(operator.is_, before, basis))


def note_rest(cached: Cached, basis: Basis, terms: object, now: float) -> None:
    """Take in that there was nothing to do."""
    cached.rest = (now, basis, terms)


def basis_of(task: TaskSeen, pod: PodSeen, record: TaskRecord) -> Basis:
    """Return all that bears on this very task that runs, beside the time."""
    return (
        task,
        pod,
        record.reading,
        record.worker,
        record.verdict,
        record.heard,
        record.probed,
        record.shown,
    )


def just_runs(task: TaskSeen, pod: PodSeen | None) -> bool:
    """Whether an attempt has its pod, whose worker has not ended."""
    return pod is not None and pod.owner_uid == task.uid and not pod.worker_ended
