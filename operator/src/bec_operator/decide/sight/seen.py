"""What is seen: lean records of pods, tasks and markers. All times are seconds of our own clock."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from bec_operator.api.job import JobSpec, JobStatus
from bec_operator.api.names import pod_name
from bec_operator.api.volume_task import Attempt, TaskPhase
from bec_operator.decide.sight.failures import FailureClass, class_of
from bec_operator.decide.sight.made import Made
from bec_ops.contract.protocol import Progress

MAX_REPEATS = 40  # attempts that were folded into one, as far as anything follows from their number


class Cut(Enum):
    """How a kubelet ended a pod as a whole, where that is nobody's disruption."""

    REFUSED = auto()  # its node did not take it
    STORAGE = auto()  # it had more on disk than its own limits allow
    DEADLINE = auto()  # it was active for longer than its activeDeadlineSeconds


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why the operator ends an attempt."""

    failure: FailureClass
    message: str


@dataclass(frozen=True, slots=True)
class PodSeen:
    """A pod of ours, reduced to what decisions need."""

    namespace: str
    name: str
    uid: str
    version: int
    job: str
    task: str
    owner_uid: str
    generation: str = ""  # of the Job that it was made from
    redo_at: int = 0  # the moment since which the Job was done again when it was made
    phase: str = "Pending"
    node: str = ""
    deleting: bool = False
    grace: float = 0.0  # seconds that it may take to end, if it is deleting
    grace_ends: float | None = None  # until when that is; of a pool's, when it began
    disrupted: bool = False  # evicted, preempted, or its node is going
    node_lost: str = ""  # why Kubernetes has ended it, if that was for its node
    cut: Cut | None = None  # how its kubelet has ended it, if it has
    worker_ended: bool = False  # container `worker` has terminated, or the whole pod has
    ended_in: str = ""  # the init container whose end this is: the worker has not begun
    exit_code: int | None = None
    reason: str = ""  # of the worker's end, such as OOMKilled
    message: str = ""  # of the worker's end
    reported: FailureClass | None = None  # what the worker itself says of its end
    called_since: float | None = None  # when we first wrote on it that the worker calls
    stopped: Verdict | None = None  # why we have ended it, if we have
    stranded: bool = False  # its node went down under it, and nobody goes on with it
    trouble: FailureClass | None = None  # what it is if it never comes to start
    waiting: str = ""  # why a container cannot start, such as ImagePullBackOff
    waiting_message: str = ""
    unschedulable: str = ""  # why no node takes it
    gated: str = ""  # what has to let it be scheduled at all
    start_time: str | None = None  # as the API server has them
    end_time: str | None = None
    seen_first: float = 0.0  # when we first saw it
    seen_free: float = 0.0  # when we first saw that nothing keeps it from being scheduled
    seen_placed: float | None = None  # when we first saw it on a node
    seen_troubled: float | None = None  # when we first saw that a container cannot start
    seen_running: float | None = None  # when we first saw the worker run
    seen_ended: float | None = None  # when we first saw its end
    seat_in: str = ""  # the pod of a pool in which the attempt runs, if it has none of its own
    lease: float = 0.0  # seconds that its silence may last, if it is a worker from elsewhere
    report: "Report | None" = None  # the word of its worker that ended an attempt in a pool
    succeeded_by_another: bool = False  # another process runs in its container

    @property
    def real_name(self) -> str:
        """The name of the pod in which it runs."""
        return self.seat_in or self.name

    @property
    def alive(self) -> bool:
        """Whether anything of it may still run."""
        return self.phase not in {"Succeeded", "Failed"}


@dataclass(frozen=True, slots=True)
class NodeSeen:
    """What the last look at a node showed, `at` that moment; nothing else said, that it is Ready.

    `down_since` is since when it has not been Ready, by the cluster's clock; `seen_down` is when
    we first saw it so. `forbidden`: we may not look.
    """

    at: float
    gone: bool = False
    down_since: float | None = None
    seen_down: float | None = None
    forbidden: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """What a worker says became of its attempt; without a failure, that its marker stands."""

    at: float
    failure: FailureClass | None = None
    message: str = ""
    exit_code: int | None = None  # of the program that the worker has run, if it passes that on


@dataclass(frozen=True, slots=True)
class WorkerSeen:
    """What a worker has told of its attempt, since this process runs."""

    pod_uid: str
    attempt: int
    called: float  # when it last called
    moved: float  # when its progress or activity last changed
    progress: Progress | None = None
    activity: int = 0
    report: Report | None = None

    def has_ended(self, attempt: int) -> bool:
        """Whether it has said how the attempt of this number ended."""
        return self.attempt == attempt and self.report is not None


@dataclass(frozen=True, slots=True)
class TaskSeen:
    """A VolumeTask, reduced to what decisions need.

    `attempt` is the number of the attempt that is under way or comes next, `pod` the name of the
    pod of that attempt.
    """

    namespace: str
    name: str
    uid: str
    version: int
    job: str
    owner_uid: str
    index: int
    phase: TaskPhase | None = None
    message: str = ""
    progress: str = ""
    attempts: tuple[Attempt, ...] = ()
    next_attempt: float = 0.0  # not to be made before
    ended_at: float = 0.0  # when it was recorded to have ended, by an operator's clock
    deleting: bool = False
    attempt: int = field(init=False, compare=False)
    pod: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        """Say once what each look at it asks for."""
        numbers = [attempt.number for attempt in self.failed]
        object.__setattr__(self, "attempt", max(numbers, default=0) + 1)
        object.__setattr__(self, "pod", pod_name(self.name, self.attempt))

    @property
    def pods(self) -> list[str]:
        """The names of the pods of its attempts, the one under way or to come included."""
        return [*(pod_name(self.name, attempt.number) for attempt in self.failed), self.pod]

    @property
    def failed(self) -> list[Attempt]:
        """The attempts that are recorded as failed."""
        return [attempt for attempt in self.attempts if attempt.failure] if self.attempts else []

    @property
    def failures(self) -> list[FailureClass]:
        """The classes of these. They say how it stands; its phase is only what somebody wrote."""
        return failures_of(self.failed)

    @property
    def recorded_begun(self) -> Attempt | None:
        """The attempt that is recorded as running, or as having ended well."""
        last = self.attempts[-1] if self.attempts else None
        return last if last is not None and not last.failure else None

    @property
    def terminal(self) -> bool:
        """Whether its own status says how it ended."""
        return self.phase in {TaskPhase.SUCCEEDED, TaskPhase.FAILED}


def failures_of(failed: Sequence[Attempt]) -> list[FailureClass]:
    """Return the classes of failed attempts, those that were folded into others included."""
    return [
        class_of(attempt.failure)
        for attempt in failed
        for _ in range(1 + min(attempt.repeats, MAX_REPEATS))
    ]


class MarkerState(Enum):
    """What a look at a success marker showed."""

    VALID = auto()
    ABSENT = auto()
    INVALID = auto()  # it stands, but says nothing that counts
    UNKNOWN = auto()  # S3 could not tell
    ARCHIVED = auto()  # it stands, and cannot be read until somebody restores it
    IMPOSSIBLE = auto()  # the store can hold no such object: there never will be one


@dataclass(frozen=True, slots=True)
class MarkerSeen:
    """The result of one look at a volume's marker, with the moment at which it was asked for."""

    state: MarkerState
    asked: float
    message: str = ""  # what it holds, or why it is not valid or not known
    items: int = 0  # that were worked on, if it is valid and says so
    log: str = ""  # key of the log under the prefix, if it is valid and says so
    written: float = 0.0  # when it was, by the worker's clock, if it is valid and says so
    made: Made | None = None  # all that it says of the work, if it is valid


@dataclass(frozen=True, slots=True)
class Fact:
    """The outcome of a check that needs the outside world: good, or a reason and a sentence."""

    at: float
    reason: str = ""
    message: str = ""

    @property
    def good(self) -> bool:
        """Whether the check went well."""
        return not self.reason


@dataclass(frozen=True, slots=True)
class Rival:
    """A job of an older right to its place, `whose` name people are told, and where it writes."""

    uid: str
    whose: str
    prefixes: Sequence[str] = field(compare=False)
    volumes: int = 0  # of which the prefixes are: a list only grows
    versions: bool = False  # theirs are found as it runs, so they count for nothing


@dataclass(frozen=True, slots=True)
class ListSeen:
    """The source of volumes, as it was last looked at."""

    at: float
    generation: int  # of the Job that named it
    settled: int  # volumes that were settled when it was looked at
    mark: str = ""  # what differs as soon as it does; empty if that is not known
    gone: int = 0  # volumes of the manifest that it no longer names
    moved: int = 0  # volumes of the manifest for which it has another site now
    problem: str = ""  # why it could not be read
    unknown: bool = False  # the problem is that S3 gave no answer


@dataclass(slots=True)
class Facts:
    """What the checks of a job showed last; None where one has not been made."""

    storage: Fact | None = None
    manifest: Fact | None = None
    template: Fact | None = None
    conflict: Fact | None = None
    sweep: Fact | None = None
    gates: Fact | None = None  # whether the jobs that it waits for are there, in no circle
    worker: Fact | None = None  # a worker that said that it is set up wrongly


@dataclass(frozen=True, slots=True)
class JobSeen:
    """A Job, as it was last observed."""

    namespace: str
    name: str
    uid: str
    version: int
    generation: int
    created: str
    spec: JobSpec | None
    problem: str = ""  # why the spec could not be read
    status: JobStatus = field(default_factory=JobStatus)
    deleting: bool = False

    @property
    def has_ended(self) -> bool:
        """Whether it has ended, and nothing that may have changed since asks for more."""
        return self.status.terminal and self.status.observed_generation == self.generation

    @property
    def job_id(self) -> str:
        """The id of the job: by default the resource's name."""
        return (self.spec.job_id if self.spec else None) or self.name
