"""Tasks that are over: some stay as history, the others go, with their pods."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping

from bec_operator.api.job import History
from bec_operator.api.volume_task import TaskPhase, VolumeTaskStatus
from bec_operator.decide.attempts.actions import (
    DeletePod,
    DeletePods,
    DeleteTasks,
    LayBy,
    RecordTask,
)
from bec_operator.decide.attempts.record import NO_RECORD
from bec_operator.decide.attempts.task import LINGER, failure_status, success_status
from bec_operator.decide.attempts.view import TaskView
from bec_operator.decide.jobs.scene import Scene
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.action import Action
from bec_operator.decide.sight.seen import MarkerSeen, MarkerState, PodSeen, TaskSeen
from bec_operator.decide.volumes.ledger import Outcome

DELETED_AT_ONCE = 100  # with one request, which the API server works off one by one
LANES = 2  # such requests of a kind at once
PHASES = {Outcome.SUCCEEDED: TaskPhase.SUCCEEDED, Outcome.FAILED: TaskPhase.FAILED}


def keep_history(
    tasks: Iterable[TaskSeen],
    outdated: Iterable[TaskSeen],
    view_of: Callable[[TaskSeen], TaskView],
    memory: Memory,
    history: History,
    seen: Scene,
) -> Iterator[Action]:
    """Of tasks whose end is in the ledger keep some, and delete the rest once it is stored.

    There may be hundreds, of which few need the whole view of them that `view_of` gives. Those that
    are `outdated` go in any case. One that stays, and of which no pod is alive, is laid by.
    """
    pods, now, records = seen.pods, seen.now, memory.books.records
    room, ledger, going = _room(history), memory.ledger, [*outdated]
    assert ledger is not None
    for phase, number in seen.laid_by.items():
        room[phase] -= number
    ends = [(PHASES[ledger.outcome(task.index)], task) for task in tasks]
    ends.sort(key=lambda end: (end[1].phase is not end[0], end[1].version))
    for phase, task in ends:
        reading = records.get(task.uid, NO_RECORD).reading
        yield from _end_lingerers(task, reading, pods, now)
        told = task.phase is phase
        if room[phase] > 0 and (told or _can_tell(task, reading, phase)):
            room[phase] -= 1
            if not told:
                yield RecordTask(task, _last_status(view_of(task), phase))
            elif ledger.is_stored(task.index) and not any(p.alive for p in _own_pods(task, pods)):
                yield LayBy(task)
        elif ledger.is_stored(task.index):
            going.append(task)
    yield from _remove(going, pods)


def remove_strays(strays: Iterable[TaskSeen], pods: Mapping[str, PodSeen]) -> Iterator[Action]:
    """Delete tasks whose place in the manifest is another's, with their pods once these have ended.

    They are of a list that was in another order: the ledger was made anew since, as somebody who
    deletes it wants. What their pods still do counts by its markers.
    """
    yield from _remove([t for t in strays if not any(p.alive for p in _own_pods(t, pods))], pods)


def tidy_history(
    tasks: Iterable[TaskSeen], history: History, pods: Mapping[str, PodSeen]
) -> Iterator[Action]:
    """The job has ended and its ledger is put away: what is not history goes."""
    room, going = _room(history), []
    for task in sorted(tasks, key=lambda task: task.version):
        if task.phase is not None and room.get(task.phase, 0) > 0:
            room[task.phase] -= 1
        else:
            going.append(task)
    yield from _remove(going, pods)


def _remove(tasks: Iterable[TaskSeen], pods: Mapping[str, PodSeen]) -> Iterator[Action]:
    """Delete tasks and their pods: first those that have ended, which go at once.

    If both went together, the garbage collector would look for each pod, and delete it as well.
    For a pod that takes its time a task does not wait: they would pile up.
    """
    ended: defaultdict[int, list[PodSeen]] = defaultdict(list)
    going: defaultdict[int, list[TaskSeen]] = defaultdict(list)
    for task in tasks:
        lane = task.index % LANES
        left = [pod for pod in _own_pods(task, pods) if not pod.deleting]
        running = [pod for pod in left if pod.alive]
        yield from map(DeletePod, running)
        if len(left) > len(running):
            ended[lane] += [pod for pod in left if not pod.alive]
        elif not task.deleting:
            going[lane].append(task)
    for lane, pods_of_lane in ended.items():
        yield DeletePods(tuple(pods_of_lane[:DELETED_AT_ONCE]), lane)
    for lane, tasks_of_lane in going.items():
        yield DeleteTasks(tuple(tasks_of_lane[:DELETED_AT_ONCE]), lane)


def _can_tell(task: TaskSeen, reading: MarkerSeen | None, phase: TaskPhase) -> bool:
    """Whether it is still known what a settled task should say."""
    return bool(task.failed) if phase is TaskPhase.FAILED else reading is not None


def _last_status(view: TaskView, phase: TaskPhase) -> VolumeTaskStatus:
    return failure_status(view) if phase is TaskPhase.FAILED else success_status(view)


def _end_lingerers(
    task: TaskSeen, reading: MarkerSeen | None, pods: Mapping[str, PodSeen], now: float
) -> Iterator[Action]:
    """The task is over, and still a pod of it runs on, or a sidecar does, and holds a slot."""
    valid = reading is not None and reading.state is MarkerState.VALID
    late = valid and reading is not None and now - reading.asked >= LINGER
    for pod in _own_pods(task, pods):
        if pod.alive and not pod.deleting and (late or pod.worker_ended):
            yield DeletePod(pod)


def _own_pods(task: TaskSeen, pods: Mapping[str, PodSeen]) -> Iterator[PodSeen]:
    for name in task.pods:
        pod = pods.get(name)
        if pod is not None and pod.owner_uid == task.uid:
            yield pod


def _room(history: History) -> dict[TaskPhase, int]:
    """Return how many tasks that ended in each way may stay."""
    return {TaskPhase.SUCCEEDED: history.succeeded, TaskPhase.FAILED: history.failed}
