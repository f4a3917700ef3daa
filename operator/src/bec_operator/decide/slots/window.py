"""The window: where the unsettled tasks of a job stand, and how many more may be launched."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

from bec_operator.api.base import seconds
from bec_operator.api.job import JobSpec
from bec_operator.api.retry import Backoff
from bec_operator.decide.attempts.actions import CreatePod, CreateTask, HandTask
from bec_operator.decide.attempts.backoff import JITTER
from bec_operator.decide.attempts.task import is_blocked
from bec_operator.decide.attempts.view import Limits
from bec_operator.decide.hosts.pool import NO_POOL, Host, Pool, Work, wants_own_pod
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.failures import is_final
from bec_operator.decide.sight.seen import PodSeen, TaskSeen
from bec_operator.decide.slots.pairing import pair
from bec_operator.decide.slots.shares import Demand
from bec_operator.decide.volumes.frontier import Look
from bec_operator.decide.volumes.ledger import Outcome

MAX_RETRYING = 500  # tasks that wait for their next attempt; past it no new ones are made
MAX_ENDED = 500  # tasks that have ended and are still there, beside those that the history keeps
LAUNCHES_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Standings:
    """The unsettled tasks of a job, by where they stand.

    `held` is how many slots are taken: by tasks that run, by pods that are being made, or may have
    been, and by pods of whatever other task or attempt until they are gone. `owners` are the UIDs
    of the tasks that have such pods: one that waits for its next attempt waits for their end, too.
    """

    queued: list[TaskSeen] = field(default_factory=list)  # no attempt yet
    running: list[TaskSeen] = field(default_factory=list)  # or has run, and is not yet settled
    retrying: list[TaskSeen] = field(default_factory=list)  # wait for the next attempt
    held: int = 0
    owners: frozenset[str] = frozenset()

    @property
    def active(self) -> int:
        """Tasks that are not settled."""
        return len(self.queued) + len(self.running) + len(self.retrying)

    @classmethod
    def of(cls, memory: Memory, pods: Mapping[str, PodSeen]) -> "Standings":
        """Sort the tasks in `memory`."""
        spec, ledger = memory.job.spec, memory.ledger
        if spec is None or ledger is None:
            # Nothing is known of its tasks yet, or any more; its pods are there all the same.
            return cls(held=sum(pod.alive for pod in pods.values()))
        budget = Limits.of(spec.timeouts, spec.retry).budget
        making = memory.under_way(CreatePod) | memory.under_way(HandTask)
        found, current, unseen = cls(), 0, 0
        for index, task in memory.tasks.items():
            if ledger.outcome(index) is not Outcome.WAITING:
                continue
            pod = pods.get(task.pod)
            mine = pod is not None and pod.owner_uid == task.uid
            current += mine and pod is not None and pod.alive
            unseen += not mine and (task.uid in making or task.uid in memory.unsure)
            if mine or task.uid in memory.lost or is_final(task.failures, budget):
                found.running.append(task)
            elif task.failed:
                found.retrying.append(task)
            else:
                found.queued.append(task)
        unseen += len(_made_anew(memory, for_workers=True))
        others = sum(pod.alive for pod in pods.values()) - current
        held = len(found.running) + others + unseen
        owners = frozenset(pod.owner_uid for pod in pods.values() if pod.alive)
        return cls(found.queued, found.running, found.retrying, held, owners)


def is_due(task: TaskSeen, backoff: Backoff, now: float) -> bool:
    """Whether the back-off of a task is over.

    A moment that lies further ahead than any back-off does was told by another clock.
    """
    longest = seconds(backoff.max) * (1 + JITTER) + 1.0  # moments are kept to the second
    return not now < task.next_attempt <= now + longest


def demand(
    memory: Memory, standings: Standings, now: float, pool: Pool = NO_POOL, *, launch: bool
) -> Demand:
    """Return what a job has and wants of the pods that there may be; `launch`: if it may launch.

    One with a pool wants no more in addition than its workers could take, and pods of their own.
    """
    spec = memory.job.spec
    holds = standings.held
    if spec is None or not launch:
        return Demand(holds=holds, wants=holds)
    ready = _ready(memory, standings, spec, now)
    more = len(ready) + memory.frontier.count(Look.STARTABLE)
    if spec.pool is not None:
        workers = max(spec.pool.max_workers - pool.staying, 0)
        more = min(more, workers + sum(map(wants_own_pod, ready)))
    return Demand(spec.priority, holds, max(holds, min(spec.parallelism, holds + more)))


@dataclass(frozen=True, slots=True)
class Launches:
    """What may be launched now: pods for tasks of these UIDs, and so many new tasks.

    `hosts` are the workers of the pool to which tasks of these UIDs are handed, `fresh` those for
    which new tasks are made, `stale` the UIDs of pods whose place a fresh worker is to take.
    """

    pods: frozenset[str] = frozenset()
    tasks: int = 0
    hosts: Mapping[str, Host] = field(default_factory=dict)
    fresh: tuple[Host, ...] = ()
    stale: frozenset[str] = frozenset()

    @property
    def handed(self) -> set[str]:
        """The UIDs of the pods whose workers get a task."""
        return {host.pod.uid for host in (*self.hosts.values(), *self.fresh)}


def launches(memory: Memory, standings: Standings, allowed: int, now: float) -> Launches:
    """Fill the free slots of the window: due retries first, then queued tasks, then new ones.

    `allowed` is how many pods the job may have. Pods are made a few at a time at first and more as
    that goes well, so that a full quota refuses one a second and not hundreds.
    """
    spec = memory.job.spec
    assert spec is not None
    free = max(min(spec.parallelism, allowed) - standings.held, 0)
    making = memory.under_way(CreatePod)
    ready = [task for task in _ready(memory, standings, spec, now) if task.uid not in making]
    unsure = [task for task in ready if task.uid in memory.unsure]  # which have their slots
    ready = [task for task in ready if task.uid not in memory.unsure]
    if memory.breaker.tripped:
        return _probe(memory, spec, unsure or ready, free + len(unsure), now)
    burst = max(memory.burst - len(making), 0)
    chosen = [*unsure, *ready[: min(free, burst)]]
    waiting = [task for task in standings.queued if task.uid not in making | memory.unsure]
    taken = len(waiting) + sum(bool(task.failed) for task in ready)
    most = 1 if memory.refusals else LAUNCHES_AT_ONCE
    room = min(free - taken, _room_for_objects(memory, spec, standings), most)
    return Launches(frozenset(task.uid for task in chosen), max(room, 0))


def hand_out(
    memory: Memory,
    standings: Standings,
    allowed: int,
    now: float,
    idle: Sequence[Host],
    pool: Pool = NO_POOL,
) -> Launches:
    """Fill the free slots of a job that has a pool: a task for each of the `idle` workers of it.

    No task is made before there is a worker for it. What needs more memory than a worker has gets a
    pod of its own.
    """
    plain = launches(memory, standings, allowed, now)
    spec = memory.job.spec
    assert spec is not None
    ready = _ready(memory, standings, spec, now)
    free = max(min(spec.parallelism, allowed) - standings.held, 0)
    if memory.breaker.tripped:  # it has chosen the one that may try
        ready, free = [task for task in ready if task.uid in plain.pods], 1
    under_way = memory.under_way(HandTask) | memory.under_way(CreatePod)
    mine = [t for t in ready if not wants_own_pod(t) and t.uid not in under_way]
    own = frozenset(t.uid for t in ready if wants_own_pod(t)) & plain.pods
    rest = max(free - len(own - memory.unsure), 0)  # who is unsure has a slot
    pairs = pair(mine, idle, pool, rest, several=memory.hosts.more_workers)
    waiting = len(pairs.hosts) + len(_made_anew(memory, for_workers=False))
    room = max(min(rest - waiting, plain.tasks, startable_anew(memory)), 0)
    left = [host for host in pairs.left if host.pod.uid not in pairs.stale]
    return Launches(own, 0, pairs.hosts, tuple(left[:room]), pairs.stale)


def work_of(memory: Memory, standings: Standings, allowed: int, now: float) -> Work:
    """Return what there is to do for workers of the pool, beside what is under way."""
    spec = memory.job.spec
    assert spec is not None
    if memory.breaker.tripped:
        one = int(bool(standings.active or startable_anew(memory)))
        return Work(one, one)
    ready = [t for t in _ready(memory, standings, spec, now) if not wants_own_pod(t)]
    ahead = len(ready) + startable_anew(memory)
    free = max(min(spec.parallelism, allowed) - standings.held, 0)
    return Work(min(ahead, free), ahead)


def startable_anew(memory: Memory) -> int:
    """Return how many volumes could get a task now."""
    making = memory.under_way(CreateTask) - memory.tasks.keys()
    return max(memory.frontier.count(Look.STARTABLE) - len(making), 0)


def _made_anew(memory: Memory, *, for_workers: bool) -> set[Hashable]:
    """Return the volumes whose tasks are being made: those for workers of a pool, or the others."""
    making = {key[1:] for key in memory.busy if key[0] == CreateTask.__name__}
    found = {index for index, pod in making if bool(pod) is for_workers}
    return found - memory.tasks.keys()


def _room_for_objects(memory: Memory, spec: JobSpec, standings: Standings) -> int:
    """Return how many more tasks there may be, whatever became of those that are there.

    Results are stored a few hundred at a time, and a task goes once its result is: while S3 or the
    API server is slow to take that, ended tasks must not pile up without end.
    """
    retrying = len(standings.retrying)
    if retrying > MAX_RETRYING:
        return 0
    kept = spec.history.succeeded + spec.history.failed
    return spec.parallelism + MAX_ENDED + kept - (len(memory.tasks) - retrying)


def _ready(memory: Memory, standings: Standings, spec: JobSpec, now: float) -> list[TaskSeen]:
    """Return the tasks whose pods could be made now; what has to wait holds up no other."""
    due = [task for task in standings.retrying if is_due(task, spec.retry.backoff, now)]
    due.sort(key=lambda task: (task.next_attempt, task.index))
    return [
        task
        for task in due + standings.queued
        if task.uid not in standings.owners and not is_blocked(memory.blocked.get(task.index), now)
    ]


def _probe(memory: Memory, spec: JobSpec, ready: list[TaskSeen], free: int, now: float) -> Launches:
    """Let one task through, if it is time: rather one that has not failed yet."""
    backoff = spec.retry.backoff
    first, most = seconds(backoff.initial), seconds(backoff.max)
    if free < 1 or memory.under_way(CreatePod) or memory.under_way(CreateTask):
        return Launches()
    if not memory.breaker.may_probe(now, first, most):
        return Launches()
    fresh = [task for task in ready if not task.failed]
    if not fresh and memory.frontier.count(Look.STARTABLE):
        return Launches(tasks=1)
    return Launches(frozenset(task.uid for task in (fresh or ready)[:1]))
