"""A running attempt: what is too long, and what people see of it meanwhile."""

from dataclasses import replace
from typing import Any

import pytest

from bec_operator.api.retry import Retry
from bec_operator.api.timeouts import Timeouts
from bec_operator.api.volume_task import Attempt, TaskPhase
from bec_operator.decide.attempts.actions import RecordHeartbeat, StopPod
from bec_operator.decide.attempts.record import Shown
from bec_operator.decide.attempts.running import accompany, is_record_due
from bec_operator.decide.attempts.timeouts import overdue
from bec_operator.decide.attempts.view import Limits, TaskView
from bec_operator.decide.sight.failures import FailureClass
from bec_operator.decide.sight.seen import (
    MarkerSeen,
    MarkerState,
    PodSeen,
    Report,
    TaskSeen,
    Verdict,
    WorkerSeen,
)
from bec_operator.decide.volumes.actions import ReadMarker
from bec_ops.contract.protocol import Progress
from tests.unit.decide.views import task_view

START = 1000.0
LIMITS = Limits.of(Timeouts(heartbeat="5m", progress="30m", task="6h"), Retry(limit=3))
HALF = Progress(done=240, total=480, unit="pages")
POD = PodSeen("ns", "t-1", "pod", 1, "j", "t", "task", phase="Running", seen_running=START)
TASK = TaskSeen("ns", "t", "task", 1, "j", "job", 0)


STUCK = Verdict(FailureClass.STUCK, "no progress")


def _view(after: float, worker: WorkerSeen | None = None, **seen: Any) -> TaskView:
    """Return what is seen `after` seconds after the pod began to run."""
    here = {"pods": {POD.name: POD}, "limits": LIMITS, "now": START + after}
    return task_view(**{"task": TASK, **here, "said": worker, **seen})


def _worker(called: float, moved: float | None = None, **seen: Any) -> WorkerSeen:
    moved = called if moved is None else moved
    return WorkerSeen(POD.uid, 1, START + called, START + moved, **{"progress": HALF, **seen})


@pytest.mark.parametrize(
    ("after", "worker", "failure", "said"),
    [
        (21_599, None, None, ""),  # a plain container that never calls
        (21_600, None, FailureClass.TOO_LONG, "ran for 6h0m (timeouts.task)"),
        (21_600, _worker(21_590), FailureClass.TOO_LONG, "at 240/480 pages"),
        (309, _worker(10), None, ""),
        (310, _worker(10), FailureClass.SILENT, "no sign of life for 5m (timeouts.heartbeat)"),
        (1809, _worker(1800, 10), None, ""),
        (1810, _worker(1800, 10), FailureClass.STUCK, "no progress for 30m (timeouts.progress)"),
        (2500, _worker(10, 10), FailureClass.SILENT, ""),  # the deeper cause is named
    ],
)
def test_silence_no_progress_and_too_long_are_three_things(
    after: float, worker: WorkerSeen | None, failure: FailureClass | None, said: str
) -> None:
    verdict = overdue(_view(after, worker), POD, START)
    if failure is None:
        assert verdict is None
    else:
        assert verdict is not None
        assert verdict.failure is failure
        assert said in verdict.message


@pytest.mark.parametrize(
    ("after", "worker", "failure"),
    [
        (310, _worker(10), None),
        (599, _worker(10), None),
        (600, _worker(10), FailureClass.SILENT),
        (2099, _worker(2090, 10), None),
        (2100, _worker(2090, 10), FailureClass.STUCK),
        (21_600, _worker(21_590), FailureClass.TOO_LONG),
    ],
)
def test_who_is_not_listened_to_is_neither_silent_nor_stuck(
    after: float, worker: WorkerSeen, failure: FailureClass | None
) -> None:
    """Calls were turned away 300 s after the start, and heard again from then on."""
    verdict = overdue(_view(after, worker, turned_away=START + 300), POD, START)
    assert (verdict.failure if verdict else None) is failure


def test_after_a_restart_the_times_begin_anew_but_for_that_of_the_task() -> None:
    """This process has heard nothing yet; that the worker calls stands on the pod."""
    pod = replace(POD, called_since=START - 20_000)
    assert overdue(_view(299), pod, START) is None
    assert overdue(_view(300), pod, START) == Verdict(
        FailureClass.SILENT, "no sign of life for 5m (timeouts.heartbeat)"
    )
    verdict = overdue(_view(1600, _worker(1590)), pod, START)
    assert verdict is not None
    assert verdict.failure is FailureClass.TOO_LONG


def test_an_overdue_attempt_is_ended_once() -> None:
    late = _view(310, _worker(10))
    (stop,) = accompany(late, POD)
    assert isinstance(stop, StopPod)
    assert list(accompany(late, replace(POD, deleting=True))) != [stop]
    known = Verdict(FailureClass.STUCK, "written before a crash")
    (again,) = accompany(_view(1, None), replace(POD, stopped=known))
    assert again == StopPod(replace(POD, stopped=known), known)


def test_heartbeats_are_written_at_once_and_then_now_and_then() -> None:
    def probes(view: TaskView, pod: PodSeen = POD) -> list[str]:
        return [a.message for a in accompany(view, pod) if isinstance(a, RecordHeartbeat)]

    known = replace(POD, called_since=START + 1)
    assert probes(_view(2, _worker(1))) == ["240/480 pages"]
    assert probes(_view(2, _worker(1, progress=None))) == ["the worker calls"]
    assert probes(_view(50, _worker(49), probed=START + 1), known) == []
    assert probes(_view(61, _worker(60), probed=START + 1), known) == ["240/480 pages"]
    assert probes(_view(90, _worker(0), probed=START + 1), known) == [], "nothing new is known"


def test_the_progress_reaches_the_volume_task_in_steps() -> None:
    running = Attempt(number=1, pod=POD.name, pod_uid=POD.uid)
    task = replace(TASK, phase=TaskPhase.RUNNING, attempts=(running,), progress="200/480 pages")
    worker = _worker(100)

    def due(told: Shown | None, after: float = 100) -> bool:
        return is_record_due(_view(after, worker, task=task, shown=told), POD)

    assert not is_record_due(_view(4, _worker(1)), POD), "too short to be looked at"
    assert is_record_due(_view(5, _worker(1)), POD)
    assert due(None)
    assert not due(Shown(START + 90, 0.45))
    assert due(Shown(START + 90, 0.39))
    assert due(Shown(START, 0.45), after=301)


def test_the_word_that_it_is_done_asks_for_a_look_at_the_marker() -> None:
    def looks(worker: WorkerSeen, reading: MarkerSeen | None = None) -> bool:
        view = _view(10, worker, reading=reading, probed=START + 10)
        return any(isinstance(action, ReadMarker) for action in accompany(view, POD))

    done = _worker(9, report=Report(START + 9))
    assert looks(done)
    assert not looks(done, MarkerSeen(MarkerState.ABSENT, START + 9.5))
    assert looks(done, MarkerSeen(MarkerState.ABSENT, START + 8))
    assert not looks(_worker(9, report=Report(START + 9, FailureClass.RETRYABLE)))


@pytest.mark.parametrize(("changes", "stops"), [
        ({"seat_in": "w-1", "grace": 21600.0}, True),
        ({"seat_in": "w-1", "grace": 21600.0, "stopped": STUCK}, True),  # which did not shorten it
        ({"seat_in": "w-1", "grace": 30.0, "stopped": STUCK}, False),
        ({"grace": 21600.0}, False),
])  # fmt: skip
def test_a_worker_that_is_to_go_after_its_volume_is_watched_until_then(
    changes: dict[str, Any], stops: bool
) -> None:
    """It has hours of grace; what a pod of its own has is its author's choice."""
    leaving = replace(POD, deleting=True, **changes)
    view = _view(400, _worker(10), pods={POD.name: leaving})
    assert any(isinstance(action, StopPod) for action in accompany(view, leaving)) is stops
