"""The unsettled tasks of a job in numbers, and what troubles them."""

from collections.abc import Mapping
from dataclasses import dataclass

from bec_operator.api.pool import PoolStatus
from bec_operator.decide.breaker import TRIPPED
from bec_operator.decide.calling import CANNOT_CALL
from bec_operator.decide.failures import START_TROUBLES
from bec_operator.decide.memory import Memory
from bec_operator.decide.pool import NO_POOL, Pool, crashing
from bec_operator.decide.refusals import is_final, is_over_quota
from bec_operator.decide.seen import PodSeen, TaskSeen
from bec_operator.decide.starting import trouble
from bec_operator.decide.window import Standings

_ADVICE = {
    "ImagePull": "correct the image or the pull secret in worker.template",
    "ContainerConfig": "correct worker.template, or make what it names",
}


@dataclass(frozen=True, slots=True)
class Tally:
    """How many tasks stand where, and why it does not go on, if so."""

    queued: int = 0
    running: int = 0
    retrying: int = 0
    share: float = 0.0  # of volumes that run: what is done of them
    trouble: tuple[str, str] = ("", "")  # reason and sentence
    quota: str = ""  # what a full ResourceQuota says to the workers of the pool
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
            trouble=_trouble(memory, [pod for pod in current if pod is not None])
            or _pool_trouble(memory, pool, refused),
            quota=refused if is_over_quota(refused) else "",
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
    notes = memory.notes.get(task.uid)
    progress = notes.worker.progress if notes is not None and notes.worker is not None else None
    return progress.share if progress is not None else 0.0


def _refused(pool: Pool) -> str:
    """Return what the API server says to the workers that the pool should have now, if it does."""
    deployment = pool.deployments.get(pool.revision)
    return deployment.refused if deployment is not None else ""


def _trouble(memory: Memory, pods: list[PodSeen]) -> tuple[str, str] | None:
    if memory.breaker.tripped:
        return TRIPPED, memory.breaker.sentence()
    stuck = [pod for pod in pods if pod.waiting and pod.seen_running is None]
    if stuck:
        first, label = stuck[0], START_TROUBLES[stuck[0].waiting].label
        return label, (
            f"{len(stuck)} pod(s) cannot start ({first.name}: {trouble(first)}); {_ADVICE[label]}, "
            "the pods keep trying"
        )
    if memory.blocked:
        first_blocked = memory.blocked[min(memory.blocked)]
        return first_blocked.reason, first_blocked.message
    homeless = [pod for pod in pods if pod.unschedulable and not pod.node]
    if homeless and len(homeless) == len(pods):
        first = homeless[0]
        return "Unschedulable", (
            f"no node takes any of {len(homeless)} pod(s) ({first.name}: {first.unschedulable}); "
            "they wait for timeouts.start, and are tried again later"
        )
    return None


def _pool_trouble(memory: Memory, pool: Pool, refused: str) -> tuple[str, str]:
    """Say what keeps a pool from having workers: the API server, or their own doing."""
    if is_final(refused) and not any(host.does_well for host in pool.hosts):
        return "TemplateRejected", (
            f"the workers of the pool are refused: {refused}; correct worker.template, or what "
            "refuses them"
        )
    if memory.calling.tripped:
        return CANNOT_CALL, memory.calling.said
    crashed = crashing(pool, memory.pool)
    if crashed:
        first = crashed[0].pod
        return "CrashLoop", (
            f"{len(crashed)} worker(s) of the pool end before their first volume ({first.name}: "
            f"{_last_words(first.ended)}); correct worker.template or the image, they keep trying"
        )
    return "", ""


def _last_words(ended: PodSeen | None) -> str:
    if ended is None:
        return ""
    how = ended.reason if ended.reason not in {"", "Error"} else f"exit {ended.exit_code}"
    return ": ".join(filter(None, (how, ended.message.strip())))
