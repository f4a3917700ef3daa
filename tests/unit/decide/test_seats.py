"""Attempts in workers of a pool: when one is under way, and what ended it."""

from dataclasses import replace
from typing import Any

import pytest

from bec_operator.api.names import pod_name
from bec_operator.api.volume_task import Attempt, TaskPhase
from bec_operator.decide.attempts.ending import Ending, classify
from bec_operator.decide.hosts.seats import REPLACED_AFTER, Seating, seats_of
from bec_operator.decide.sight.failures import FailureClass
from bec_operator.decide.sight.moments import iso
from bec_operator.decide.sight.pool_seen import PoolPod, PoolWorker
from bec_operator.decide.sight.seen import (
    MarkerSeen,
    MarkerState,
    PodSeen,
    Report,
    TaskSeen,
    WorkerSeen,
)

NOW = 1_800_000_000.0
BEGUN = Attempt(number=1, pod="w-1", pod_uid="uid-w", session="mine", start_time=iso(NOW - 100))
TASK = TaskSeen("ns", "t", "uid-t", 1, "j", "uid-j", 0, TaskPhase.RUNNING, attempts=(BEGUN,))
POD = PodSeen("ns", "w-1", "uid-w", 1, "j", "", "uid-rs", phase="Running", node="n1")
HOST = PoolPod(POD, "pool-a", ready=True, runs=True)
WORKER = PoolWorker("uid-w", "mine", NOW - 200, has=("uid-t", 1))
ABSENT = MarkerSeen(MarkerState.ABSENT, NOW)


def seat(
    host: PoolPod | None = HOST,
    worker: PoolWorker | None = WORKER,
    told: WorkerSeen | None = None,
    task: TaskSeen = TASK,
) -> PodSeen | None:
    hosts = {host.uid: host} if host is not None else {}
    found = seats_of([task], hosts, lambda _: worker, lambda _: told, lambda _: Seating(), NOW)
    return found.get(pod_name("t", len(task.failed) + 1))


def ended(**seen: Any) -> PoolPod:
    """A pod in which a process has ended, and nothing runs."""
    end = replace(POD, worker_ended=True, end_time=iso(NOW - 1), **seen)
    return replace(HOST, ready=False, runs=False, ended=end)


def told(failure: FailureClass | None, attempt: int = 1, pod_uid: str = "uid-w") -> WorkerSeen:
    return WorkerSeen(pod_uid, attempt, NOW, NOW, report=Report(NOW, failure, "no pages"))


def test_it_is_like_a_pod_of_its_own() -> None:
    found = seat()
    assert found is not None
    assert (found.name, found.task, found.owner_uid) == ("t-1", "t", "uid-t")
    assert (found.real_name, found.uid, found.node) == ("w-1", "uid-w", "n1")
    assert found.alive
    assert not found.worker_ended
    assert found.called_since == NOW - 100, "its time-outs go on after a restart"


@pytest.mark.parametrize(
    "task",
    [
        replace(TASK, attempts=()),  # not begun
        replace(TASK, phase=TaskPhase.SUCCEEDED),  # over
        replace(TASK, attempts=(BEGUN.model_copy(update={"session": ""}),)),  # a pod of its own
        replace(TASK, attempts=(BEGUN.model_copy(update={"failure": "Silent"}),)),
    ],
)
def test_who_has_none(task: TaskSeen) -> None:
    assert seat(task=task) is None


def test_a_pod_that_is_gone_has_none() -> None:
    assert seat(host=None) is None


@pytest.mark.parametrize(
    ("host", "worker", "report", "failure", "said"),
    [
        (HOST, WORKER, told(FailureClass.TERMINAL), FailureClass.TERMINAL, "no pages"),
        (HOST, WORKER, told(None), FailureClass.MARKER_MISSING, "says done"),
        (ended(exit_code=137, reason="OOMKilled"), WORKER, None, FailureClass.OUT_OF_MEMORY, ""),
        (ended(exit_code=65), None, None, FailureClass.TERMINAL, "exit 65"),
        (
            replace(ended(exit_code=137, reason="OOMKilled"), runs=True, ready=True),
            replace(WORKER, session="next"),
            None,
            FailureClass.OUT_OF_MEMORY,
            "",
        ),
        (HOST, replace(WORKER, session="next"), None, FailureClass.RETRYABLE, "another one"),
        (
            HOST,
            replace(WORKER, has=("other", 1), left=frozenset({("uid-t", 1)})),
            None,
            FailureClass.INTERRUPTED,
            "another volume",
        ),
    ],
)
def test_what_ends_it(
    host: PoolPod,
    worker: PoolWorker | None,
    report: WorkerSeen | None,
    failure: FailureClass,
    said: str,
) -> None:
    found = seat(host, worker, report)
    assert found is not None
    assert found.worker_ended
    what, why = classify(Ending(found, ABSENT))
    assert what is failure
    assert said in why


@pytest.mark.parametrize(
    ("host", "worker", "report"),
    [
        (HOST, None, None),  # we began anew: it will call
        (HOST, WORKER, told(FailureClass.TERMINAL, attempt=2)),  # of another attempt
        (HOST, WORKER, told(FailureClass.TERMINAL, pod_uid="other")),
        # It registered just now, and what its pod was seen to do is from before.
        (ended(exit_code=1), replace(WORKER, registered=NOW - 1), None),
        # Another process: how this one ended is about to be told.
        (HOST, replace(WORKER, session="next", registered=NOW - REPLACED_AFTER / 2), None),
    ],
)
def test_what_does_not(host: PoolPod, worker: PoolWorker | None, report: WorkerSeen | None) -> None:
    found = seat(host, worker, report)
    assert found is not None
    assert not found.worker_ended


def test_its_times_are_those_of_its_attempt() -> None:
    hosts, seating = {HOST.uid: HOST}, Seating()

    def seen(task: TaskSeen, now: float) -> dict[str, PodSeen]:
        return seats_of([task], hosts, lambda _: WORKER, lambda _: None, lambda _: seating, now)

    first = seen(TASK, NOW)["t-1"]
    again = seen(TASK, NOW + 9)["t-1"]
    assert first.seen_running == again.seen_running == NOW
    failed = BEGUN.model_copy(update={"failure": "Silent"})
    second = BEGUN.model_copy(update={"number": 2})
    task = replace(TASK, attempts=(failed, second))
    later = seen(task, NOW + 20)["t-2"]
    assert later.seen_running == NOW + 20


def test_one_that_is_on_record_but_not_yet_told_to_its_worker_goes_on() -> None:
    """The watch may tell of the record before the answer to it comes: no end, and none is kept."""
    seating, before = Seating(), replace(WORKER, has=("other", 1))

    def seen(worker: PoolWorker, report: WorkerSeen | None, now: float) -> PodSeen:
        hosts = {HOST.uid: HOST}
        (found,) = seats_of(
            [TASK], hosts, lambda _: worker, lambda _: report, lambda _: seating, now
        ).values()
        return found

    assert not seen(before, None, NOW).worker_ended
    # Whatever was taken for an end once is forgotten as soon as it is none.
    assert (
        seen(replace(before, left=frozenset({("uid-t", 1)})), None, NOW + 1).seen_ended == NOW + 1
    )
    assert not seen(WORKER, None, NOW + 2).worker_ended
    assert seen(WORKER, told(None), NOW + 3).seen_ended == NOW + 3


def test_the_end_of_the_process_before_is_not_its_end() -> None:
    """A process has died, the next one has work, and its pod has not told that it runs."""
    dead = replace(POD, worker_ended=True, exit_code=137, end_time=iso(NOW - 2), seen_ended=NOW - 2)
    host = PoolPod(dead, "pool-a", ended=dead)
    begun = BEGUN.model_copy(update={"start_time": iso(NOW - 1)})
    found = seat(host, replace(WORKER, registered=NOW - 1), task=replace(TASK, attempts=(begun,)))
    assert found is not None
    assert (found.worker_ended, found.exit_code, found.seen_ended) == (False, None, None)


NEXT = replace(WORKER, session="next", registered=NOW - 60)


@pytest.mark.parametrize(
    ("host", "worker", "report", "is_next"),
    [
        (ended(exit_code=137), WORKER, None, False),  # nothing runs: the last log is its own
        (replace(ended(exit_code=137), runs=True), NEXT, None, True),
        (ended(exit_code=137), NEXT, None, True),  # it runs, and we have not seen that yet
        (HOST, WORKER, told(FailureClass.RETRYABLE), False),  # its process goes on
        (HOST, NEXT, told(FailureClass.RETRYABLE), True),
    ],
)
def test_whose_log_it_is(
    host: PoolPod, worker: PoolWorker, report: WorkerSeen | None, is_next: bool
) -> None:
    found = seat(host, worker, report)
    assert found is not None
    assert found.worker_ended
    assert found.succeeded_by_another == is_next


def test_it_knows_since_when_its_markers_count() -> None:
    """As its worker was told, whenever it began."""
    moment = 1_790_000_000
    assert _redo_at(None) == 0
    assert _redo_at(iso(moment)) == moment


def _redo_at(told: str | None) -> int:
    found = seat(task=replace(TASK, attempts=(BEGUN.model_copy(update={"redo_at": told}),)))
    assert found is not None
    return found.redo_at
