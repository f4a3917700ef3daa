"""What a job launches now: pods, tasks for workers, new tasks; and the size of its pool."""

from bec_operator.decide.hosts.pool import Workload
from bec_operator.decide.jobs.scene import Scene
from bec_operator.decide.lists.messages import queue_of
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.action import Action
from bec_operator.decide.slots.filling import Launches, hand_out, launches, workload
from bec_operator.decide.slots.outside import give_outside
from bec_operator.decide.slots.pool_size import (
    hosts_for_work,
    replace_hosts,
    scale,
    wanted,
    with_busy,
)
from bec_operator.decide.slots.room import Room
from bec_operator.decide.slots.standings import Standings
from bec_operator.decide.volumes.frontier import VolumeState

_MAY_COME = (
    VolumeState.GATED,
    VolumeState.UNCHECKED,
    VolumeState.READING,
    VolumeState.STARTABLE,
    VolumeState.UNVERSIONED,
)


def next_launches(seen: Scene, *, launch: bool) -> tuple[list[Action], Launches]:
    """Return what is to be done about the pool, if there is one, and what may be launched."""
    memory, now = seen.memory, seen.now
    first = Launches()
    if launch and seen.outside:
        first = give_outside(memory, seen.standings, seen.room, now, seen.outside)
    room = seen.room.without(first.hosts.keys(), len(first.fresh))
    actions, rest = _of_cluster(seen, room, launch=launch and not _is_outside_only(memory))
    return actions, rest.beside(first)


def _is_outside_only(memory: Memory) -> bool:
    return memory.job.spec is not None and memory.job.spec.outside.only


def _of_cluster(seen: Scene, room: Room, *, launch: bool) -> tuple[list[Action], Launches]:
    """Return what is to be done about the pool, if there is one, and what it and pods may begin."""
    memory, spec, standings, now = seen.memory, seen.memory.job.spec, seen.standings, seen.now
    if (spec is None or spec.pool is None) and not seen.pool.deployments:
        return [], launches(memory, standings, room, now) if launch else Launches()
    assert spec is not None
    free = hosts_for_work(seen.pool, memory, spec, now)
    next_up = Launches()
    if launch and spec.pool is not None:
        next_up = hand_out(memory, standings, room, now, free, seen.pool)
    elif launch:
        next_up = launches(memory, standings, room, now)
    work = workload(memory, standings, room) if launch and spec.pool is not None else Workload()
    handed = next_up.handed
    pool = with_busy(seen.pool, handed)
    aim = wanted(
        spec,
        pool,
        memory.pool,
        work.without(len(handed)),
        launch=launch,
        more_may_come=_more_may_come(memory, standings),
        most=memory.calling.most,
    )
    bad = memory.books.hosts.to_replace(pool, now, tripped=memory.breaker.tripped)
    replaced = replace_hosts(pool, {*memory.calling.mute, *bad, *next_up.stale})
    return [*replaced, *scale(spec, pool, memory.pool, aim, now)], next_up


def _more_may_come(memory: Memory, standings: Standings) -> bool:
    """Whether there are volumes that could start later, beside those that run."""
    if standings.retrying or queue_of(memory) is not None:
        return True
    return any(map(memory.books.frontier.count, _MAY_COME))
