"""What people were told last of a job, beside its status: so that they are told news, not noise."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from bec_operator.api.job import JobPhase, JobStatus
from bec_operator.decide.sight.conditions import find
from bec_operator.decide.volumes.frontier import Frontier, VolumeState
from bec_operator.decide.volumes.ledger import Ledger, Outcome

FAILURES_EVERY = 30.0  # seconds, at least, between two writes of the Event `VolumesFailed`
IDLE_AFTER = 60.0  # seconds without anything to run before people are told, without a pool
STALL_AGAIN_AFTER = 600.0  # seconds before a stall that comes back is notified again


@dataclass(slots=True)
class Telling:
    """What this process has told, and since when it has had nothing to run."""

    failures: int = 0  # state of the ledger (`Ledger.changes`) that `VolumesFailed` tells
    failures_at: float = 0.0
    idle_since: float | None = None
    idle_at: int | None = None  # volumes that had ended when it was told that nothing is left
    stalls: dict[str, float] = field(default_factory=dict)  # reason → when it was notified
    written_at: float = 0.0  # when the Job's status was last written

    def note_idle(self, idle: bool, now: float) -> None:
        """Take in whether nothing runs and nothing could."""
        if not idle:
            self.idle_since = None
        elif self.idle_since is None:
            self.idle_since = now

    def failures_due(self, changes: int, now: float) -> bool:
        """Whether to tell of failures, the ledger being at `changes`."""
        return self.failures != changes and now - self.failures_at >= FAILURES_EVERY

    def idle_due(self, ended: int, after: float, now: float) -> bool:
        """Whether to tell, `after` so many seconds, that no task is left; `ended` volumes have."""
        if self.idle_since is None or self.idle_at == ended:
            return False
        return now - self.idle_since >= after

    def stall_due(self, reason: str, now: float) -> bool:
        """Whether to notify of a stall."""
        last = self.stalls.get(reason)
        return last is None or now - last >= STALL_AGAIN_AFTER

    def note_stall(self, reason: str, now: float) -> None:
        """Take in that a stall was notified."""
        self.stalls[reason] = now

    def note_failures(self, changes: int, now: float) -> None:
        """Take in that it was told how many have failed, the ledger having been at `changes`."""
        self.failures, self.failures_at = changes, now

    def note_idle_told(self, ended: int) -> None:
        """Take in that it was told that no task is left, so many volumes having ended."""
        self.idle_at = ended


def is_idle(status: JobStatus, ledger: Ledger, frontier: Frontier, tasks: Iterable[int]) -> bool:
    """Whether nothing runs and nothing could, though volumes wait and nothing is wrong.

    `tasks` are the volumes that have a VolumeTask.
    """
    stalled = find(status, "Stalled")
    if status.phase is not JobPhase.RUNNING or stalled is None or stalled.status == "True":
        return False
    if ledger.count(Outcome.WAITING) == 0:
        return False
    if any(ledger.outcome(index) is Outcome.WAITING for index in tasks):
        return False
    may_come = (
        VolumeState.UNCHECKED,
        VolumeState.READING,
        VolumeState.STARTABLE,
        VolumeState.UNVERSIONED,
    )
    return not any(frontier.count(look) for look in may_come)
