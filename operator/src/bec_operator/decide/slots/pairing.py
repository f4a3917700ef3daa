"""Which worker of a pool gets which task: rather none that has failed it already."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bec_operator.decide.attempts.avoided_nodes import must_move
from bec_operator.decide.hosts.at_fault import hosts_of
from bec_operator.decide.hosts.outside import worker_of
from bec_operator.decide.hosts.pool import Host, Pool
from bec_operator.decide.sight.seen import TaskSeen


@dataclass(frozen=True, slots=True)
class Pairs:
    """The workers by the UIDs of their tasks, and the idle ones that are left.

    `stale` are the UIDs of pods that are to be replaced: a volume needs a worker that has not
    failed it, and there is none.
    """

    hosts: Mapping[str, Host] = field(default_factory=dict)
    left: tuple[Host, ...] = ()
    stale: frozenset[str] = frozenset()


def pair(
    tasks: Sequence[TaskSeen], idle: Sequence[Host], pool: Pool, most: int, *, several: bool
) -> Pairs:
    """Pair so many tasks at most with idle workers, in their orders. `several`: there may be more.

    A task that failed on those that are idle waits for another one that works: its volume is the
    next one that this gets.
    """
    free, hosts, stale = list(idle), dict[str, Host](), set[str]()
    there = [h for h in pool.of(pool.revision) if h.worker is not None and not h.pod.draining]
    for task in tasks:
        if not free or len(hosts) >= most:
            break
        chosen = _choose(task, free, there)
        if chosen is None and not _others(task, there):
            if several and must_move(task.failed):
                stale.add(free[0].pod.uid)
            else:
                chosen = free[0]
        if chosen is not None:
            hosts[task.uid] = chosen
            free.remove(chosen)
    return Pairs(hosts, tuple(free), frozenset(stale))


def _choose(task: TaskSeen, free: Sequence[Host], there: Sequence[Host]) -> Host | None:
    """Return who is to have a task now: another worker, on another node if one is free there.

    It waits for one there, which may take hours, only if it lacks nothing but that node's word.
    """
    workers, nodes = hosts_of(task.failed)
    if not workers:
        return free[0]
    others = _others(task, there)
    elsewhere = {host.pod.uid for host in others if host.pod.pod.node not in nodes}
    needs_node = elsewhere and len(workers) > 1 and must_move(task.failed)
    good = elsewhere if needs_node else {host.pod.uid for host in others}
    able = [host for host in free if host.pod.uid in good]
    return min(able, key=lambda host: host.pod.uid not in elsewhere, default=None)


def _others(task: TaskSeen, there: Sequence[Host]) -> list[Host]:
    workers, _ = hosts_of(task.failed)
    return [host for host in there if worker_of(host.pod.uid) not in workers]
