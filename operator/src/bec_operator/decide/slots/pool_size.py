"""How many workers a pool has, and who leaves: never one that works.

A worker goes in three steps, each derived from what is seen, so that a restart between any two of
them changes nothing. It is marked, which makes it the first that its ReplicaSet takes away, and
gets no more work; once the mark has stood for a while, and all others are Ready, which counts
before the mark does, the number of replicas is lowered.
"""

import math
from collections.abc import Iterator, Set
from dataclasses import dataclass, replace

from bec_operator.api.base import seconds
from bec_operator.api.job import JobSpec
from bec_operator.api.pool import PoolSpec
from bec_operator.decide.attempts.actions import DeletePod, StopPod
from bec_operator.decide.hosts.actions import (
    DeletePool,
    GuardWorker,
    MakePool,
    MarkWorker,
    ScalePool,
)
from bec_operator.decide.hosts.pool import SETTLED_AFTER, Host, Pool, PoolNotes, Workload
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.action import Action
from bec_operator.decide.sight.pool_seen import DeploymentSeen
from bec_operator.decide.volumes.reasons import count_volumes

ALL_HAVE_CALLED = 30.0  # seconds since we began after which a warm worker has called
UNGUARDED_AFTER = 10.0  # seconds without work after which a node need not wait for a worker
_NONE = PoolSpec(min_workers=0, max_workers=1)


@dataclass(frozen=True, slots=True)
class Wanted:
    """How many workers there should be, and why, in words for people.

    `more_may_come` of work that could not start yet: else nobody waits for it.
    """

    workers: int
    why: str
    more_may_come: bool = True


def wanted(
    spec: JobSpec,
    pool: Pool,
    notes: PoolNotes,
    work: Workload,
    *,
    launch: bool,
    more_may_come: bool = True,
    most: int | None = None,
) -> Wanted:
    """Return how many workers the job should have now; `work` could start beside what runs.

    Those of older revisions that still work count, too. More are only worth their start while
    there is work for longer than that takes. `most` is how many there may be while none reaches
    the operator.
    """
    size, busy = spec.pool or _NONE, pool.staying
    if spec.pool is None:
        return Wanted(busy, "the job has no pool any more")
    if not launch:
        return Wanted(busy, "nothing may be launched")
    more = work.now
    if more and notes.task_seconds and notes.ready_seconds:
        left = (work.ahead + busy) * notes.task_seconds
        more = min(more, max(math.ceil(left / notes.ready_seconds), 1))
    workers = min(max(busy + more, size.min_workers), size.max_workers)
    if most is not None:
        why = "no worker has called the operator" + (", one tries again" if most else "")
        return Wanted(max(min(workers, most), busy), why, more_may_come)
    why = f"{count_volumes(pool.busy)} under way, {work.now} more could start"
    return Wanted(max(workers, busy), why, more_may_come)


def scale(spec: JobSpec, pool: Pool, notes: PoolNotes, aim: Wanted, now: float) -> Iterator[Action]:
    """Say what to do for the pool to have as many workers as it should."""
    waits = spec.pool is not None and aim.more_may_come
    idle = seconds(spec.pool.idle) if spec.pool is not None and waits else 0.0
    lacking = aim.workers - pool.staying
    if spec.pool is not None and pool.revision not in pool.deployments and lacking > 0:
        yield MakePool(pool.revision, lacking, aim.why)
    for deployment in pool.deployments.values():
        if deployment.deleting:
            continue
        current = deployment.name == pool.revision and spec.pool is not None
        yield from _adjust(deployment, pool, notes, aim, idle if current else 0.0, now,
                           current=current)  # fmt: skip
    yield from _attend(spec, pool, aim, now)


def _adjust(
    deployment: DeploymentSeen,
    pool: Pool,
    notes: PoolNotes,
    aim: Wanted,
    idle: float,
    now: float,
    *,
    current: bool,
) -> Iterator[Action]:
    """Make one revision larger or smaller; an old one only ever smaller."""
    hosts = pool.of(deployment.name)
    kept = [host for host in hosts if not host.pod.draining]
    marked = [host for host in hosts if host.pod.draining]
    elsewhere = pool.staying - sum(host.busy for host in hosts)
    need = max(aim.workers - elsewhere, 0) if current else sum(host.busy for host in kept)
    quiet = (
        now >= (notes.lowered or 0.0) + SETTLED_AFTER
    )  # else it may yet see what was asked before
    settled = quiet and len(hosts) <= deployment.replicas  # its ReplicaSet takes nobody away
    if need > len(kept) and marked and settled:
        for host in marked[: need - len(kept)]:
            yield MarkWorker(host.pod, draining=False)
    elif current and need > max(deployment.replicas, len(kept)):
        yield ScalePool(deployment, need, aim.why)
    if not pool.sure:
        return
    for host in _leavers(kept, len(kept) - need, notes, idle, now):
        yield MarkWorker(host.pod, draining=True)
    target = max(len(kept), need if current else 0)
    if target < deployment.replicas and _may_lower(kept, marked, notes, now):
        yield ScalePool(deployment, target, aim.why)
    if not current and not hosts and not deployment.replicas:
        yield DeletePool(deployment)


def _leavers(
    kept: list[Host], surplus: int, notes: PoolNotes, idle: float, now: float
) -> list[Host]:
    """Choose who goes: those in which nobody works, then the ones that waited longest."""
    if surplus <= 0:
        return []
    known = now - notes.began >= ALL_HAVE_CALLED
    starting = [
        host
        for host in kept
        if not host.busy and (not host.pod.runs or (host.worker is None and known))
    ]
    waiting = [host for host in kept if host.is_idle(now) and host.idle_for(now) >= idle]
    waiting.sort(key=lambda host: -host.idle_for(now))
    return [*starting, *waiting][:surplus]


def _may_lower(kept: list[Host], marked: list[Host], notes: PoolNotes, now: float) -> bool:
    """Whether the ReplicaSet will take those that are marked, and nobody else that works."""
    seen = all(now - notes.marked.get(host.pod.uid, now) >= SETTLED_AFTER for host in marked)
    ready = all(host.pod.ready for host in kept if host.busy or host.worker is not None)
    return seen and ready and not any(host.busy for host in marked)


def _attend(spec: JobSpec, pool: Pool, aim: Wanted, now: float) -> Iterator[Action]:
    """Replace who has done enough, and let nodes go that hold nobody who works."""
    enough = spec.pool.tasks_per_worker if spec.pool is not None else 0
    replaced = aim.more_may_come or aim.workers > pool.staying  # else nobody need follow
    for host in pool.hosts:
        if not host.is_idle(now):
            continue
        is_done = replaced and is_worn(host, enough) and not host.pod.draining
        if is_done or host.pod.pod.stopped is not None:  # which to delete has failed before
            yield DeletePod(host.pod.pod)
        elif host.pod.guarded and host.idle_for(now) >= UNGUARDED_AFTER:
            yield GuardWorker(host.pod, guarded=False)


def hosts_for_work(pool: Pool, memory: Memory, spec: JobSpec, now: float) -> list[Host]:
    """Return who can be given a task now: of this revision, and not about to go.

    Who has waited least goes first, so that the others may leave.
    """
    enough = spec.pool.tasks_per_worker if spec.pool is not None else 0
    under_way = memory.under_way
    leaving = {action.pod.uid for action in under_way.of(MarkWorker)}
    leaving |= {action.pod.uid for action in under_way.of(DeletePod)}
    leaving |= memory.books.hosts.withheld(tripped=memory.breaker.tripped)
    leaving |= {action.pod.uid for action in under_way.of(StopPod)}
    leaving |= {host.pod.uid for host in pool.hosts if host.pod.pod.stopped is not None}
    leaving |= {action.pod.uid for action in under_way.of(GuardWorker) if not action.guarded}
    found = [
        host
        for host in pool.hosts
        if host.pod.pool == pool.revision
        and host.is_idle(now)
        and not host.pod.draining
        and host.pod.uid not in leaving
        and not is_worn(host, enough)
        and not _is_too_new(host, memory.pool, now)
    ]
    return sorted(found, key=lambda host: host.idle_for(now))


def _is_too_new(host: Host, notes: PoolNotes, now: float) -> bool:
    """Whether its ReplicaSet may just take it away, as one that was not Ready."""
    lowered = notes.lowered or 0.0
    fresh = notes.ready.get(host.pod.uid, now) > lowered - SETTLED_AFTER
    return fresh and now < lowered + SETTLED_AFTER


def with_busy(pool: Pool, more: Set[str]) -> Pool:
    """Return the pool as it is once the pods of the UIDs `more` have work."""
    if not more:
        return pool
    hosts = tuple(replace(h, busy=h.busy or h.pod.uid in more) for h in pool.hosts)
    return replace(pool, hosts=hosts)


def replace_hosts(pool: Pool, uids: Set[str]) -> Iterator[Action]:
    """Delete the pods of these UIDs: their ReplicaSet makes others."""
    for host in pool.hosts:
        if host.pod.uid in uids and host.pod.active and not host.busy:
            yield DeletePod(host.pod.pod)


def is_worn(host: Host, enough: int) -> bool:
    """Whether a worker has done as many tasks as `tasksPerWorker` lets it; 0: any number."""
    return bool(enough) and host.worker is not None and host.worker.given >= enough


def dissolve(pool: Pool) -> Iterator[Action]:
    """The job has ended: its pool goes as soon as nobody works in it."""
    if not pool.busy:
        for deployment in pool.deployments.values():
            if not deployment.deleting:
                yield DeletePool(deployment)
