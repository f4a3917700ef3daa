"""What one pass takes in of the tasks and pods of a job, as they are now."""

from collections.abc import Callable, Mapping, Sequence

from bec_operator.api.names import task_name
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.memory.telling import is_idle
from bec_operator.decide.sight.seen import PodSeen, TaskSeen, WorkerSeen
from bec_operator.decide.volumes.frontier import Look
from bec_operator.decide.volumes.ledger import Outcome


def observe(
    memory: Memory,
    tasks: Sequence[TaskSeen],
    pods: Mapping[str, PodSeen],
    now: float,
    worker_of: Callable[[str], WorkerSeen | None] = lambda _: None,
) -> None:
    """Take in the tasks and pods of the job as they are now.

    `worker_of` says what the worker of the task of a UID has told.
    """
    if memory.ledger is None:
        memory.tasks = {task.index: task for task in tasks if task.owner_uid == memory.job.uid}
        return
    mine = {task.index: task for task in tasks if _is_mine(memory, task)}
    for gone in memory.tasks.keys() - mine.keys():
        _release(memory, gone, memory.tasks[gone])
    memory.strays = ()
    if len(mine) < len(tasks):
        ours = (task for task in tasks if task.owner_uid == memory.job.uid)
        memory.strays = [task for task in ours if mine.get(task.index) is not task]
    for index, task in mine.items():
        memory.frontier[index] = Look.ACTIVE
        if memory.ledger.outcome(index) is Outcome.WAITING:
            _note_pod(memory, task, pods, now)
            _note_worker(memory, task, worker_of(task.uid), now)
    memory.tasks = mine
    memory.blocked.update(memory.old_pods.look(mine, pods, now))
    memory.telling.note_idle(is_idle(memory.job.status, memory.ledger, memory.frontier, mine), now)


def _is_mine(memory: Memory, task: TaskSeen) -> bool:
    """Whether the task is of this very Job, at the place of the manifest where it says."""
    if memory.vetted.get(task.uid) == task.index:
        return True
    if task.owner_uid != memory.job.uid or task.index >= len(memory.volumes):
        return False
    if task.name != task_name(memory.job.name, memory.volumes[task.index]):
        return False
    memory.vetted[task.uid] = task.index
    return True


def _release(memory: Memory, index: int, task: TaskSeen) -> None:
    """Take back a volume whose task is gone: whether it is done must be read anew."""
    assert memory.ledger is not None
    waits = memory.ledger.outcome(index) is Outcome.WAITING
    memory.frontier[index] = Look.UNCHECKED if waits else Look.SETTLED
    if memory.swept < len(memory.volumes):
        memory.released.add(index)
    if not waits:
        memory.old_pods.end(task.name)
    memory.forget_task(index, task)


def _note_pod(memory: Memory, task: TaskSeen, pods: Mapping[str, PodSeen], now: float) -> None:
    attempt, pod = task.attempt, pods.get(task.pod)
    if pod is not None and pod.owner_uid == task.uid:
        memory.started[task.uid] = attempt
        memory.unsure.discard(task.uid)
        memory.blocked.pop(task.index, None)
        memory.lost.pop(task.uid, None)
        if pod.stopped is not None:
            memory.notes_of(task).verdict = (attempt, pod.stopped)
    elif memory.started.get(task.uid) == attempt or task.recorded_begun is not None:
        memory.lost.setdefault(task.uid, now)
    else:
        memory.lost.pop(task.uid, None)


def _note_worker(memory: Memory, task: TaskSeen, worker: WorkerSeen | None, now: float) -> None:
    if worker is None or worker.attempt != task.attempt:
        return
    notes = memory.notes_of(task)
    if notes.worker is not None and notes.worker.pod_uid != worker.pod_uid:
        memory.throughput.forget(task.uid)
    notes.worker = worker
    if worker.progress is not None:
        memory.throughput.note(task.uid, worker.progress, now)
