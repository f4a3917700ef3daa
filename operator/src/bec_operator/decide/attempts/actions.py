"""What can be done about a job: each action is small, and doing it twice changes nothing."""

from collections.abc import Hashable
from dataclasses import dataclass

from bec_operator.api.job import JobStatus
from bec_operator.api.volume_task import VolumeTaskStatus
from bec_operator.decide.sight.failures import FailureClass
from bec_operator.decide.sight.pool_seen import DeploymentSeen, PoolPod, PoolWorker
from bec_operator.decide.sight.seen import PodSeen, Rival, TaskSeen, Verdict
from bec_operator.decide.volumes.gate import Place
from bec_operator.decide.volumes.ledger import Outcome


@dataclass(frozen=True, slots=True)
class Action:
    """Something to do for one job. No two actions with the same key run at once."""

    @property
    def key(self) -> tuple[Hashable, ...]:
        """What the action is about."""
        return type(self).__name__, *self._about()

    def _about(self) -> tuple[Hashable, ...]:
        return ()


@dataclass(frozen=True, slots=True)
class CheckStorage(Action):
    """See whether the bucket is there, and may be listed and read."""


@dataclass(frozen=True, slots=True)
class LoadManifest(Action):
    """Read the volumes: the frozen manifest and its ledger, or else the source, and freeze it."""


@dataclass(frozen=True, slots=True)
class LookAtList(Action):
    """See whether the source of volumes has changed, and what is new in it."""


@dataclass(frozen=True, slots=True)
class CheckTemplate(Action):
    """Let the API server judge the pod of a task, without making it."""


@dataclass(frozen=True, slots=True)
class CompareOutputs(Action):
    """See whether the job writes where older ones do, whose outputs are in the same folder."""

    rivals: tuple[Rival, ...]


@dataclass(frozen=True, slots=True)
class Sweep(Action):
    """List which volumes have an output folder: the others need no look at a marker."""


@dataclass(frozen=True, slots=True)
class ReadMarker(Action):
    """Look at the marker of the volume at `index`."""

    index: int

    def _about(self) -> tuple[Hashable, ...]:
        return (self.index,)


@dataclass(frozen=True, slots=True)
class CreateTask(Action):
    """Make the VolumeTask of the volume at `index`.

    In a pool it is made for a worker, the process `worker` in `pod`, whose attempt it begins with.
    """

    index: int
    pod: PoolPod | None = None
    worker: PoolWorker | None = None

    def _about(self) -> tuple[Hashable, ...]:
        return (self.index, self.pod.uid if self.pod is not None else "")


@dataclass(frozen=True, slots=True)
class CreatePod(Action):
    """Make the pod of an attempt."""

    task: TaskSeen
    attempt: int

    def _about(self) -> tuple[Hashable, ...]:
        return (self.task.uid,)


@dataclass(frozen=True, slots=True)
class HandTask(Action):
    """Give an attempt to a worker of the pool: it is recorded before it is told."""

    task: TaskSeen
    attempt: int
    pod: PoolPod
    worker: PoolWorker

    def _about(self) -> tuple[Hashable, ...]:
        return (self.task.uid, self.pod.uid)


@dataclass(frozen=True, slots=True)
class MakePool(Action):
    """Make the Deployment of the pool as the job is now, with so many workers, and say why."""

    name: str
    replicas: int
    why: str

    def _about(self) -> tuple[Hashable, ...]:
        return (self.name,)


@dataclass(frozen=True, slots=True)
class ScalePool(Action):
    """Set the number of workers, if it is still what we saw; `why`, for people."""

    deployment: DeploymentSeen
    replicas: int
    why: str

    def _about(self) -> tuple[Hashable, ...]:
        return (self.deployment.name,)


@dataclass(frozen=True, slots=True)
class DeletePool(Action):
    """Delete a Deployment in which nobody works any more."""

    deployment: DeploymentSeen

    def _about(self) -> tuple[Hashable, ...]:
        return (self.deployment.name,)


@dataclass(frozen=True, slots=True)
class MarkWorker(Action):
    """Make a worker the first that its ReplicaSet takes away, or no longer."""

    pod: PoolPod
    draining: bool

    def _about(self) -> tuple[Hashable, ...]:
        return (self.pod.uid,)


@dataclass(frozen=True, slots=True)
class GuardWorker(Action):
    """Mark that a worker must not be evicted, as it works; or that it may be, as it does not."""

    pod: PoolPod
    guarded: bool

    def _about(self) -> tuple[Hashable, ...]:
        return (self.pod.uid, self.guarded)


@dataclass(frozen=True, slots=True)
class RecordTask(Action):
    """Write the status of a VolumeTask, if it is still as we saw it.

    `gone`: it says that a pod is gone, which is worth a look of its own before it is written.
    `stalls`: what it says of the worker holds for the whole job as it is now.
    `failed` is how an attempt has failed that it is the first to tell of; `claims` that its exit
    code alone says that the job is set up wrongly. `share` is how much of the work is done, where
    the status tells the progress.
    """

    task: TaskSeen
    status: VolumeTaskStatus
    gone: bool = False
    stalls: bool = False
    failed: FailureClass | None = None
    claims: bool = False
    share: float | None = None

    def _about(self) -> tuple[Hashable, ...]:
        return (self.task.uid,)


@dataclass(frozen=True, slots=True)
class Settle(Action):
    """Note in the ledger what became of a volume. In memory: it is safe once saved."""

    task: TaskSeen
    outcome: Outcome
    failure: FailureClass | None = None


@dataclass(frozen=True, slots=True)
class SettleUntried(Action):
    """Note in the ledger what becomes of a volume that will never start. In memory, as above."""

    index: int
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class LayBy(Action):
    """Look at a task no more that is over and stays as history. In memory."""

    task: TaskSeen


@dataclass(frozen=True, slots=True)
class SweepGate(Action):
    """Look which of the volumes that wait for it have a marker at the place of a dependency.

    `number` is the place of the dependency in the Job's spec.
    """

    number: int
    place: Place

    def _about(self) -> tuple[Hashable, ...]:
        return (self.number,)


@dataclass(frozen=True, slots=True)
class LoadEnded(Action):
    """Read what became of the volumes of this job, which has ended: others depend on it."""


@dataclass(frozen=True, slots=True)
class SaveLedger(Action):
    """Store the failure report, then the ledger, with what is new in the list of volumes."""


@dataclass(frozen=True, slots=True)
class CheckNode(Action):
    """See whether the node of a pod that does not end is lost."""

    node: str

    def _about(self) -> tuple[Hashable, ...]:
        return (self.node,)


@dataclass(frozen=True, slots=True)
class CompileReport(Action):
    """Make `report.csv` of the volumes that failed or were skipped by the ledger as it is."""


@dataclass(frozen=True, slots=True)
class TellFailures(Action):
    """Tell people by an Event how many volumes have failed, and why."""

    message: str


@dataclass(frozen=True, slots=True)
class TellIdle(Action):
    """Tell people that nothing runs and nothing could, though the job has not ended."""

    message: str


@dataclass(frozen=True, slots=True)
class DeletePod(Action):
    """Delete a pod of ours that nobody needs any more; by force without a word of its kubelet."""

    pod: PodSeen
    force: bool = False

    def _about(self) -> tuple[Hashable, ...]:
        return (self.pod.uid,)


@dataclass(frozen=True, slots=True)
class StopPod(Action):
    """End an attempt: write on its pod why, then delete it, perhaps by force."""

    pod: PodSeen
    verdict: Verdict
    force: bool = False

    def _about(self) -> tuple[Hashable, ...]:
        return (self.pod.uid,)


@dataclass(frozen=True, slots=True)
class RecordHeartbeat(Action):
    """Write on the pod when its worker last called, and how far it is."""

    pod: PodSeen
    called: float
    message: str

    def _about(self) -> tuple[Hashable, ...]:
        return (self.pod.uid,)


@dataclass(frozen=True, slots=True)
class KeepLog(Action):
    """See that the end of what a failed attempt has printed stands beside its outputs.

    `pod` is None if it is gone.
    """

    task: TaskSeen
    attempt: int
    pod: PodSeen | None

    def _about(self) -> tuple[Hashable, ...]:
        return (self.task.uid,)


@dataclass(frozen=True, slots=True)
class AskKubelet(Action):
    """See what the kubelet says in Events of a pod that takes long to start."""

    task: TaskSeen
    attempt: int
    pod: PodSeen

    def _about(self) -> tuple[Hashable, ...]:
        return (self.pod.uid,)


@dataclass(frozen=True, slots=True)
class DeletePods(Action):
    """Delete pods of tasks that are over, which have ended and so go at once.

    Each task has its `lane`, in which one request follows the other.
    """

    pods: tuple[PodSeen, ...]
    lane: int

    def _about(self) -> tuple[Hashable, ...]:
        return (self.lane,)


@dataclass(frozen=True, slots=True)
class DeleteTasks(Action):
    """Delete VolumeTasks whose ends are safe in the ledger, by lanes as well."""

    tasks: tuple[TaskSeen, ...]
    lane: int

    def _about(self) -> tuple[Hashable, ...]:
        return (self.lane,)


@dataclass(frozen=True, slots=True)
class WriteStatus(Action):
    """Write the status of the Job; tell people where phase or stall changed."""

    status: JobStatus
