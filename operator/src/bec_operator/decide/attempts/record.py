"""All that is remembered of one task, beside what is seen of it. Forgetting it is one `pop`."""

from dataclasses import dataclass, field

from bec_operator.decide.hosts.seats import Seating
from bec_operator.decide.sight.seen import Fact, MarkerSeen, PodSeen, Verdict, WorkerSeen

Basis = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """What a VolumeTask was last made to say of its progress."""

    at: float
    share: float  # of the work that was done


@dataclass(slots=True)
class Counted:
    """How many items of the attempt that is under way are in the job's rate already."""

    items: int = 0


@dataclass(slots=True)
class Cached:
    """What saves looks. It can be dropped at any time, and nothing comes out otherwise.

    `vetted` is the place in the manifest at which the task's name was checked; `rest` is when a
    look at it had nothing to do last, at what, and under which terms of the job.
    """

    vetted: int | None = None
    rest: tuple[float, Basis, object] | None = None


@dataclass(slots=True)
class TaskRecord:
    """What is remembered of a task. What is of one attempt stands beside the number of that."""

    own: bool = False  # this process made it, so its marker was looked at before
    begun: int = 0  # the attempt whose pod was made, or seen
    unsure: bool = False  # a pod may have been made: its slot is taken
    maybe_given: bool = False  # to a worker from elsewhere: nobody knows before it is looked at
    missed: float | None = None  # when the pod of its attempt was first missed
    reading: MarkerSeen | None = None  # the last look at its marker
    worker: WorkerSeen | None = None
    verdict: tuple[int, Verdict] | None = None  # why we have ended it
    log: tuple[int, str] | None = None  # where its log is, or why it is lost
    heard: tuple[int, Fact] | None = None  # what the kubelet says of its start, if anything
    probed: float = 0.0  # when a heartbeat was last written on the pod
    shown: Shown | None = None
    seating: Seating = field(default_factory=Seating)
    counted: Counted = field(default_factory=Counted)
    cached: Cached = field(default_factory=Cached)

    def note_made(self) -> None:
        """Take in that this process has made it."""
        self.own = True

    def note_begun(self, attempt: int) -> None:
        """Take in that the pod of an attempt was made, even if it is gone before it is seen."""
        self.begun, self.unsure = attempt, False

    def note_pod(self, attempt: int, pod: PodSeen) -> None:
        """Take in that the pod of an attempt is there."""
        self.begun, self.unsure, self.missed = attempt, False, None
        if pod.stopped is not None:
            self.verdict = (attempt, pod.stopped)

    def note_no_pod(self, attempt: int, now: float, *, recorded: bool) -> None:
        """Take in that there is none; `recorded`: the task says that it has begun."""
        if self.begun != attempt and not recorded:
            self.missed = None
        elif self.missed is None:
            self.missed = now

    def note_not_made(self) -> None:
        """Take in that a pod was not made, for sure."""
        self.unsure = False

    def doubt(self) -> None:
        """Take in that a pod may have been made, and have done its work: look at the marker."""
        self.unsure, self.own, self.reading = True, False, None

    def note_not_ours(self) -> None:
        """Take in that somebody else may have done the volume: look at the marker first."""
        self.own, self.reading = False, None

    def note_giving(self, *, sure: bool) -> None:
        """Take in that it is being given to a worker from elsewhere, or what became of that."""
        self.maybe_given = not sure

    def note_worker(self, worker: WorkerSeen) -> None:
        """Take in what its worker has told; another worker begins at nothing."""
        if self.worker is not None and self.worker.pod_uid != worker.pod_uid:
            self.counted = Counted()
        self.worker = worker

    def note_verdict(self, attempt: int, verdict: Verdict) -> None:
        """Take in why we have ended an attempt."""
        self.verdict = (attempt, verdict)

    def note_log(self, attempt: int, kept: str) -> None:
        """Take in where the log of an attempt is, or why it is lost."""
        self.log = (attempt, kept)

    def note_heard(self, attempt: int, heard: Fact) -> None:
        """Take in what the kubelet says of the start of an attempt."""
        self.heard = (attempt, heard)

    def note_probe(self, now: float) -> None:
        """Take in that a heartbeat was written on its pod."""
        self.probed = now

    def note_shown(self, now: float, share: float) -> None:
        """Take in what its VolumeTask says of the progress."""
        self.shown = Shown(now, share)


NO_RECORD = TaskRecord()
"""Of a task of which nothing is remembered: for reading only."""
