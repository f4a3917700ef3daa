"""All that is remembered of the volumes of a job. It is one thing, and goes with the ledger."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from bec_operator.decide.attempts.old_pods import OldPods
from bec_operator.decide.attempts.record import NO_RECORD, TaskRecord
from bec_operator.decide.hosts.at_fault import Hosts
from bec_operator.decide.memory.eta import Eta
from bec_operator.decide.memory.marker_rounds import Markers
from bec_operator.decide.memory.throughput import Throughput
from bec_operator.decide.sight.seen import Fact, ListSeen, MarkerState, NodeSeen, Rival, TaskSeen
from bec_operator.decide.volumes.failure_report import FailureReport
from bec_operator.decide.volumes.frontier import Frontier, VolumeState
from bec_operator.decide.volumes.gates import Gates
from bec_operator.decide.volumes.inbox import Inbox
from bec_operator.decide.volumes.leases import Leases
from bec_operator.decide.volumes.ledger import Ledger
from bec_operator.decide.volumes.version_search import VersionSearch
from bec_ops.contract.volume import Volume


@dataclass(slots=True)
class Conflict:
    """Older jobs whose outputs may be in the same places."""

    rivals: tuple[Rival, ...] = ()  # those with whose outputs ours have to be compared
    compared: tuple[Rival, ...] = ()  # those with whose they were, last
    waits_since: float | None = None  # when one was first waited for that was not read yet

    def note_compared(self, rivals: tuple[Rival, ...]) -> None:
        """Take in that our outputs were compared with those of these jobs."""
        self.rivals, self.compared = (), rivals


@dataclass(slots=True)
class Books:
    """What is remembered from the load of a ledger until somebody else writes it, or the end."""

    ledger: Ledger | None = None
    volumes: Sequence[Volume] = ()
    prefixes: Sequence[str] = ()  # of the outputs of the volumes
    listed: ListSeen | None = None  # the source, since the manifest was loaded
    added: Sequence[Volume] = ()  # what is new in the source and not yet in the manifest
    inbox: Inbox = field(default_factory=Inbox)
    leases: Leases = field(default_factory=Leases)
    versions: VersionSearch = field(default_factory=VersionSearch)
    frontier: Frontier = field(default_factory=lambda: Frontier(0))
    gates: Gates = field(default_factory=Gates)
    markers: Markers = field(default_factory=Markers)
    tasks: dict[int, TaskSeen] = field(default_factory=dict)
    strays: Sequence[TaskSeen] = ()  # tasks of ours at another place of the manifest than they say
    records: dict[str, TaskRecord] = field(default_factory=dict)  # by the UID of the task
    blocked: dict[int, Fact] = field(default_factory=dict)  # volumes whose names are taken
    old_pods: OldPods = field(default_factory=OldPods)
    nodes: dict[str, NodeSeen] = field(default_factory=dict)  # of pods that do not end
    report: FailureReport = field(default_factory=FailureReport)
    throughput: Throughput = field(default_factory=Throughput)
    eta: Eta = field(default_factory=Eta)
    hosts: Hosts = field(default_factory=Hosts)
    conflict: Conflict = field(default_factory=Conflict)

    def record(self, task: TaskSeen) -> TaskRecord:
        """Return what is remembered of a task, to be added to."""
        record = self.records.get(task.uid)
        if record is None:
            record = self.records[task.uid] = TaskRecord()
        return record

    def known_of(self, task: TaskSeen) -> TaskRecord:
        """Return what is remembered of a task, for reading only."""
        return self.records.get(task.uid, NO_RECORD)

    def forget_task(self, task: TaskSeen) -> None:
        """Drop all that is remembered of a task, and of its volume without one."""
        self.records.pop(task.uid, None)
        self.markers.unread.pop(task.index, None)
        self.blocked.pop(task.index, None)

    def lay_by(self, task: TaskSeen) -> None:
        """Keep nothing of a task that is over and stays as history, as long as it does not change.

        There may be a thousand of them, and each pass would look at all.
        """
        del self.tasks[task.index]
        self.frontier[task.index] = VolumeState.SETTLED
        reading = self.known_of(task).reading
        self.forget_task(task)
        if reading is not None and reading.state is MarkerState.VALID:
            # what it has to say, should somebody change it
            self.records[task.uid] = TaskRecord(reading=reading)

    def note_begun(self, task: TaskSeen, attempt: int) -> None:
        """Take in that the pod of an attempt was made, even if it is gone before it is seen."""
        self.record(task).note_begun(attempt)
        self.blocked.pop(task.index, None)

    def clear_doubt(self, task: TaskSeen) -> None:
        """Take in that no pod of a task was made, for sure."""
        if task.uid in self.records:  # else it is gone
            self.records[task.uid].note_not_made()

    def block(self, index: int, fact: Fact) -> None:
        """Take in that somebody else has a name that a volume needs."""
        self.blocked[index] = fact

    def note_node(self, name: str, node: NodeSeen) -> None:
        """Take in what a look at the node of a pod that does not end has shown."""
        self.nodes[name] = node

    def note_list(self, listed: ListSeen, added: Sequence[Volume] | None) -> None:
        """Take in a look at the source of volumes.

        `added` is what the manifest does not have; None where that was not found out anew.
        """
        self.listed = listed
        if added is not None:
            self.added = added

    def note_messages(
        self, new: Mapping[Volume, Mapping[str, str]], known: Mapping[str, str]
    ) -> None:
        """Take in messages of a queue: receipts of those whose volumes are new, and of others."""
        fresh = [volume for volume in new if volume not in self.inbox.waiting]
        self.added = [*self.added, *fresh]
        self.inbox.note_received(new, known)

    def refuse_added(self, why: str) -> None:
        """Take in that what is new in the source cannot be taken."""
        self.added = ()
        if self.listed is not None:
            self.listed = replace(self.listed, problem=why)

    def refuse_messages(self, fact: Fact) -> None:
        """Take in that the volumes of messages cannot be taken: they go back to their queue."""
        self.added = ()
        self.inbox.waiting.clear()
        self.inbox.note_trouble(fact)
