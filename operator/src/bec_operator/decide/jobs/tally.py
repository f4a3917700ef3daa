"""The unsettled tasks of a job in numbers."""

from collections.abc import Mapping
from dataclasses import dataclass

from bec_operator.api.pool import PoolStatus
from bec_operator.decide.hosts.pool import NO_POOL, Pool
from bec_operator.decide.jobs.stalls_of_pods import held_up, trouble_of_pods, trouble_of_pool
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.seen import PodSeen, TaskSeen
from bec_operator.decide.slots.standings import Standings


@dataclass(frozen=True, slots=True)
class Tally:
    """How many tasks stand where, and why it does not go on, if so."""

    queued: int = 0
    running: int = 0
    retrying: int = 0
    share: float = 0.0  # of volumes that run: what is done of them
    trouble: tuple[str, str] = ("", "")  # reason and sentence
    held_up: tuple[str, str] = ("", "")  # what is waited for; no reason where something runs
    pool: PoolStatus | None = None

    @property
    def active(self) -> int:
        """Tasks that are not settled."""
        return self.queued + self.running + self.retrying

    @classmethod
    def of(
        cls,
        memory: Memory,
        pods: Mapping[str, PodSeen],
        standings: Standings,
        pool: Pool = NO_POOL,
    ) -> "Tally":
        """Count the tasks in `memory`."""
        current = [_current(task, pods) for task in standings.running]
        current += [host.pod.pod for host in pool.hosts if host.worker is None and not host.busy]
        refused = _refused(pool)
        return cls(
            queued=len(standings.queued),
            running=len(standings.running),
            retrying=len(standings.retrying),
            share=sum(_share(memory, task) for task in standings.running),
            trouble=trouble_of_pods(memory, [pod for pod in current if pod is not None])
            or trouble_of_pool(memory, pool, refused),
            held_up=held_up(standings, current, refused),
            pool=_pool_status(memory, pool),
        )


def _pool_status(memory: Memory, pool: Pool) -> PoolStatus | None:
    spec = memory.job.spec
    if (spec is None or spec.pool is None) and not pool.deployments:
        return None
    active = [host for host in pool.hosts if host.pod.active]
    ready = sum(host.worker is not None for host in active)
    draining = sum(host.pod.draining for host in active)
    return PoolStatus(
        workers=len(active),
        ready=ready,
        busy=pool.busy,
        draining=draining,
        summary=f"{pool.busy}/{ready}" + (f", {draining} leave" if draining else ""),
        decision=memory.pool.decision,
    )


def _current(task: TaskSeen, pods: Mapping[str, PodSeen]) -> PodSeen | None:
    return pods.get(task.pod)


def _share(memory: Memory, task: TaskSeen) -> float:
    worker = memory.books.known_of(task).worker
    progress = worker.progress if worker is not None else None
    return progress.share if progress is not None else 0.0


def _refused(pool: Pool) -> str:
    """Return what the API server says to the workers that the pool should have now, if it does."""
    deployment = pool.deployments.get(pool.revision)
    return deployment.refused if deployment is not None else ""
