"""What workers from elsewhere get: they ask, so they come before pods that are yet to be made.

They take slots of the job's `parallelism`, and none of the pods that all jobs share.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bec_operator.decide.hosts.outside import worker_of
from bec_operator.decide.hosts.pool import Host, Pool, wants_own_pod
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.seen import TaskSeen
from bec_operator.decide.slots.filling import Launches, launches
from bec_operator.decide.slots.next_volumes import can_begin
from bec_operator.decide.slots.pairing import pair
from bec_operator.decide.slots.room import Room
from bec_operator.decide.slots.sites import may_be_new_at, may_go_to, volumes_for
from bec_operator.decide.slots.standings import Standings


def give_outside(
    memory: Memory, standings: Standings, room: Room, now: float, asking: Sequence[Host]
) -> Launches:
    """Return what those of the workers get that ask: due retries first, then queued and new tasks.

    Who asks for one volume gets that one or nothing, and comes before those who take any.
    """
    idle = _who_may(memory, asking, now)
    if not idle:
        return Launches()
    there = _there(memory, standings, room, now)
    named = _give_named(memory, there, now, [h for h in idle if h.pod.volume is not None])
    ready = [task for task in there.ready if task.uid not in named.hosts]
    most, new = there.most - len(named.handed), there.new - len(named.fresh)
    others = [host for host in idle if host.pod.volume is None]
    given = _pairs(memory, ready, others, most, now)
    taken = {host.pod.uid for host in given.values()}
    left = [host for host in others if host.pod.uid not in taken]
    fresh = max(min(most - len(given), new), 0)
    return Launches(hosts=given, fresh=tuple(left[:fresh])).beside(named)


def on_offer(memory: Memory, standings: Standings, room: Room, now: float, many: int) -> list[int]:
    """Return so many volumes at most that a worker would get that asked for one of them now.

    As many may be begun at once as there is room for; any of them is meant to be asked for. It is
    at no site.
    """
    there = _there(memory, standings, room, now)
    if there.most < 1:
        return []
    tasks = memory.books.tasks
    ready = [task.index for task in there.ready if may_go_to(memory, task, "", now)]
    fresh = volumes_for(memory, "", now, many) if there.new > 0 else []
    return [*ready, *(index for index in fresh if index not in tasks)][:many]


@dataclass(frozen=True, slots=True)
class _There:
    """What there is for workers from elsewhere: tasks, so many new ones, so many at most in all."""

    ready: Sequence[TaskSeen] = ()
    new: int = 0
    most: int = 0


def _there(memory: Memory, standings: Standings, room: Room, now: float) -> _There:
    """Return what there is.

    While the job has tripped that is nothing, so that its pods may try; if it has none, one task.
    """
    spec = memory.job.spec
    if spec is None or room.free_outside < 1:
        return _There()
    only, begun = spec.outside.only, room.handing | room.making_pods | room.unsure
    ready = [t for t in room.ready_outside if t.uid not in begun and (only or not wants_own_pod(t))]
    most, new = room.free_outside, min(room.startable_outside, room.objects)
    if memory.breaker.tripped:
        anywhere = replace(room, ready=room.ready_outside)
        probe = launches(memory, standings, anywhere, now) if only else Launches()
        ready, most = [task for task in ready if task.uid in probe.pods], 1
        new = min(new, probe.tasks)
    return _There(ready, new, most)


def _give_named(memory: Memory, there: _There, now: float, asking: Sequence[Host]) -> Launches:
    """Return what those get who ask for one volume each; of several who want one, the first."""
    ready = {task.index: task for task in there.ready}
    hosts: dict[str, Host] = {}
    fresh: dict[int, Host] = {}
    for host in asking:
        volume = host.pod.volume
        if volume is None or len(hosts) + len(fresh) >= there.most:
            continue
        if volume in ready:
            if may_go_to(memory, ready[volume], host.pod.site, now):
                hosts.setdefault(ready[volume].uid, host)
            continue
        free = volume not in fresh and len(fresh) < there.new and can_begin(memory, volume, now)
        if free and may_be_new_at(memory, volume, host.pod.site):
            fresh[volume] = host
    return Launches(hosts=hosts, fresh=tuple(fresh.values()))


def _pairs(
    memory: Memory, ready: Sequence[TaskSeen], idle: Sequence[Host], most: int, now: float
) -> dict[str, Host]:
    """Return who gets which of the tasks, by UID: at each site those that may be done there."""
    given: dict[str, Host] = {}
    for site in dict.fromkeys(host.pod.site for host in idle):
        there = [host for host in idle if host.pod.site == site]
        left = [task for task in ready if task.uid not in given]
        mine = [task for task in left if may_go_to(memory, task, site, now)]
        pool = Pool(hosts=tuple(there))
        given |= pair(mine, there, pool, most - len(given), several=False).hosts
    return given


def _who_may(memory: Memory, asking: Sequence[Host], now: float) -> list[Host]:
    """Return those who wait for a task, and are not at fault."""
    withheld = memory.books.hosts.withheld(tripped=memory.breaker.tripped)
    idle = [h for h in asking if h.is_idle(now) and worker_of(h.pod.uid) not in withheld]
    return sorted(idle, key=lambda host: -host.idle_for(now))
