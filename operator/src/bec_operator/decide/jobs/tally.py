"""The unsettled tasks of a job in numbers, and what troubles them."""

from collections.abc import Mapping
from dataclasses import dataclass

from bec_operator.api.pool import PoolStatus
from bec_operator.decide.attempts.starting import trouble
from bec_operator.decide.hosts.cannot_call import CANNOT_CALL
from bec_operator.decide.hosts.pool import NO_POOL, Pool, crashing
from bec_operator.decide.memory.breaker import TRIPPED
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.failures import FailureClass, failure_of_waiting
from bec_operator.decide.sight.refusals import is_over_quota, is_rejection
from bec_operator.decide.sight.seen import PodSeen, TaskSeen
from bec_operator.decide.slots.standings import Standings

_ADVICE = {
    "ImagePull": "correct the image or the pull secret in worker.template",
    "ContainerConfig": "correct worker.template, or make what it names",
    "RuntimeTrouble": "see to the container runtime of the node",
}
_OUTSIDE = {FailureClass.UNSCHEDULABLE, FailureClass.NODE_REFUSED, FailureClass.IMAGE_PULL}
"""Failures that cost a volume nothing and go on until somebody sees to what is outside of it."""


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
            trouble=_trouble(memory, [pod for pod in current if pod is not None])
            or _pool_trouble(memory, pool, refused),
            held_up=_held_up(standings, current, refused),
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


def _trouble(memory: Memory, pods: list[PodSeen]) -> tuple[str, str] | None:
    if memory.breaker.tripped:
        return TRIPPED, memory.breaker.sentence()
    starting = [pod for pod in pods if pod.seen_running is None and not pod.worker_ended]
    stuck = [pod for pod in starting if pod.waiting]
    if stuck:
        return _stuck(stuck)
    if memory.books.blocked:
        first_blocked = memory.books.blocked[min(memory.books.blocked)]
        return first_blocked.reason, first_blocked.message
    homeless = [pod for pod in pods if pod.unschedulable and not pod.node]
    if homeless and len(homeless) == len(pods):
        first = homeless[0]
        return "Unschedulable", (
            f"no node takes any of {len(homeless)} pod(s) ({first.name}: {first.unschedulable}); "
            "they wait for timeouts.node, and are tried again later"
        )
    return _heard(memory, starting)


def _stuck(pods: list[PodSeen]) -> tuple[str, str]:
    """Say that containers of pods cannot be made."""
    first = pods[0]
    failure = failure_of_waiting(first.waiting, first.waiting_message)
    label = (failure or FailureClass.CONTAINER_CONFIG).label
    return label, (
        f"{len(pods)} pod(s) cannot start ({first.name}: {trouble(first)}); {_ADVICE[label]}, "
        "the pods keep trying"
    )


def _heard(memory: Memory, starting: list[PodSeen]) -> tuple[str, str] | None:
    """Say what kubelets say of pods that take long to start."""
    names = {pod.name for pod in starting}
    if not names:
        return None
    for task in memory.books.tasks.values():
        found = memory.books.known_of(task).heard
        if task.pod not in names or found is None:
            continue
        number, heard = found
        if number == task.attempt and not heard.good:
            return heard.reason, f"a pod takes long to start ({task.pod}: {heard.message})"
    return None


def _held_up(standings: Standings, pods: list[PodSeen | None], refused: str) -> tuple[str, str]:
    """Say what pods wait for: a quota, a queue, or something outside that ended earlier ones."""
    if is_over_quota(refused):
        return "QuotaExceeded", refused
    runs = any(pod is not None and pod.seen_running is not None for pod in pods)
    gated = [pod for pod in pods if pod is not None and pod.gated and not pod.node]
    if gated:
        return "" if runs else "SchedulingGated", (
            f"{len(gated)} pod(s) wait for their scheduling gates to be lifted: {gated[0].gated}"
        )
    waiting = [task for task in standings.retrying if task.failures[-1] in _OUTSIDE]
    if not waiting:
        return "", ""
    last = max(waiting, key=lambda task: task.next_attempt)
    return "" if runs else last.failures[-1].label, (
        f"{len(waiting)} volume(s) wait for another attempt: {last.failed[-1].message}"
    )


def _pool_trouble(memory: Memory, pool: Pool, refused: str) -> tuple[str, str]:
    """Say what keeps a pool from having workers: the API server, or their own doing."""
    if is_rejection(refused) and not any(host.does_well for host in pool.hosts):
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
    where = f"init container {ended.ended_in}" if ended.ended_in else ""
    how = ended.reason if ended.reason not in {"", "Error"} else f"exit {ended.exit_code}"
    return ": ".join(filter(None, (where, how, ended.message.strip())))
