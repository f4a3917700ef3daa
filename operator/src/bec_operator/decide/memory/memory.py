"""What the operator remembers of a job between two looks. All of it can be lost at any instant."""

from collections.abc import Hashable, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

from bec_operator.api.job import Output
from bec_operator.api.names import task_name
from bec_operator.decide.attempts.actions import Action
from bec_operator.decide.attempts.notes import Notes
from bec_operator.decide.attempts.old_pods import OldPods
from bec_operator.decide.attempts.resting import Resting
from bec_operator.decide.hosts.calling import CANNOT_CALL, Calling
from bec_operator.decide.hosts.hosts import Hosts
from bec_operator.decide.hosts.pool import PoolNotes
from bec_operator.decide.hosts.seats import Seats
from bec_operator.decide.memory.breaker import CLAIMED, TRIPPED, Breaker
from bec_operator.decide.memory.eta import Eta
from bec_operator.decide.memory.telling import Telling
from bec_operator.decide.memory.throughput import Throughput
from bec_operator.decide.sight.conditions import find
from bec_operator.decide.sight.failures import FailureClass
from bec_operator.decide.sight.seen import (
    Fact,
    Facts,
    JobSeen,
    ListSeen,
    MarkerSeen,
    MarkerState,
    NodeSeen,
    Rival,
    TaskSeen,
)
from bec_operator.decide.volumes.failure_report import FailureReport, Line
from bec_operator.decide.volumes.frontier import Frontier, Look
from bec_operator.decide.volumes.gate import Outcomes
from bec_operator.decide.volumes.gates import Gates
from bec_operator.decide.volumes.ledger import ALREADY_DONE, Ledger, Outcome
from bec_operator.decide.volumes.reasons import INTERNAL_ERROR
from bec_operator.decide.volumes.untold import PutOff, Unread
from bec_operator.decide.volumes.volume_list import joined
from bec_ops.contract.volume import Volume

FIRST_BURST = 8  # pods
MOST_UNREAD = 1000  # volumes without a task of which it is kept why their marker is unknown
READ_AGAIN, READ_AT_LAST = 2.5, 60.0  # seconds between rounds in which S3 tells of no marker
LOST_AGAIN = 60.0  # seconds
TRIED_AT_ONCE = 0.5  # seconds in which refusals are answers to one round of tries
_UNREADABLE = ("Unreadable",)  # what is said under this key of objects that cannot be read
MISCONFIGURED = "Misconfigured"  # the reason of a stall, as the failure class is called


@dataclass(slots=True)
class Memory:
    """One job: facts, manifest, ledger, and what cannot be seen twice."""

    job: JobSeen
    facts: Facts = field(default_factory=Facts)
    volumes: Sequence[Volume] = ()
    ledger: Ledger | None = None
    ledger_version: str = ""  # resourceVersion of its ConfigMap
    prefixes: Sequence[str] = ()  # of the outputs of the volumes
    listed: ListSeen | None = None  # the source, since the manifest was loaded
    added: Sequence[Volume] = ()  # what is new in the source and not yet in the manifest
    frontier: Frontier = field(default_factory=lambda: Frontier(0))
    gates: Gates = field(default_factory=Gates)
    ended: Outcomes | None = None  # of a job that has ended, while others ask for it
    ended_wanted: bool = False  # whether any do
    unreadable: Fact | None = None  # why it cannot be read
    readings: dict[int, MarkerSeen] = field(default_factory=dict)
    unread: dict[int, Unread] = field(default_factory=dict)  # markers that S3 did not tell about
    archived: PutOff = field(default_factory=PutOff)  # volumes whose marker has to be restored
    failures: dict[int, Line] = field(default_factory=dict)  # not yet reported
    report: FailureReport = field(default_factory=FailureReport)
    telling: Telling = field(default_factory=Telling)
    tasks: dict[int, TaskSeen] = field(default_factory=dict)
    lost: dict[str, float] = field(default_factory=dict)  # task uid → when its pod was missed
    born: set[str] = field(default_factory=set)  # uids of the tasks that this process made
    blocked: dict[int, Fact] = field(default_factory=dict)  # volumes whose names are taken
    nodes: dict[str, NodeSeen] = field(default_factory=dict)  # of pods that do not end
    notes: dict[str, Notes] = field(default_factory=dict)  # task uid → of its attempt
    throughput: Throughput = field(default_factory=Throughput)
    eta: Eta = field(default_factory=Eta)
    breaker: Breaker = field(default_factory=Breaker)
    pool: PoolNotes = field(default_factory=PoolNotes)
    calling: Calling = field(default_factory=Calling)
    hosts: Hosts = field(default_factory=Hosts)
    resting: Resting = field(default_factory=Resting)
    burst: int = FIRST_BURST  # pods that may be under way at once; grows as that goes well
    unsure: set[str] = field(default_factory=set)  # uids of tasks whose pod may have been made
    busy: set[tuple[Hashable, ...]] = field(default_factory=set)  # keys of the actions under way
    broken: dict[Hashable, Fact] = field(default_factory=dict)  # keys of those that hit on a fault
    rivals: tuple[Rival, ...] = ()  # older jobs whose outputs have to be compared with ours
    compared: tuple[Rival, ...] = ()  # those that were, last
    waits_since: float | None = None  # when an older job was first waited for that was not read yet
    swept: int = 0  # volumes, from the first on, whose output folders were listed
    strays: Sequence[TaskSeen] = ()  # tasks of ours at another place of the manifest than they say
    lost_at: float = 0.0  # when somebody else wrote the ledger last, and
    losses: int = 0  # how often within a short time
    refusals: int = 0  # creates in a row that were refused
    held: int = 0  # slots that were taken at the last look
    reads_from: int = 0  # where the next look at markers begins
    reads_at: float = 0.0  # before which none is made: S3 has told of none in a whole round
    rounds_lost: int = 0  # such rounds, one after the other
    reads_good: int = 0  # markers of which S3 has told in this round, and
    reads_bad: int = 0  # those of which it has not
    saved_at: float = 0.0
    written_at: float = 0.0  # when the Job's status was last written, and
    told_total: int = 0  # how many items were done then
    released: set[int] = field(default_factory=set)  # volumes whose task went before a sweep
    started: dict[str, int] = field(default_factory=dict)  # task uid → attempt whose pod was seen
    old_pods: OldPods = field(default_factory=OldPods)
    vetted: dict[str, int] = field(default_factory=dict)  # task uid → index, name checked

    def __post_init__(self) -> None:
        """Believe the Job that its workers fail: else each restart would try them all again."""
        stalled = find(self.job.status, "Stalled")
        if stalled is None or stalled.status != "True":
            return
        if stalled.observed_generation != self.job.generation:
            return
        if stalled.reason == MISCONFIGURED:
            self.facts.worker = Fact(0.0, MISCONFIGURED, stalled.message)
            self.breaker.claimed = stalled.message.startswith(CLAIMED)
        elif stalled.reason == TRIPPED:
            self.breaker.trip(0.0)
        elif stalled.reason == CANNOT_CALL:
            self.calling.believe(stalled.message)

    def under_way(self, kind: type[Action]) -> set[Hashable]:
        """Return what the actions of a kind that are under way are about."""
        return {key[1] for key in self.busy if key[0] == kind.__name__}

    def observe_job(self, job: JobSeen) -> None:
        """Take in a newer state of the Job; a changed spec is checked again."""
        if job.generation != self.job.generation:
            self.facts.template = self.facts.worker = None
            self.breaker, self.calling = Breaker(), Calling()
            self.look_at_archived()
            if self.ledger is None:
                self.facts.manifest = None
        self.job = job

    def load(
        self, volumes: Sequence[Volume], prefixes: Sequence[str], ledger: Ledger, now: float
    ) -> None:
        """Take in the frozen manifest, where its outputs are, and the stored ledger."""
        self.forget()
        self.volumes = volumes
        self.prefixes = prefixes
        self.ledger = ledger
        self.frontier = Frontier(len(volumes), ledger.settled())
        self.note_ended(None)
        self.facts.manifest = Fact(now)
        self.eta.begin(ledger.tried, now)
        self.telling.failures = ledger.changes

    @property
    def redone(self) -> int:
        """Since when everything is done again; 0 if it is not."""
        return self.ledger.redone.moment if self.ledger is not None else 0

    def turn_back(self, now: float) -> None:
        """Open again what `retryFailedAt` and `redoAt` ask for, each once.

        Whether a volume is done is then read anew; VolumeTasks from before go by themselves.
        """
        spec, ledger = self.job.spec, self.ledger
        if spec is None or ledger is None:
            return
        opened: list[int] = []
        if (retried := ledger.retried.due(spec.retry_failed_at, now)) is not None:
            ledger.retried = retried
            opened += ledger.reopen({Outcome.FAILED, Outcome.SKIPPED})
        if (redone := ledger.redone.due(spec.redo_at, now)) is not None:
            ledger.redone = redone
            opened += ledger.reopen({Outcome.SUCCEEDED, Outcome.FAILED, Outcome.SKIPPED})
            self.readings.clear()
        for index in opened:
            self.frontier[index] = Look.UNCHECKED
            if self.swept < len(self.volumes):
                self.released.add(index)
            for notes in (self.readings, self.unread, self.failures):
                notes.pop(index, None)
        if opened:
            self.breaker = Breaker()
            self.eta.begin(ledger.tried, now)
            self.old_pods.reopen()

    def lengthen(self, added: Sequence[Volume], prefixes: Sequence[str], manifest: str) -> None:
        """Take in the longer manifest, whose SHA-256 is `manifest`: it is stored.

        What is done of the new volumes is not known; all that was before stays where it is.
        """
        assert self.ledger is not None
        self.ledger.lengthen(manifest, len(added))
        # New sequences: who works on the old ones, in a thread perhaps, is not to see them change.
        self.volumes = joined(self.volumes, added)
        self.prefixes = joined(self.prefixes, prefixes)
        self.frontier.lengthen(len(added))
        taken = set(added) if self.added is not added else None  # else all of them are
        self.added = () if taken is None else [v for v in self.added if v not in taken]
        if self.job.status.start_time is None or self.job.status.terminal:
            self.facts.conflict = None  # who has begun already goes on, and others wait for it

    def output_uri(self, index: int) -> str:
        """Return where the artefacts of the volume at `index` are."""
        return f"s3://{self.output.bucket}/{self.prefixes[index]}"

    @property
    def template_basis(self) -> object:
        """What the template that workers get depends on, beside the settings."""
        return self.job.generation, self.gates.places, self.hosts.of_pool

    @property
    def output(self) -> Output:
        """The output of a job whose spec could be read."""
        assert self.job.spec is not None
        return self.job.spec.output

    def forget(self) -> None:
        """Drop the ledger and all that was derived from it: somebody else wrote it, or the end.

        Workers of the pool are not replaced for that: it avoids the same nodes.
        """
        avoided = self.hosts.of_pool
        for book in fields(self):
            if book.name not in _LASTING:
                made = book.default_factory
                setattr(self, book.name, book.default if made is MISSING else made())
        self.facts.manifest = self.facts.conflict = self.facts.sweep = None
        self.pool.seats = Seats()
        self.hosts.of_pool = avoided

    def lose_ledger(self, now: float) -> None:
        """Drop the ledger that somebody else wrote, or took away; if that goes on, wait longer."""
        self.losses = self.losses + 1 if now - self.lost_at < LOST_AGAIN else 0
        self.lost_at = now
        self.forget()
        if self.losses:
            said = (
                "somebody else writes the ledger, a ConfigMap, again and again: another operator, "
                "or a controller that marks objects; nothing is lost, but all is read anew"
            )
            wait = min(2.0**self.losses, LOST_AGAIN)
            self.facts.manifest = Fact(now + wait, "LedgerChanged", said)

    def end(self) -> None:
        """Drop all that is of no use any more: the Job has ended, and says so."""
        self.forget()
        self.breaker, self.calling, self.telling.stalls = Breaker(), Calling(), {}
        self.hosts = Hosts()

    def let_record_go(self) -> None:
        """Drop what was read of this job, which has ended, for the sake of others."""
        self.ended_wanted = False
        self.note_ended(None)

    @property
    def known_of_volumes(self) -> object:
        """What changes whenever more, or something else, is known of the volumes of this job."""
        revision = self.ledger.revision if self.ledger is not None else 0
        return self.ledger, revision, self.ended, self.job.status.terminal

    def note_ended(self, record: Outcomes | None, trouble: Fact | None = None) -> None:
        """Take in what became of the volumes of this job, which has ended: others ask for it."""
        self.ended, self.unreadable = record, trouble

    def note_unreadable(self, said: str, now: float) -> None:
        """Take in what is to be said of objects of this job that cannot be read; empty: all can."""
        if not said:
            self.broken.pop(_UNREADABLE, None)
        elif _UNREADABLE not in self.broken:
            self.broken[_UNREADABLE] = Fact(now, INTERNAL_ERROR, said)

    def note_standings(self, held: int, *, working: bool, now: float) -> None:
        """Take in how many slots are taken, and whether anything runs."""
        if held < self.held:
            self.refusals = 0  # there may be room again
        self.held = held
        self.eta.note(now, working=working)

    def lay_by(self, task: TaskSeen) -> None:
        """Keep nothing of a task that is over and stays as history, as long as it does not change.

        There may be a thousand of them, and each pass would look at all.
        """
        del self.tasks[task.index]
        self.frontier[task.index] = Look.SETTLED
        reading = self.readings.get(task.index)
        self.forget_task(task.index, task)
        if reading is not None and reading.state is MarkerState.VALID:
            self.readings[task.index] = reading  # what it has to say, should somebody change it

    def forget_task(self, index: int, task: TaskSeen) -> None:
        """Drop all that was noted of a task."""
        by_index: tuple[dict[int, Any], ...] = (self.readings, self.unread, self.blocked)
        for notes in by_index:
            notes.pop(index, None)
        by_uid: tuple[dict[str, Any], ...] = (self.started, self.vetted, self.lost, self.notes)
        for book in by_uid:
            book.pop(task.uid, None)
        self.throughput.forget(task.uid)
        self.resting.forget(task.uid)
        self.born.discard(task.uid)
        self.unsure.discard(task.uid)

    def notes_of(self, task: TaskSeen) -> Notes:
        """Return the notes on a task, to be added to."""
        return self.notes.setdefault(task.uid, Notes())

    def rivals_until(self, index: int) -> float:
        """Return when a pod of an older task of this volume was last seen alive; 0 if none was.

        It may have left a marker, even if it was gone before the task was made.
        """
        name = task_name(self.job.name, self.volumes[index]) if self.old_pods.any else ""
        blocked = self.blocked.get(index)
        return max(self.old_pods.alive_at(name), blocked.at if blocked is not None else 0.0)

    def note_begun(self, task: TaskSeen, attempt: int) -> None:
        """Take in that the pod of an attempt was made, even if it is gone before it is seen."""
        self.started[task.uid] = attempt
        self.unsure.discard(task.uid)
        self.blocked.pop(task.index, None)

    def note_refused(self, task: TaskSeen) -> None:
        """Take in that a pod was not made, for sure: the next ones are tried one by one."""
        self.unsure.discard(task.uid)
        self.burst = 1

    def note_launch_refused(self, fact: Fact) -> None:
        """Take in that a task, a pod or a Deployment was not made: the next try waits longer.

        Those that were tried at once count as one try.
        """
        before, self.facts.launch = self.facts.launch, fact
        if before is None or fact.at - before.at >= TRIED_AT_ONCE:
            self.refusals += 1

    def note_launched(self) -> None:
        """Take in that one was made."""
        self.facts.launch = None
        self.refusals = 0

    def doubt(self, task: TaskSeen) -> None:
        """Take in that a pod may have been made, and have done its work: look at the marker."""
        self.unsure.add(task.uid)
        self.born.discard(task.uid)
        self.readings.pop(task.index, None)

    def note_swept(self, candidates: frozenset[int], until: int, now: float) -> None:
        """Take in which of the volumes before `until` have an output folder.

        One without cannot be done. A volume whose task went meanwhile may have got one since the
        list was made.
        """
        self.frontier.clear(self.swept, until, candidates | self.released)
        self.swept = until
        if until == len(self.volumes):
            self.released.clear()
        self.facts.sweep = Fact(now)

    def note_reading_begun(self, index: int) -> None:
        """Take in that somebody looks at a marker, so that nobody else does."""
        if self.ledger is not None and self.frontier[index] is Look.UNCHECKED:
            self.frontier[index] = Look.READING

    def end_round(self, now: float) -> None:
        """Take in that all markers were looked at that are to be read.

        If S3 has told of none of them, the next round comes later, each time twice as late.
        """
        if self.reads_good:
            self.rounds_lost = 0
        elif self.reads_bad:
            self.rounds_lost += 1
            self.reads_at = now + min(READ_AGAIN * 2.0 ** min(self.rounds_lost, 10), READ_AT_LAST)
        self.reads_good = self.reads_bad = 0

    def look_at_archived(self) -> None:
        """Have markers that could not be read looked at again: they may be restored."""
        self.archived.number = self.frontier.count(Look.ARCHIVED)
        self.frontier.turn(Look.ARCHIVED, Look.UNCHECKED)

    def note_reading_over(self, index: int) -> None:
        """Take in that nobody looks at a marker any more, whatever came of it."""
        if self.ledger is not None and self.frontier[index] is Look.READING:
            self.frontier[index] = Look.UNCHECKED

    def note_reading(self, index: int, reading: MarkerSeen, trouble: Fact | None = None) -> None:
        """Take in a look at a marker: of a volume with a task, or of one that might be done.

        `trouble` says why it is unknown.
        """
        if self.ledger is None:
            return
        active, state = self.frontier[index] is Look.ACTIVE, reading.state
        put_off = state is MarkerState.ARCHIVED and not active
        self._note_trouble(index, None if put_off else trouble, active=active)
        if active:
            self.readings[index] = reading
        elif self.frontier[index] is Look.SETTLED:
            return
        elif state is MarkerState.VALID:
            self.ledger.settle(index, Outcome.SUCCEEDED, ALREADY_DONE)
            self.frontier[index] = Look.SETTLED
        elif state is MarkerState.IMPOSSIBLE:
            self._give_up(index, reading.message)
        elif put_off and trouble is not None:
            self.archived.note(trouble, reading.asked)
            self.frontier[index] = Look.ARCHIVED
        elif state is MarkerState.UNKNOWN:
            self.frontier[index] = Look.UNCHECKED
        else:
            self.frontier[index] = Look.STARTABLE

    def _note_trouble(self, index: int, trouble: Fact | None, *, active: bool) -> None:
        """Take in why S3 did not tell of a marker; None if it did."""
        if trouble is None:
            self.unread.pop(index, None)
        elif active or len(self.unread) < MOST_UNREAD:
            known = self.unread.get(index)
            self.unread[index] = known.again(trouble) if known is not None else Unread(trouble)
        if not active:
            self.reads_good += trouble is None
            self.reads_bad += trouble is not None

    def _give_up(self, index: int, message: str) -> None:
        """Take in that the store can hold no output of a volume: it has failed, without a task."""
        assert self.ledger is not None
        failure = FailureClass.OUTPUT_IMPOSSIBLE
        self.ledger.settle(index, Outcome.FAILED, failure)
        self.frontier[index] = Look.SETTLED
        self.failures[index] = Line.of(
            self.job.uid, index, self.volumes[index], failure.label, message, "", ()
        )


_LASTING = {
    "job",
    "facts",
    "ended",
    "ended_wanted",
    "unreadable",
    "telling",
    "breaker",
    "pool",
    "calling",
    "burst",
    "busy",
    "broken",
    "refusals",
    "lost_at",
    "losses",
    "saved_at",
    "ledger_version",
    "written_at",
}
"""What is kept when the ledger goes; all other books are of its volumes."""
