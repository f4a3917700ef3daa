"""What the end of an attempt without a marker is called."""

from typing import Any

import pytest

from bec_operator.decide.attempts.ending import Ending, claims_misconfigured, classify
from bec_operator.decide.sight.failures import FailureClass
from bec_operator.decide.sight.seen import (
    Cut,
    MarkerSeen,
    MarkerState,
    PodSeen,
    Report,
    Verdict,
    WorkerSeen,
)

ABSENT = MarkerSeen(MarkerState.ABSENT, 0.0)


def _pod(**seen: Any) -> PodSeen:
    base = {"namespace": "ns", "name": "t-1", "uid": "u", "version": 1, "job": "j", "task": "t"}
    return PodSeen(**{**base, "owner_uid": "o", "worker_ended": True, **seen})


@pytest.mark.parametrize(
    ("seen", "failure", "said"),
    [
        ({"exit_code": 0}, FailureClass.MARKER_MISSING, "exit 0, but no success.json"),
        ({"exit_code": 1, "message": "boom\n"}, FailureClass.RETRYABLE, "exit 1: boom"),
        ({"exit_code": 75}, FailureClass.RETRYABLE, "exit 75"),
        ({"exit_code": 65, "message": "no pages"}, FailureClass.TERMINAL, "exit 65: no pages"),
        (
            {"exit_code": 128, "reason": "StartError", "message": 'exec: "/x": no such file'},
            FailureClass.CONTAINER_CONFIG,
            'its command cannot be run: exec: "/x": no such file',
        ),
        (
            {"exit_code": 128, "reason": "StartError", "message": "no space left on device"},
            FailureClass.RUNTIME_TROUBLE,
            "its node could not start it: no space left on device",
        ),
        ({"exit_code": 64}, FailureClass.RETRYABLE, "exit 64"),
        ({"exit_code": 78, "message": "no model"}, FailureClass.RETRYABLE, "exit 78: no model"),
        (
            {"exit_code": 78, "reported": FailureClass.MISCONFIGURED, "message": "no model"},
            FailureClass.MISCONFIGURED,
            "no model",
        ),
        ({"exit_code": 143}, FailureClass.RETRYABLE, "exit 143"),
        (
            {"exit_code": 143, "reported": FailureClass.INTERRUPTED, "message": "got SIGTERM"},
            FailureClass.INTERRUPTED,
            "got SIGTERM",
        ),
        (
            {
                "exit_code": 137,
                "reported": FailureClass.OUT_OF_MEMORY,
                "message": "the child is dead",
            },
            FailureClass.OUT_OF_MEMORY,
            "the child is dead",
        ),
        (
            {"exit_code": 65, "reported": FailureClass.RETRYABLE, "message": "what else"},
            FailureClass.TERMINAL,
            "what else",
        ),
        ({"exit_code": 137, "reason": "OOMKilled"}, FailureClass.OUT_OF_MEMORY, "its memory"),
        ({"exit_code": 143, "deleting": True}, FailureClass.DISRUPTED, "taken away: deleted"),
        ({"exit_code": 0, "deleting": True}, FailureClass.DISRUPTED, "taken away"),
        ({"disrupted": True, "reason": "Evicted"}, FailureClass.DISRUPTED, "Evicted"),
        (
            {"disrupted": True, "node": "n1", "node_lost": "node no longer exists"},
            FailureClass.NODE_LOST,
            "the node n1 is lost: node no longer exists",
        ),
        ({"exit_code": None}, FailureClass.DISRUPTED, "its status does not say why"),
    ],
)
def test_classes(seen: dict[str, Any], failure: FailureClass, said: str) -> None:
    found, message = classify(Ending(_pod(**seen), ABSENT))
    assert found is failure
    assert said in message


def test_a_pod_that_is_gone_was_taken_away() -> None:
    assert classify(Ending(None, ABSENT))[0] is FailureClass.DISRUPTED


def test_a_pod_that_is_gone_was_what_it_last_said() -> None:
    gone = _pod(disrupted=True, node="n1", node_lost="node no longer exists")
    assert classify(Ending(None, ABSENT, gone=gone)) == (
        FailureClass.NODE_LOST,
        "the node n1 is lost: node no longer exists",
    )
    quiet = classify(Ending(None, ABSENT, gone=_pod(deleting=True)))
    assert quiet == (FailureClass.DISRUPTED, "the pod is gone, and it left no marker")


def test_a_pod_that_had_ended_before_it_went_is_what_it_was() -> None:
    for seen, failure in (
        ({"exit_code": 65, "message": "bad scan"}, FailureClass.TERMINAL),
        ({"cut": Cut.STORAGE, "reason": "Evicted"}, FailureClass.STORAGE_EXCEEDED),
        ({"exit_code": 143, "deleting": True}, FailureClass.DISRUPTED),
    ):
        assert classify(Ending(None, ABSENT, gone=_pod(**seen)))[0] is failure


def test_a_marker_that_is_not_valid_is_told() -> None:
    reading = MarkerSeen(MarkerState.INVALID, 0.0, "it ends in the middle")
    failure, message = classify(Ending(_pod(exit_code=0), reading))
    assert failure is FailureClass.MARKER_MISSING
    assert "not valid: it ends in the middle" in message


def test_our_own_verdict_stands_whatever_the_pod_looks_like() -> None:
    verdict = Verdict(FailureClass.STUCK, "no progress for 30m")
    for pod in (None, _pod(exit_code=143, deleting=True), _pod(exit_code=1)):
        assert classify(Ending(pod, ABSENT, verdict=verdict)) == (
            FailureClass.STUCK,
            "no progress for 30m",
        )


def test_the_last_word_of_a_worker_whose_pod_is_gone_counts() -> None:
    report = Report(1.0, FailureClass.TERMINAL, "page 7 is torn")
    worker = WorkerSeen("u", 1, 1.0, 1.0, report=report)
    assert classify(Ending(None, ABSENT, worker)) == (FailureClass.TERMINAL, "page 7 is torn")
    done = WorkerSeen("u", 1, 1.0, 1.0, report=Report(1.0))
    assert classify(Ending(None, ABSENT, done))[0] is FailureClass.DISRUPTED


@pytest.mark.parametrize(
    ("exit_code", "failure", "claims"),
    [
        (64, FailureClass.RETRYABLE, True),
        (78, FailureClass.RETRYABLE, True),
        (None, FailureClass.RETRYABLE, False),
        (78, FailureClass.TERMINAL, False),
    ],
)
def test_a_worker_of_a_pool_passes_on_that_a_program_calls_the_job_set_up_wrongly(
    exit_code: int | None, failure: FailureClass, claims: bool
) -> None:
    report = Report(1.0, failure, "ended with an exit code", exit_code)
    pod = _pod(seat_in="w-1", report=report, exit_code=None)
    found, _ = classify(Ending(pod, ABSENT))
    assert found is failure
    assert claims_misconfigured(pod, found) is claims


def test_a_pod_that_was_evicted_counts_as_such_though_it_went_before_it_was_judged() -> None:
    """Else it would depend on how fast it goes whether the worker's SIGTERM is told instead."""
    report = Report(1.0, FailureClass.INTERRUPTED, "got SIGTERM")
    worker = WorkerSeen("p", 1, 1.0, 1.0, report=report)
    failure, _ = classify(Ending(None, ABSENT, worker, gone=_pod(disrupted=True)))
    assert failure is FailureClass.DISRUPTED
