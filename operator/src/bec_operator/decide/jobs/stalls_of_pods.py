"""What stalls a Job at its pods, or has them wait: images, nodes, quotas, workers of a pool."""

from bec_operator.decide.attempts.starting import trouble
from bec_operator.decide.hosts.cannot_call import CANNOT_CALL
from bec_operator.decide.hosts.pool import Pool, crashing
from bec_operator.decide.memory.breaker import TRIPPED
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.failures import FailureClass, failure_of_waiting
from bec_operator.decide.sight.refusals import is_over_quota, is_rejection
from bec_operator.decide.sight.seen import PodSeen
from bec_operator.decide.slots.standings import Standings

_ADVICE = {
    "ImagePull": "correct the image or the pull secret in worker.template",
    "ContainerConfig": "correct worker.template, or make what it names",
    "RuntimeTrouble": "see to the container runtime of the node",
}
_OUTSIDE = {FailureClass.UNSCHEDULABLE, FailureClass.NODE_REFUSED, FailureClass.IMAGE_PULL}
"""Failures that cost a volume nothing and go on until somebody sees to what is outside of it."""


def trouble_of_pods(memory: Memory, pods: list[PodSeen]) -> tuple[str, str] | None:
    """Say what keeps pods of attempts from beginning or going well: reason and sentence."""
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


def held_up(standings: Standings, pods: list[PodSeen | None], refused: str) -> tuple[str, str]:
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


def trouble_of_pool(memory: Memory, pool: Pool, refused: str) -> tuple[str, str]:
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
