"""Fills the free slots: which tasks begin, in which workers, and how many volumes get a task.

Which volumes these are is said in `next_volumes.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bec_operator.api.base import seconds
from bec_operator.decide.attempts.actions import CreatePod, CreateTask
from bec_operator.decide.hosts.pool import NO_POOL, Host, Pool, Workload, wants_own_pod
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.seen import TaskSeen
from bec_operator.decide.slots.pairing import pair
from bec_operator.decide.slots.room import Room
from bec_operator.decide.slots.sites import count_for_pods
from bec_operator.decide.slots.standings import Standings

LAUNCHES_AT_ONCE = 500


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

    def beside(self, first: "Launches") -> "Launches":
        """Return these together with what others got first."""
        return Launches(
            self.pods,
            self.tasks,
            {**first.hosts, **self.hosts},
            (*first.fresh, *self.fresh),
            self.stale,
        )

    @property
    def handed(self) -> set[str]:
        """The UIDs of the pods whose workers get a task."""
        return {host.pod.uid for host in (*self.hosts.values(), *self.fresh)}


def launches(memory: Memory, standings: Standings, room: Room, now: float) -> Launches:
    """Fill the free slots of the window: due retries first, then queued tasks, then new ones.

    Pods are made a few at a time at first and more as that goes well, so that a full quota refuses
    one a second and not hundreds.
    """
    free, making = room.free, room.making_pods
    unsure = [task for task in room.for_pods if task.uid in room.unsure]  # which have their slots
    ready = [task for task in room.for_pods if task.uid not in room.unsure]
    if memory.breaker.tripped:
        return _probe(memory, unsure or ready, free + len(unsure), now)
    burst = max(memory.launching.burst - len(making), 0)
    chosen = [*unsure, *ready[: min(free, burst)]]
    begun = making | room.unsure
    waiting = sum(task.uid not in begun for task in standings.queued)
    taken = waiting + sum(bool(task.failed) for task in ready)
    most = 1 if memory.launching.refusals else LAUNCHES_AT_ONCE
    fresh = min(free - taken, room.objects, most)
    return Launches(frozenset(task.uid for task in chosen), max(fresh, 0))


def hand_out(
    memory: Memory,
    standings: Standings,
    room: Room,
    now: float,
    idle: Sequence[Host],
    pool: Pool = NO_POOL,
) -> Launches:
    """Fill the free slots of a job that has a pool: a task for each of the `idle` workers of it.

    No task is made before there is a worker for it. What needs more memory than a worker has gets a
    pod of its own.
    """
    plain = launches(memory, standings, room, now)
    ready, free = room.ready, room.free
    if memory.breaker.tripped:  # it has chosen the one that may try
        ready, free = tuple(task for task in ready if task.uid in plain.pods), 1
    begun = room.handing | room.making_pods
    mine = [t for t in ready if not wants_own_pod(t) and t.uid not in begun]
    own = frozenset(t.uid for t in ready if wants_own_pod(t)) & plain.pods
    rest = max(free - len(own - room.unsure), 0)  # who is unsure has a slot
    pairs = pair(mine, idle, pool, rest, several=memory.books.hosts.more_workers)
    waiting = len(pairs.hosts) + room.making_tasks
    fresh = max(min(rest - waiting, plain.tasks, room.startable), 0)
    left = [host for host in pairs.left if host.pod.uid not in pairs.stale]
    return Launches(own, 0, pairs.hosts, tuple(left[:fresh]), pairs.stale)


def workload(memory: Memory, standings: Standings, room: Room) -> Workload:
    """Return what there is to do for workers of the pool, beside what is under way."""
    if memory.breaker.tripped:
        one = int(bool(standings.active or room.startable))
        return Workload(one, one)
    ahead = sum(not wants_own_pod(task) for task in room.ready) + room.startable
    return Workload(min(ahead, room.free), ahead)


def _probe(memory: Memory, ready: list[TaskSeen], free: int, now: float) -> Launches:
    """Let one task through, if it is time: rather one that has not failed yet."""
    spec, under_way = memory.job.spec, memory.under_way
    assert spec is not None
    first, most = seconds(spec.retry.backoff.initial), seconds(spec.retry.backoff.max)
    if free < 1 or len(under_way.of(CreatePod)) + len(under_way.of(CreateTask)):
        return Launches()
    if not memory.breaker.may_probe(now, first, most):
        return Launches()
    fresh = [task for task in ready if not task.failed]
    if not fresh and count_for_pods(memory):
        return Launches(tasks=1)
    return Launches(frozenset(task.uid for task in (fresh or ready)[:1]))
