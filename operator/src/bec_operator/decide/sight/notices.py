"""What people outside the cluster are notified of: a Job ended, stalled, or has no task left."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from bec_operator.decide.sight.conditions import find
from bec_operator.decide.sight.seen import JobSeen


class NoticeKind(StrEnum):
    """What has happened to a Job."""

    COMPLETED = "completed"
    FAILED = "failed"
    STALLED = "stalled"
    IDLE = "idle"  # nothing runs, nothing could, and it has not ended


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to notify of. `job` is as it was then; `mark` tells it from others of its kind."""

    kind: NoticeKind
    job: JobSeen
    reason: str
    message: str
    moment: str  # in the form of Kubernetes' times
    mark: str

    @property
    def id(self) -> str:
        """The same for the same transition, whoever derives it and how often."""
        exact = "\n".join((self.job.uid, self.kind, self.reason, self.mark))
        return hashlib.sha256(exact.encode()).hexdigest()[:32]


_CONDITIONS = {
    "Complete": NoticeKind.COMPLETED,
    "Failed": NoticeKind.FAILED,
    "Stalled": NoticeKind.STALLED,
}


def notices(job: JobSeen) -> Iterator[Notice]:
    """Yield what the status of a Job says that is worth a notification."""
    for condition_type, kind in _CONDITIONS.items():
        said = find(job.status, condition_type)
        if said is not None and said.status == "True":
            moment = said.last_transition_time
            yield Notice(kind, job, said.reason, said.message, moment, mark=moment)


def news(before: JobSeen, after: JobSeen) -> list[Notice]:
    """Return what a Job says after a write of its status that it did not say before."""
    known = {notice.id for notice in notices(before)}
    return [notice for notice in notices(after) if notice.id not in known]


def idle(job: JobSeen, message: str, ended: int, moment: str) -> Notice:
    """Return the notice that no task of a Job is left, so many of its volumes having ended."""
    return Notice(NoticeKind.IDLE, job, "NoTasksLeft", message, moment, mark=str(ended))
