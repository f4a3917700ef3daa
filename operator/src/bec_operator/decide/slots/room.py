"""The room that a job has in one pass: its free slots, and who could take them.

It is worked out once, before anything is decided; all that is launched or handed out in that pass
is taken from it.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from bec_operator.api.job import JobSpec
from bec_operator.decide.attempts.actions import CreatePod, CreateTask
from bec_operator.decide.attempts.retrying import is_due
from bec_operator.decide.attempts.task import is_blocked
from bec_operator.decide.hosts.pool import NO_POOL, Pool, wants_own_pod
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.seen import TaskSeen
from bec_operator.decide.slots.shares import Demand
from bec_operator.decide.slots.sites import count_for_pods, may_have_pod
from bec_operator.decide.slots.standings import Standings, being_made, made_anew
from bec_operator.decide.volumes.frontier import VolumeState

MAX_RETRYING = 500  # tasks that wait for their next attempt; past it no new ones are made
MAX_ENDED = 500  # tasks that have ended and are still there, beside those that the history keeps


@dataclass(frozen=True, slots=True)
class Room:
    """What may be begun now.

    Of its `parallelism` slots a job is allowed as many as it is granted beside the others, and
    `held` are taken, `outside` of these by workers from elsewhere, which need no pod and may
    have `most_outside`; `offered` is what it would be granted if it wanted all. `ready` are
    the tasks whose attempt could begin in the cluster, those first that have waited for it, and
    `ready_outside` those that could somewhere; those that are `unsure` have their slots already.
    `startable` volumes could get a task in the cluster, `startable_outside` somewhere, and
    `objects` more tasks there may be.
    """

    parallelism: int = 0
    allowed: int = 0
    offered: int = 0
    held: int = 0
    outside: int = 0
    most_outside: int = 0
    ready: tuple[TaskSeen, ...] = ()
    ready_outside: tuple[TaskSeen, ...] = ()
    unsure: frozenset[str] = frozenset()
    making_pods: frozenset[str] = frozenset()  # UIDs of tasks
    handing: frozenset[str] = frozenset()  # UIDs of tasks that are being given to workers
    making_tasks: int = 0  # volumes, without those that are made for a worker
    startable: int = 0
    startable_outside: int = 0
    objects: int = 0

    @classmethod
    def of(cls, memory: Memory, standings: Standings, now: float) -> "Room":
        """Return the room of a job that may have as many pods as it wants."""
        spec, books = memory.job.spec, memory.books
        if spec is None:
            return cls(held=standings.held, outside=standings.outside)
        ready = _ready(memory, standings, spec, now)
        making = frozenset(action.task.uid for action in memory.under_way.of(CreatePod))
        making_tasks = {action.index for action in memory.under_way.of(CreateTask)}
        new = len(making_tasks - books.tasks.keys())
        return cls(
            parallelism=spec.parallelism,
            allowed=spec.parallelism,
            held=standings.held,
            outside=standings.outside,
            most_outside=spec.outside.max if spec.outside.allowed else 0,
            ready=tuple(task for task in ready if may_have_pod(memory, task, now)),
            ready_outside=tuple(ready),
            unsure=standings.unsure,
            making_pods=making,
            handing=frozenset(being_made(memory)) - making,
            making_tasks=len(made_anew(memory, for_workers=False)),
            startable=max(count_for_pods(memory) - new, 0),
            startable_outside=max(books.frontier.count(VolumeState.STARTABLE) - new, 0),
            objects=_room_for_objects(memory, spec, standings),
        )

    def granted(self, allowed: int) -> "Room":
        """Return the room of the job if it may have so many pods beside the other jobs."""
        return replace(self, allowed=allowed)

    def with_offer(self, offered: int) -> "Room":
        """Return the room of the job if it could have so many pods beside the other jobs."""
        return replace(self, offered=offered)

    @property
    def free(self) -> int:
        """How many slots are free for pods."""
        for_pods = self.allowed - (self.held - self.outside)
        return max(min(self.parallelism - self.held, for_pods), 0)

    @property
    def free_outside(self) -> int:
        """How many slots are free for workers from elsewhere."""
        return max(min(self.parallelism - self.held, self.most_outside - self.outside), 0)

    def without(self, tasks: AbstractSet[str], new: int) -> "Room":
        """Return what is left once these tasks, by UID, and new ones are given to others."""
        return replace(
            self,
            held=self.held + len(tasks - self.unsure) + new,
            outside=self.outside + len(tasks - self.unsure) + new,
            ready=tuple(task for task in self.ready if task.uid not in tasks),
            ready_outside=tuple(task for task in self.ready_outside if task.uid not in tasks),
            startable=max(self.startable - new, 0),
            objects=self.objects - new,
        )

    @property
    def for_pods(self) -> list[TaskSeen]:
        """Those that are ready, and not being begun already."""
        begun = self.making_pods | self.handing
        return [task for task in self.ready if task.uid not in begun]


def demand(memory: Memory, room: Room, pool: Pool = NO_POOL, *, launch: bool) -> Demand:
    """Return what a job has and wants of the pods that there may be; `launch`: if it may launch.

    One with a pool wants no more in addition than its workers could take, and pods of their own.
    """
    spec = memory.job.spec
    holds = room.held - room.outside
    if spec is None or not launch or spec.outside.only:
        return Demand(holds=holds, wants=holds)
    more = len(room.ready) + count_for_pods(memory)
    if spec.pool is not None:
        workers = max(spec.pool.max_workers - pool.staying, 0)
        more = min(more, workers + sum(map(wants_own_pod, room.ready)))
    return Demand(spec.priority, holds, max(holds, min(spec.parallelism, holds + more)))


def _ready(memory: Memory, standings: Standings, spec: JobSpec, now: float) -> list[TaskSeen]:
    """Return the tasks whose attempt could begin now; what has to wait holds up no other."""
    due = [task for task in standings.retrying if is_due(task, spec.retry.backoff, now)]
    due.sort(key=lambda task: (task.next_attempt, task.index))
    blocked = memory.books.blocked
    return [
        task
        for task in due + standings.queued
        if task.uid not in standings.owners and not is_blocked(blocked.get(task.index), now)
    ]


def _room_for_objects(memory: Memory, spec: JobSpec, standings: Standings) -> int:
    """Return how many more tasks there may be, whatever became of those that are there.

    Results are stored a few hundred at a time, and a task goes once its result is: while S3 or the
    API server is slow to take that, ended tasks must not pile up without end.
    """
    retrying = len(standings.retrying)
    if retrying > MAX_RETRYING:
        return 0
    kept = spec.history.succeeded + spec.history.failed
    return spec.parallelism + MAX_ENDED + kept - (len(memory.books.tasks) - retrying)
