"""What one pass takes in of the tasks and pods of a job, as they are now."""

from collections.abc import Callable, Mapping, Sequence

from bec_operator.api.names import task_name
from bec_operator.decide.attempts.record import TaskRecord
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.memory.telling import is_idle
from bec_operator.decide.sight.seen import PodSeen, TaskSeen, WorkerSeen
from bec_operator.decide.volumes.frontier import VolumeState
from bec_operator.decide.volumes.ledger import Outcome


def observe_tasks(memory: Memory, tasks: Sequence[TaskSeen]) -> None:
    """Take in the tasks of the job as they are now. They come before their pods."""
    books = memory.books
    if books.ledger is None:
        books.tasks = {task.index: task for task in tasks if task.owner_uid == memory.job.uid}
        return
    mine = {task.index: task for task in tasks if _is_mine(memory, task)}
    for task in [task for index, task in books.tasks.items() if mine.get(index) is not task]:
        now_there = mine.get(task.index)
        if now_there is None:
            _release(memory, task)
        elif now_there.uid != task.uid:  # made anew, unseen: nothing is known of this one
            books.forget_task(task)
    strays: list[TaskSeen] = []
    if len(mine) < len(tasks):
        ours = (task for task in tasks if task.owner_uid == memory.job.uid)
        strays = [task for task in ours if mine.get(task.index) is not task]
    if books.strays:
        for uid in {task.uid for task in books.strays} - {task.uid for task in tasks}:
            books.records.pop(uid, None)
    books.tasks, books.strays = mine, strays


def observe_attempts(
    memory: Memory,
    pods: Mapping[str, PodSeen],
    now: float,
    worker_of: Callable[[str], WorkerSeen | None] = lambda _: None,
) -> None:
    """Take in the pods of the tasks that were observed, and their seats, as they are now.

    `worker_of` says what the worker of the task of a UID has told.
    """
    books, ledger = memory.books, memory.ledger
    if ledger is None:
        return
    frontier = books.frontier
    for index, task in books.tasks.items():
        frontier[index] = VolumeState.ACTIVE
        if ledger.outcome(index) is Outcome.WAITING:
            record = books.record(task)
            _note_pod(memory, task, record, pods.get(task.pod), now)
            _note_worker(memory, task, record, worker_of(task.uid), now)
    books.blocked.update(books.old_pods.look(books.tasks, pods, now))
    idle = is_idle(memory.job.status, ledger, books.frontier, books.tasks)
    memory.telling.note_idle(idle, now)


def _is_mine(memory: Memory, task: TaskSeen) -> bool:
    """Whether the task is of this very Job, at the place of the manifest where it says."""
    books = memory.books
    record = books.records.get(task.uid)
    if record is not None and record.cached.vetted == task.index:
        return True
    if task.owner_uid != memory.job.uid or task.index >= len(books.volumes):
        return False
    if task.name != task_name(memory.job.name, books.volumes[task.index]):
        return False
    books.record(task).cached.vetted = task.index
    return True


def _release(memory: Memory, task: TaskSeen) -> None:
    """Take back a volume whose task is gone: whether it is done must be read anew."""
    books, index = memory.books, task.index
    assert books.ledger is not None
    waits = books.ledger.outcome(index) is Outcome.WAITING
    books.frontier[index] = VolumeState.UNCHECKED if waits else VolumeState.SETTLED
    books.markers.note_released(index, len(books.volumes))
    if not waits:
        books.old_pods.end(task.name)
    books.forget_task(task)


def _note_pod(
    memory: Memory, task: TaskSeen, record: TaskRecord, pod: PodSeen | None, now: float
) -> None:
    if pod is not None and pod.owner_uid == task.uid:
        record.note_pod(task.attempt, pod)
        memory.books.blocked.pop(task.index, None)
    else:
        record.note_no_pod(task.attempt, now, recorded=task.recorded_begun is not None)


def _note_worker(
    memory: Memory, task: TaskSeen, record: TaskRecord, worker: WorkerSeen | None, now: float
) -> None:
    if worker is None or worker.attempt != task.attempt:
        return
    record.note_worker(worker)
    if worker.progress is not None:
        memory.books.throughput.note(record.counted, worker.progress, now)
