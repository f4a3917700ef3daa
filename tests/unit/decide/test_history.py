"""What is over goes: pods that have ended first, then their tasks, many with one request."""

from dataclasses import replace

from bec_operator.api.job import History
from bec_operator.api.names import pod_name
from bec_operator.api.volume_task import TaskPhase
from bec_operator.decide.attempts.actions import DeletePod, DeletePods, DeleteTasks
from bec_operator.decide.jobs.ended_tasks import DELETED_AT_ONCE, LANES, tidy_history
from bec_operator.decide.sight.action import Action
from bec_operator.decide.sight.seen import PodSeen, TaskSeen

NOTHING = History(succeeded=0, failed=0)


def _task(number: int) -> TaskSeen:
    return TaskSeen(
        "ns", f"t{number}", f"u{number}", number, "j", "j", number, phase=TaskPhase.SUCCEEDED
    )


def _pod(number: int, phase: str = "Succeeded") -> PodSeen:
    task = _task(number)
    return PodSeen("ns", task.pod, f"p{number}", 1, "j", task.name, task.uid, phase=phase)


def _tidied(tasks: list[TaskSeen], *pods: PodSeen, history: History = NOTHING) -> list[Action]:
    return list(tidy_history(tasks, history, {pod.name: pod for pod in pods}))


def test_a_pod_that_has_ended_goes_before_its_task() -> None:
    tasks, pod = [_task(1), _task(2)], _pod(1)
    assert _tidied(tasks, pod) == [DeletePods((pod,), 1), DeleteTasks((tasks[1],), 0)]
    assert _tidied(tasks) == [DeleteTasks((tasks[0],), 1), DeleteTasks((tasks[1],), 0)]


def test_a_task_does_not_wait_for_a_pod_that_takes_its_time() -> None:
    task, running = _task(1), _pod(1, "Running")
    assert _tidied([task], running) == [DeletePod(running), DeleteTasks((task,), 1)]
    ending = replace(_pod(1), deleting=True)  # though it has ended: somebody's finalizer keeps it
    assert _tidied([task], ending) == [DeleteTasks((task,), 1)]


def test_a_pod_of_another_task_of_the_name_stays() -> None:
    task = _task(1)
    other = replace(_pod(1), name=pod_name(task.name, 1), owner_uid="older")
    assert _tidied([task], other) == [DeleteTasks((task,), 1)]


def test_so_many_go_with_one_request_and_so_many_requests_at_once() -> None:
    most = DELETED_AT_ONCE * LANES
    tasks = [_task(number) for number in range(most + 100)]
    pods = [_pod(number) for number in range(most + 100)]
    first = _tidied(tasks, *pods)
    assert first == [DeletePods(tuple(pods[lane:most:LANES]), lane) for lane in range(LANES)]
    second = _tidied(tasks)
    assert second == [DeleteTasks(tuple(tasks[lane:most:LANES]), lane) for lane in range(LANES)]
    assert len({action.key for action in first + second}) == 2 * LANES


def test_history_stays() -> None:
    tasks = [_task(number) for number in range(3)]
    assert _tidied(tasks, history=History(succeeded=2, failed=0)) == [DeleteTasks((tasks[2],), 0)]
