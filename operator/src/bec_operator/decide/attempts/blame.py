"""Whose fault failed attempts were: those of a host at fault take nothing from `retry.limit`.

And no volume is given up on the word of a single host, as long as there is another.
"""

from collections.abc import Iterator, Mapping, Sequence

from bec_operator.api.volume_task import Attempt, TaskPhase, VolumeTaskStatus
from bec_operator.decide.attempts.actions import RecordTask
from bec_operator.decide.attempts.retrying import Budget, is_final
from bec_operator.decide.hosts.at_fault import BLAMED, Hosts
from bec_operator.decide.hosts.repute import Repute
from bec_operator.decide.sight.failures import RULES, FailureClass, class_of
from bec_operator.decide.sight.seen import PodSeen, TaskSeen, failures_of

MOST_EXCUSED = 3  # attempts at a volume: one that breaks every host that it meets comes to its end


def judged(attempts: Sequence[Attempt], index: int, budget: Budget, hosts: Hosts) -> list[Attempt]:
    """Return the failed attempts at a volume with those renamed that are not to count.

    The last one is the one that has just ended.
    """
    found = excused(attempts, index, hosts, ended=True)
    last = found[-1]
    failure = class_of(last.failure)
    last_word = RULES[failure].final or (RULES[failure].timed_out and budget.timeouts_final)
    if failure in BLAMED and not last_word and is_final(failures_of(found), budget):
        where = _only_host(found, hosts)
        if where and _may_excuse(found):
            found[-1] = _renamed(last, f"nothing but {where} has tried it, and another one may")
    return found


def excused(attempts: Sequence[Attempt], index: int, hosts: Hosts, *, ended: bool) -> list[Attempt]:
    """Return the attempts with those renamed whose host is at fault for sure.

    `ended`: the last one has just ended, and is not yet held against its host.
    """
    found = list(attempts)
    for place, attempt in enumerate(found):
        failure, fresh = class_of(attempt.failure), ended and place == len(found) - 1
        if failure not in BLAMED or RULES[failure].free or not _may_excuse(found):
            continue
        said = _at_fault(attempt, index, hosts, fresh=fresh)
        if said:
            found[place] = _renamed(attempt, said)
    return found


def excuses(
    tasks: Sequence[TaskSeen], pods: Mapping[str, PodSeen], hosts: Hosts
) -> Iterator[RecordTask]:
    """Rename attempts on record of tasks that wait, now that it is clear whose fault they were."""
    if not any(seen.sure for kind in (hosts.workers, hosts.nodes) for seen in kind.hosts.values()):
        return
    for task in tasks:
        if task.phase is not TaskPhase.RETRYING or task.recorded_begun or task.pod in pods:
            continue
        attempts = excused(task.attempts, task.index, hosts, ended=False)
        if attempts != list(task.attempts):
            status = VolumeTaskStatus(
                phase=TaskPhase.RETRYING,
                attempt=attempts[-1].number,
                node=attempts[-1].node,
                progress=task.progress,
                message=attempts[-1].message,
                attempts=attempts,
            )
            yield RecordTask(task, status)


def _may_excuse(attempts: Sequence[Attempt]) -> bool:
    excused = (a for a in attempts if class_of(a.failure) is FailureClass.BAD_HOST)
    return sum(1 + attempt.repeats for attempt in excused) < MOST_EXCUSED


def _only_host(attempts: Sequence[Attempt], hosts: Hosts) -> str:
    """Return the name of the only host that a volume failed on, if there are others."""
    counted = [a for a in attempts if not RULES[class_of(a.failure)].free]
    counted += [a for a in attempts if class_of(a.failure) is FailureClass.BAD_HOST]
    workers = {attempt.pod_uid if attempt.session else "" for attempt in counted}
    nodes = {attempt.node for attempt in counted}
    last = attempts[-1]
    if hosts.more_workers and len(workers) == 1 and last.session:
        return f"worker {last.pod}"
    if len(nodes) == 1 and last.node and hosts.ran_on - nodes:
        return f"node {last.node}"
    return ""


def _at_fault(attempt: Attempt, index: int, hosts: Hosts, *, fresh: bool) -> str:
    """Say which host is at fault for an attempt; empty if none is for sure."""
    worker = hosts.workers.hosts.get(attempt.pod_uid) if attempt.session else None
    if worker is not None and _is_at_fault(worker, index, fresh=fresh):
        return f"worker {worker.name} failed {_others(worker)}"
    node = hosts.nodes.hosts.get(attempt.node)
    if node is not None and _is_at_fault(node, index, fresh=fresh):
        return f"node {node.name} failed {_others(node)}"
    return ""


def _is_at_fault(host: Repute, index: int, *, fresh: bool) -> bool:
    failed = any(deed.index == index and not deed.well for deed in host.recent)
    return host.sure and (fresh or failed)


def _others(host: Repute) -> str:
    number = max(host.outdone, 1)
    return f"{number} volume{'s' if number > 1 else ''} that others did"


def _renamed(attempt: Attempt, why: str) -> Attempt:
    said = f"does not count: {why}; it was {attempt.failure}: {attempt.message}"
    return attempt.model_copy(update={"failure": FailureClass.BAD_HOST.label, "message": said})
