"""The pool of a job as it stands: who works, who is idle, who starts, who goes."""

from collections.abc import Callable, Collection, Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from bec_operator.decide.sight.failures import FailureClass
from bec_operator.decide.sight.moments import lenient
from bec_operator.decide.sight.pool_seen import DeploymentSeen, PoolPod, PoolWorker
from bec_operator.decide.sight.seen import TaskSeen

ASKS_AGAIN = 3.0  # seconds within which a worker that waits for work asks again
SETTLED_AFTER = 5.0  # seconds that the ReplicaSet controller may take to see what we wrote
CRASHES = 3  # times that a process may end before its first volume without our saying so
_WEIGHT = 0.2  # of the latest value in a running mean


@dataclass(frozen=True, slots=True)
class Host:
    """A pod of a pool and the process in it."""

    pod: PoolPod
    worker: PoolWorker | None
    busy: bool  # an attempt is, or may be, under way in it

    @property
    def does_well(self) -> bool:
        """Whether its process works, or has come as far as to ask for work."""
        return self.busy or (self.worker is not None and self.worker.has_asked)

    def is_idle(self, now: float) -> bool:
        """Whether its process waits for work."""
        asked = self.worker.asked if self.worker is not None else None
        there = self.pod.active and self.pod.runs and not self.busy
        return there and asked is not None and now - asked < ASKS_AGAIN

    def idle_for(self, now: float) -> float:
        """Return the seconds for which it has waited."""
        since = self.worker.idle_since if self.worker is not None else None
        return now - since if since is not None else 0.0


@dataclass(slots=True)
class PoolNotes:
    """What this process remembers of a job's pool."""

    marked: dict[str, float] = field(default_factory=dict)  # uid of a pod → when its mark was seen
    ready: dict[str, float] = field(default_factory=dict)  # uid of a pod → since when it is Ready
    started: dict[str, float] = field(default_factory=dict)  # uid of a pod → when first seen
    measured: set[str] = field(default_factory=set)  # uids of pods whose worker has asked for work
    ready_seconds: float = 0.0  # that a worker takes until it asks for work; 0: not known
    task_seconds: float = 0.0  # that a task takes; 0: not known
    lowered: float | None = None  # when workers were last taken away; we may have, before we began
    began: float = 0.0  # when we first looked, if there were workers then
    well: dict[str, int] = field(default_factory=dict)  # uid of a pod → restarts until it did well
    startable: float | None = None  # since when there has been work that could start
    revision: tuple[object, str] = (None, "")  # what it was made from, and its name
    decision: str = ""
    booked: float = 0.0  # until when busy and idle time was counted

    def observe(self, hosts: Collection[Host], now: float) -> None:
        """Take in the pods as they are."""
        begins = self.lowered is None
        if self.lowered is None:
            self.lowered = self.began = now if hosts else 0.0
        for host in hosts:
            uid = host.pod.uid
            self.started.setdefault(uid, now)
            _note(self.marked, uid, now, holds=host.pod.draining)
            _note(self.ready, uid, 0.0 if begins else now, holds=host.pod.ready)
            asks = host.worker is not None and host.worker.asked is not None
            if asks and not begins and uid not in self.measured:
                self.ready_seconds = _mean(self.ready_seconds, now - self.started[uid])
            if asks or begins:  # who was there before us has started long ago
                self.measured.add(uid)
            if begins or host.does_well:
                self.well[uid] = host.pod.restarts
        there = {host.pod.uid for host in hosts}
        self.measured &= there
        books: tuple[dict[str, Any], ...] = (self.marked, self.ready, self.started, self.well)
        for book in books:
            for uid in book.keys() - there:
                del book[uid]

    def note_revision(self, basis: object, name: str) -> None:
        """Take in what the Deployment is called that is made from `basis`; "" if none can be."""
        self.revision = (basis, name)

    def note_lowered(self, now: float) -> None:
        """Take in that workers are about to be taken away."""
        self.lowered = now

    def note_decision(self, said: str) -> None:
        """Take in what was decided last, in words for people."""
        self.decision = said

    def book(self, now: float) -> float:
        """Return the seconds since this was asked last: they are to be counted now."""
        passed = max(now - self.booked, 0.0) if self.booked else 0.0
        self.booked = now
        return passed

    def crashes(self, host: Host) -> int:
        """Return how often its process has ended since it did well, or since we began."""
        return host.pod.restarts - self.well.get(host.pod.uid, 0)

    def note_startable(self, tasks: int, now: float) -> None:
        """Take in how many tasks could start."""
        if not tasks:
            self.startable = None
        elif self.startable is None:
            self.startable = now

    def note_end(self, task: TaskSeen, now: float) -> None:
        """Take in that a task is settled: how long it took in a worker of the pool."""
        attempt = task.recorded_begun
        began = lenient(attempt.start_time) if attempt is not None and attempt.session else 0.0
        if began:
            took = now - began
            self.task_seconds = _mean(self.task_seconds, max(took, 0.1))


def _note(book: dict[str, float], uid: str, now: float, *, holds: bool) -> None:
    """Note since when something holds of a pod."""
    if holds:
        book.setdefault(uid, now)
    else:
        book.pop(uid, None)


def _mean(old: float, new: float) -> float:
    return new if not old else old + _WEIGHT * (new - old)


@dataclass(frozen=True, slots=True)
class Workload:
    """What there is to do for workers, in tasks: those that could begin now, and all that could.

    `ahead` counts those too that only lack a slot: they can begin as others end.
    """

    now: int = 0
    ahead: int = 0

    def without(self, tasks: int) -> "Workload":
        """Return what is left once so many have been handed out."""
        return Workload(max(self.now - tasks, 0), max(self.ahead - tasks, 0))


@dataclass(frozen=True, slots=True)
class Pool:
    """What is seen of a job's pool. `revision` is the Deployment that it should be now, "" if none.

    `sure` says that the readings are good ones: nobody is sent away on others.
    """

    revision: str = ""
    deployments: Mapping[str, DeploymentSeen] = field(default_factory=dict)
    hosts: tuple[Host, ...] = ()
    sure: bool = True

    def of(self, deployment: str) -> list[Host]:
        """Return the hosts of one revision that its ReplicaSet counts."""
        return [h for h in self.hosts if h.pod.pool == deployment and h.pod.active]

    @property
    def busy(self) -> int:
        """How many work."""
        return sum(host.busy for host in self.hosts)

    @property
    def staying(self) -> int:
        """How many work that are not on their way out: those are neither capacity nor surplus."""
        return sum(host.busy and host.pod.active for host in self.hosts)


NO_POOL = Pool()


def hosts_of(
    pods: Iterable[PoolPod], worker_of: Callable[[str], PoolWorker | None], busy: Set[str]
) -> tuple[Host, ...]:
    """Return the hosts; `busy` are the UIDs of the pods in which attempts are under way."""
    return tuple(Host(pod, worker_of(pod.uid), pod.uid in busy) for pod in pods)


def wants_own_pod(task: TaskSeen) -> bool:
    """Whether its attempts need more memory than a worker of the pool has."""
    return FailureClass.OUT_OF_MEMORY in task.failures


def crashing(pool: Pool, notes: PoolNotes) -> list[Host]:
    """Return the workers that end again and again before their first volume, if none does well."""
    if any(host.does_well for host in pool.hosts):
        return []
    return [host for host in pool.of(pool.revision) if notes.crashes(host) >= CRASHES]


def misconfigured(pool: Pool) -> str:
    """Return what a worker said that ended before its first task, set up wrongly; "" if none."""
    for host in pool.hosts:
        ended = host.pod.ended
        if ended is None or host.pod.pool != pool.revision or ended.exit_code is None:
            continue
        failure = ended.reported
        fresh = host.worker is None or not host.worker.given
        if failure is FailureClass.MISCONFIGURED and fresh:
            return f"{ended.message or f'exit {ended.exit_code}'} ({host.pod.name})"
    return ""
