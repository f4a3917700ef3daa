"""What can be done about tasks, their attempts and pods."""

from dataclasses import dataclass

from bec_operator.api.volume_task import VolumeTaskStatus
from bec_operator.decide.sight.action import Action
from bec_operator.decide.sight.failures import FailureClass
from bec_operator.decide.sight.pool_seen import PoolPod, PoolWorker
from bec_operator.decide.sight.seen import PodSeen, TaskSeen, Verdict
from bec_operator.decide.volumes.ledger import Outcome


@dataclass(frozen=True, slots=True)
class CreateTask(Action):
    """Make the VolumeTask of the volume at `index`.

    In a pool it is made for a worker, the process `worker` in `pod`, whose attempt it begins with.
    """

    ABOUT = ("index", "pod_uid")

    index: int
    pod: PoolPod | None = None
    worker: PoolWorker | None = None

    @property
    def pod_uid(self) -> str:
        """The UID of the pod of the worker; empty if it is made for none."""
        return self.pod.uid if self.pod is not None else ""


@dataclass(frozen=True, slots=True)
class CreatePod(Action):
    """Make the pod of an attempt."""

    ABOUT = ("task.uid",)

    task: TaskSeen
    attempt: int


@dataclass(frozen=True, slots=True)
class HandTask(Action):
    """Give an attempt to a worker of the pool: it is recorded before it is told."""

    ABOUT = ("task.uid", "pod.uid")

    task: TaskSeen
    attempt: int
    pod: PoolPod
    worker: PoolWorker


@dataclass(frozen=True, slots=True)
class RecordTask(Action):
    """Write the status of a VolumeTask, if it is still as we saw it.

    `gone`: it says that a pod is gone, which is worth a look of its own before it is written.
    `stalls`: what it says of the worker holds for the whole job as it is now.
    `failed` is how an attempt has failed that it is the first to tell of; `claims` that its exit
    code alone says that the job is set up wrongly. `share` is how much of the work is done, where
    the status tells the progress.
    """

    ABOUT = ("task.uid",)

    task: TaskSeen
    status: VolumeTaskStatus
    gone: bool = False
    stalls: bool = False
    failed: FailureClass | None = None
    claims: bool = False
    share: float | None = None


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
class CheckNode(Action):
    """See whether the node of a pod that does not end is lost."""

    ABOUT = ("node",)

    node: str


@dataclass(frozen=True, slots=True)
class DeletePod(Action):
    """Delete a pod of ours that nobody needs any more; by force without a word of its kubelet."""

    ABOUT = ("pod.uid",)

    pod: PodSeen
    force: bool = False


@dataclass(frozen=True, slots=True)
class StopPod(Action):
    """End an attempt: write on its pod why, then delete it, perhaps by force."""

    ABOUT = ("pod.uid",)

    pod: PodSeen
    verdict: Verdict
    force: bool = False


@dataclass(frozen=True, slots=True)
class RecordHeartbeat(Action):
    """Write on the pod when its worker last called, and how far it is."""

    ABOUT = ("pod.uid",)

    pod: PodSeen
    called: float
    message: str


@dataclass(frozen=True, slots=True)
class KeepLog(Action):
    """See that the end of what a failed attempt has printed stands beside its outputs.

    `pod` is None if it is gone.
    """

    ABOUT = ("task.uid",)

    task: TaskSeen
    attempt: int
    pod: PodSeen | None


@dataclass(frozen=True, slots=True)
class AskKubelet(Action):
    """See what the kubelet says in Events of a pod that takes long to start."""

    ABOUT = ("pod.uid",)

    task: TaskSeen
    attempt: int
    pod: PodSeen


@dataclass(frozen=True, slots=True)
class DeletePods(Action):
    """Delete pods of tasks that are over, which have ended and so go at once.

    Each task has its `lane`, in which one request follows the other.
    """

    ABOUT = ("lane",)

    pods: tuple[PodSeen, ...]
    lane: int


@dataclass(frozen=True, slots=True)
class DeleteTasks(Action):
    """Delete VolumeTasks whose ends are safe in the ledger, by lanes as well."""

    ABOUT = ("lane",)

    tasks: tuple[TaskSeen, ...]
    lane: int
