"""What workers from elsewhere get: they ask, so they come before pods that are yet to be made.

They take slots of the job's `parallelism`, and none of the pods that all jobs share.
"""

from collections.abc import Sequence

from bec_operator.decide.hosts.outside import worker_of
from bec_operator.decide.hosts.pool import Host, Pool, wants_own_pod
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.slots.filling import Launches, launches
from bec_operator.decide.slots.pairing import pair
from bec_operator.decide.slots.room import Room
from bec_operator.decide.slots.standings import Standings


def give_outside(
    memory: Memory, standings: Standings, room: Room, now: float, asking: Sequence[Host]
) -> Launches:
    """Return what those of the workers get that ask: due retries first, then queued and new tasks.

    While the job has tripped they get nothing, so that its pods may try; if it has none, one does.
    """
    spec = memory.job.spec
    idle = _who_may(memory, asking, now)
    if spec is None or not idle or room.free_outside < 1:
        return Launches()
    only, begun = spec.outside.only, room.handing | room.making_pods | room.unsure
    ready = [t for t in room.ready if t.uid not in begun and (only or not wants_own_pod(t))]
    most, new = room.free_outside, min(room.startable, room.objects)
    if memory.breaker.tripped:
        probe = launches(memory, standings, room, now) if only else Launches()
        ready, most = [task for task in ready if task.uid in probe.pods], 1
        new = min(new, probe.tasks)
    pairs = pair(ready, idle, Pool(hosts=tuple(idle)), most, several=False)
    fresh = max(min(most - len(pairs.hosts), new), 0)
    return Launches(hosts=pairs.hosts, fresh=pairs.left[:fresh])


def _who_may(memory: Memory, asking: Sequence[Host], now: float) -> list[Host]:
    """Return those who wait for a task, and are not at fault."""
    withheld = memory.books.hosts.withheld(tripped=memory.breaker.tripped)
    idle = [h for h in asking if h.is_idle(now) and worker_of(h.pod.uid) not in withheld]
    return sorted(idle, key=lambda host: -host.idle_for(now))
