"""What the operator remembers of a job between two looks. All of it can be lost at any instant."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from bec_operator.api.job import Output
from bec_operator.api.names import task_name
from bec_operator.api.queue import Ack
from bec_operator.decide.hosts.at_fault import Hosts
from bec_operator.decide.hosts.cannot_call import CANNOT_CALL, Calling
from bec_operator.decide.hosts.pool import PoolNotes
from bec_operator.decide.memory.books import Books
from bec_operator.decide.memory.breaker import CLAIMED, TRIPPED, Breaker
from bec_operator.decide.memory.launching import Launching
from bec_operator.decide.memory.outbox import Outbox
from bec_operator.decide.memory.stored import LOST_AGAIN, Ends, Saving
from bec_operator.decide.memory.telling import Telling
from bec_operator.decide.memory.under_way import UnderWay
from bec_operator.decide.sight.conditions import find
from bec_operator.decide.sight.seen import Fact, Facts, JobSeen, TaskSeen
from bec_operator.decide.volumes.actions import Sweep
from bec_operator.decide.volumes.frontier import Frontier, VolumeState
from bec_operator.decide.volumes.gates import Gates
from bec_operator.decide.volumes.ledger import Ledger, Outcome
from bec_operator.decide.volumes.site_frontier import with_sites
from bec_operator.decide.volumes.version_search import STAND_IN
from bec_operator.decide.volumes.volume_list import Prefixes, VolumeList, joined
from bec_ops.contract.volume import Volume

MISCONFIGURED = "Misconfigured"  # the reason of a stall, as the failure class is called

Check = Literal["storage", "manifest", "template", "conflict", "sweep", "gates", "worker"]


@dataclass(slots=True)
class Memory:
    """One job. What is of its volumes stands in `books`, which are of one ledger.

    Each part has its verbs, by which it is changed. What has been found out about the job as a
    whole comes in by `learn`.
    """

    job: JobSeen
    facts: Facts = field(default_factory=Facts)
    books: Books = field(default_factory=Books)
    saving: Saving = field(default_factory=Saving)
    launching: Launching = field(default_factory=Launching)
    under_way: UnderWay = field(default_factory=UnderWay)
    breaker: Breaker = field(default_factory=Breaker)
    calling: Calling = field(default_factory=Calling)
    pool: PoolNotes = field(default_factory=PoolNotes)
    telling: Telling = field(default_factory=Telling)
    ends: Ends = field(default_factory=Ends)
    outbox: Outbox = field(default_factory=Outbox)

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

    # --- what is asked most

    @property
    def ledger(self) -> Ledger | None:
        """What became of each volume; None while that is not loaded."""
        return self.books.ledger

    @property
    def redone(self) -> int:
        """Since when everything is done again; 0 if it is not."""
        return self.ledger.redone.moment if self.ledger is not None else 0

    @property
    def output(self) -> Output:
        """The output of a job whose spec could be read."""
        assert self.job.spec is not None
        return self.job.spec.output

    @property
    def stand_in(self) -> str:
        """A version in place of one that is still to be found; empty where none is looked for."""
        spec = self.job.spec
        return STAND_IN if spec is not None and spec.volumes.versions is not None else ""

    @property
    def shares_queue(self) -> bool:
        """Whether volumes come from a queue that others take from, too: `ack: Done`."""
        queue = self.job.spec.volumes.queue if self.job.spec is not None else None
        return queue is not None and queue.ack is Ack.DONE

    def output_uri(self, index: int) -> str:
        """Return where the artefacts of the volume at `index` are."""
        return f"s3://{self.output.bucket}/{self.books.prefixes[index]}"

    @property
    def template_basis(self) -> object:
        """What the template that workers get depends on, beside the settings."""
        return self.job.generation, self.books.gates.places, self.books.hosts.of_pool

    @property
    def known_of_volumes(self) -> object:
        """What changes whenever more, or something else, is known of the volumes of this job."""
        revision = self.ledger.revision if self.ledger is not None else 0
        return self.ledger, revision, self.ends.outcomes, self.job.status.terminal

    def old_pods_until(self, index: int) -> float:
        """Return when a pod of an older task of this volume was last seen alive; 0 if none was.

        It may have left a marker, even if it was gone before the task was made.
        """
        books = self.books
        name = task_name(self.job.name, books.volumes[index]) if books.old_pods.any else ""
        blocked = books.blocked.get(index)
        return max(books.old_pods.alive_at(name), blocked.at if blocked is not None else 0.0)

    # --- what is learned

    def learn(self, check: Check, fact: Fact | None) -> None:
        """Take in what was found out about the job as a whole; None: it has to be found out."""
        setattr(self.facts, check, fact)

    def learn_template(self, basis: object, fact: Fact, revision: str = "") -> None:
        """Take in whether the template makes a pod, and what the pool that it makes is called.

        `basis` is what the template was made from: if that has changed since, it says nothing.
        """
        if self.template_basis == basis:
            self.facts.template = fact
            self.pool.note_revision(basis, revision)

    def observe_job(self, job: JobSeen) -> None:
        """Take in a newer state of the Job; a changed spec is checked again."""
        changed = job.generation != self.job.generation
        if changed:
            self.facts.template = self.facts.worker = None
            self.breaker, self.calling = Breaker(), Calling()
            self.look_at_archived()
            if self.ledger is None:
                self.facts.manifest = None
        self.job = job
        if changed and self.shares_queue:
            self._doubt_waiting()

    def _doubt_waiting(self) -> None:
        """Have the markers read of what has not begun: others may have done it meanwhile.

        While a Job is suspended, or its worker set up wrongly, it gives its messages back.
        """
        books = self.books
        books.frontier.turn(VolumeState.STARTABLE, VolumeState.UNCHECKED)
        for index, task in books.tasks.items():
            if self.ledger is not None and self.ledger.outcome(index) is Outcome.WAITING:
                books.record(task).note_not_ours()

    def note_pod_made(self, task: TaskSeen, attempt: int, now: float) -> None:
        """Take in that the pod of an attempt was made."""
        self.launching.note_pod_made()
        self.books.hosts.note_launch(now)
        self.breaker.note_probe(now)
        self.books.note_begun(task, attempt)

    def note_pod_refused(self, task: TaskSeen) -> None:
        """Take in that a pod was not made, for sure."""
        self.books.clear_doubt(task)
        self.launching.note_pod_refused()

    def look_at_archived(self) -> None:
        """Have markers that could not be read looked at again: they may be restored."""
        books = self.books
        books.markers.archived.number = books.frontier.count(VolumeState.ARCHIVED)
        books.frontier.turn(VolumeState.ARCHIVED, VolumeState.UNCHECKED)

    def note_standings(self, held: int, *, working: bool, now: float) -> None:
        """Take in how many slots are taken, and whether anything runs."""
        self.launching.note_held(held)
        self.books.eta.note(now, working=working)

    def note_status_written(self, now: float) -> None:
        """Take in that the Job's status was written."""
        self.telling.written_at = now
        self.books.throughput.note_written()

    # --- the ledger comes, changes and goes

    def load(
        self,
        volumes: Sequence[Volume],
        prefixes: Sequence[str],
        ledger: Ledger,
        now: float,
        unversioned: Sequence[int] = (),
    ) -> None:
        """Take in the frozen manifest, where its outputs are, and the stored ledger.

        `unversioned` are the volumes whose versions are still to be found.
        """
        self.forget()
        books = self.books
        books.volumes, books.prefixes, books.ledger = volumes, prefixes, ledger
        books.frontier = with_sites(Frontier(len(volumes), ledger.settled()), volumes)
        self._await_versions(unversioned)
        self.ends.note(None)
        self.facts.manifest = Fact(now)
        books.eta.begin(ledger.tried, now)
        self.telling.failures = ledger.changes

    def _await_versions(self, unversioned: Sequence[int]) -> None:
        """Let volumes wait until their versions are found."""
        for index in unversioned:
            if self.ledger is not None and self.ledger.outcome(index) is Outcome.WAITING:
                self.books.frontier[index] = VolumeState.UNVERSIONED

    def lengthen(
        self,
        added: Sequence[Volume],
        prefixes: Sequence[str],
        manifest: str,
        unversioned: Sequence[int] = (),
    ) -> None:
        """Take in the longer manifest, whose SHA-256 is `manifest`: it is stored.

        What is done of the new volumes is not known; all that was before stays where it is.
        `unversioned` are those whose versions are still to be found.
        """
        books = self.books
        assert books.ledger is not None
        books.ledger.lengthen(manifest, len(added))
        # New sequences: who works on the old ones, in a thread perhaps, is not to see them change.
        books.volumes = joined(books.volumes, added)
        books.prefixes = joined(books.prefixes, prefixes)
        books.frontier.lengthen(len(added))
        books.frontier = with_sites(books.frontier, books.volumes)
        self._await_versions(unversioned)
        books.leases.note_placed(added, len(books.volumes) - len(added))
        books.inbox.note_stored(added)
        taken = set(added) if books.added is not added else None  # else all of them are
        books.added = () if taken is None else [v for v in books.added if v not in taken]
        if self.job.status.start_time is None or self.job.status.terminal:
            self.facts.conflict = None  # who has begun already goes on, and others wait for it

    def note_versioned(
        self, versions: Mapping[int, str], volumes: VolumeList, prefixes: Prefixes
    ) -> None:
        """Take in that these versions stand in the stored manifest: what is done is to be read."""
        books = self.books
        books.volumes, books.prefixes = volumes, prefixes
        for index in versions:
            if books.frontier[index] is VolumeState.UNVERSIONED:
                books.frontier[index] = VolumeState.UNCHECKED
        if self.under_way.of(Sweep):  # which looks for their folders without a version
            books.markers.released |= versions.keys()
        else:
            books.markers.swept = min(books.markers.swept, *versions)
        books.versions.note_stored(versions.keys())
        books.gates = Gates()  # which volumes of others they wait for goes by their versions

    def forget(self) -> None:
        """Drop the ledger and all that was derived from it: somebody else wrote it, or the end.

        Workers of the pool are not replaced for that: it avoids the same nodes.
        """
        avoided = self.books.hosts.of_pool
        self.books = Books(hosts=Hosts(of_pool=avoided))
        self.launching.held = 0  # of another ledger's tasks
        self.outbox.note_read([*self.outbox.readings])
        self.facts.manifest = self.facts.conflict = self.facts.sweep = None

    def lose_ledger(self, now: float) -> None:
        """Drop the ledger that somebody else wrote, or took away; if that goes on, wait longer."""
        self.saving.note_loss(now)
        self.forget()
        self.outbox.look_again()
        if self.saving.losses:
            said = (
                "somebody else writes the ledger, a ConfigMap, again and again: another operator, "
                "or a controller that marks objects; nothing is lost, but all is read anew"
            )
            wait = min(2.0**self.saving.losses, LOST_AGAIN)
            self.facts.manifest = Fact(now + wait, "LedgerChanged", said)

    def end(self) -> None:
        """Drop all that is of no use any more: the Job has ended, and says so."""
        self.forget()
        self.breaker, self.calling, self.telling.stalls = Breaker(), Calling(), {}
        self.books.hosts = Hosts()
