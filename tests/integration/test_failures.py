"""What does not go well: every way to fail has its class, its sentence and its consequence."""

import json
from typing import Any

import pytest

from bec_operator.api.names import task_name
from bec_ops.contract.volume import Volume
from tests.support.behaviours import (
    Behaviour,
    be_evicted,
    break_off,
    fail,
    fail_beside_sidecar,
    for_volumes,
    hang,
    in_turn,
    lie,
    mark_and_vanish,
    run_out_of_memory,
    stay_pending,
    succeed,
    succeed_and_crash,
    succeed_and_vanish,
    succeed_beside_sidecar,
    vanish,
)
from tests.support.jobs import condition, counts, is_true, job, numbered
from tests.support.pods import PlayedPod
from tests.support.space import Space
from tests.support.waiting import until
from tests.support.workers import Workers

pytestmark = pytest.mark.usefixtures("operator")

Attempts = list[dict[str, Any]]


def attempts(space: Space) -> Attempts:
    """Return the recorded attempts of the one VolumeTask that there is."""
    (task,) = space.tasks()
    found: Attempts = task["status"]["attempts"]
    return found


def mistake_the_volume(pod: PlayedPod) -> None:
    """Write a good marker, of some other volume."""
    marker = {**json.loads(pod.task.marker().dump()), "volume": {"w_id": "W9"}}
    pod.start()
    pod.put_marker(json.dumps(marker).encode())
    pod.end(0)


FATAL: dict[str, tuple[Behaviour, str, str]] = {
    "no marker": (lie, "MarkerMissing", "exit 0, but no success.json at the output location"),
    "truncated marker": (break_off, "MarkerMissing", "exit 0, but the marker is not valid"),
    "marker of another volume": (
        mistake_the_volume,
        "MarkerMissing",
        "the marker is of another volume",
    ),
    "exit 1": (fail(1, "page 7 is torn"), "Retryable", "exit 1: page 7 is torn"),
    "out of memory": (run_out_of_memory, "OutOfMemory", "killed for its memory"),
}


@pytest.mark.parametrize("case", FATAL)
def test_it_is_tried_as_often_as_allowed(space: Space, workers: Workers, case: str) -> None:
    workers.behaviour, failure, says = FATAL[case]
    live = space.submit(job("limit", space.bucket, numbered(1), retry={"limit": 3}))

    found = live.wait_phase("Failed")

    assert counts(found) == {"total": 1, "failed": 1}
    assert condition(found, "Failed")["reason"] == "TooManyFailed"
    assert is_true(found, "Failed")
    workers.runs.check_one_pod_per_attempt()
    assert [run.pod.task.attempt for run in workers.runs.all()] == [1, 2, 3]
    told = attempts(space)
    assert [attempt["failure"] for attempt in told] == [failure] * 3
    assert [attempt["podUid"] for attempt in told] == [run.pod.uid for run in workers.runs.all()]
    assert all(says in attempt["message"] for attempt in told)


@pytest.mark.parametrize("case", FATAL)
def test_a_later_attempt_may_succeed(space: Space, workers: Workers, case: str) -> None:
    bad, failure, _ = FATAL[case]
    workers.behaviour = in_turn(bad, bad, succeed)
    live = space.submit(job("third", space.bucket, numbered(1), retry={"limit": 3}))

    assert counts(live.wait_complete()) == {"total": 1, "succeeded": 1}

    workers.runs.check_one_pod_per_attempt()
    assert len(workers.runs.all()) == 3
    until(lambda: len(attempts(space)) == 3, "three attempts are recorded")
    assert [attempt.get("failure", "") for attempt in attempts(space)] == [failure, failure, ""]


def test_exit_65_is_final(space: Space, workers: Workers) -> None:
    workers.behaviour = fail(65, "the images are not of a page")
    live = space.submit(job("final", space.bucket, numbered(1), retry={"limit": 9}))

    assert counts(live.wait_phase("Failed")) == {"total": 1, "failed": 1}

    assert len(workers.runs.all()) == 1
    (attempt,) = attempts(space)
    assert (attempt["failure"], attempt["exitCode"]) == ("Terminal", 65)
    assert attempt["message"] == "exit 65: the images are not of a page"


def test_a_marker_beats_the_exit_code(space: Space, workers: Workers) -> None:
    workers.behaviour = succeed_and_crash
    live = space.submit(job("beats", space.bucket, numbered(3)))
    assert counts(live.wait_complete()) == {"total": 3, "succeeded": 3}
    workers.runs.check_each_ran_once(3)


def test_a_sidecar_does_not_hold_up_a_success(space: Space, workers: Workers) -> None:
    workers.behaviour = succeed_beside_sidecar
    live = space.submit(job("side", space.bucket, numbered(4), parallelism=2))
    assert counts(live.wait_complete()) == {"total": 4, "succeeded": 4}
    workers.runs.check_each_ran_once(4)


def test_a_sidecar_of_an_old_attempt_goes_before_the_next(space: Space, workers: Workers) -> None:
    workers.behaviour = in_turn(fail_beside_sidecar, succeed)
    live = space.submit(job("oldside", space.bucket, numbered(2)))
    assert counts(live.wait_complete()) == {"total": 2, "succeeded": 2}
    workers.runs.check_one_pod_per_attempt()
    assert len(workers.runs.all()) == 4


TAKEN_AWAY: dict[str, Behaviour] = {"pending": stay_pending, "running": hang}


@pytest.mark.parametrize("grace", [0, 30], ids=["by force", "with grace"])
@pytest.mark.parametrize("state", TAKEN_AWAY)
def test_a_pod_that_is_taken_away_costs_nothing(
    space: Space, workers: Workers, state: str, grace: int
) -> None:
    """argo-workflows#893, #1414, #13951: while it is pending, or running."""
    workers.behaviour = in_turn(TAKEN_AWAY[state], TAKEN_AWAY[state], succeed)
    live = space.submit(job("taken", space.bucket, numbered(1), retry={"limit": 1}))
    for number in (1, 2):
        run = workers.nth(number, "Running" if state == "running" else "Pending")
        space.kube.delete(run.pod.path, uid=run.pod.uid, grace=grace)

    assert counts(live.wait_complete()) == {"total": 1, "succeeded": 1}

    workers.runs.check_one_pod_per_attempt()
    assert len(workers.runs.all()) == 3
    until(lambda: len(attempts(space)) == 3, "three attempts are recorded")
    failures = [attempt.get("failure", "") for attempt in attempts(space)]
    assert failures == ["Disrupted", "Disrupted", ""]


def test_a_worker_may_end_well_in_the_grace_of_its_deletion(space: Space, workers: Workers) -> None:
    workers.behaviour = hang
    workers.stubborn = True
    live = space.submit(job("grace", space.bucket, numbered(2), parallelism=1))
    (run,) = workers.running(1)
    space.kube.delete(run.pod.path, grace=60)
    until(lambda: "deletionTimestamp" in space.pods()[0]["metadata"], "the pod is to go")
    live.wait_counts(running=1, waiting=1)

    workers.release()
    assert counts(live.wait_complete()) == {"total": 2, "succeeded": 2}
    workers.runs.check_each_ran_once(2)


def test_a_pod_that_is_deleted_at_once(space: Space, workers: Workers) -> None:
    """Its end may be seen before the API server has answered that it was made."""
    workers.behaviour = in_turn(vanish, vanish, vanish, succeed)
    live = space.submit(job("at-once", space.bucket, numbered(10), retry={"limit": 1}))

    assert counts(live.wait_complete()) == {"total": 10, "succeeded": 10}

    workers.runs.check_one_pod_per_attempt()
    assert len(workers.runs.all()) == 40


def test_an_eviction_costs_nothing(space: Space, workers: Workers) -> None:
    """argo-workflows#9880, #2881, nextflow#2361: it is a disruption, and no failure."""
    workers.behaviour = in_turn(be_evicted, succeed)
    live = space.submit(job("evicted", space.bucket, numbered(1), retry={"limit": 1}))

    assert counts(live.wait_complete()) == {"total": 1, "succeeded": 1}

    until(lambda: len(attempts(space)) == 2, "two attempts are recorded")
    first = attempts(space)[0]
    assert first["failure"] == "Disrupted"
    assert "Evicted" in first["message"]


def test_a_pod_that_is_deleted_as_it_ends_has_succeeded(space: Space, workers: Workers) -> None:
    workers.behaviour = succeed_and_vanish
    live = space.submit(job("vanish", space.bucket, numbered(8), parallelism=4))
    assert counts(live.wait_complete()) == {"total": 8, "succeeded": 8}
    workers.runs.check_each_ran_once(8)


def test_a_pod_that_vanishes_after_its_marker_has_succeeded(space: Space, workers: Workers) -> None:
    workers.behaviour = hang
    live = space.submit(job("gone", space.bucket, numbered(1), retry={"limit": 1}))
    (run,) = workers.running(1)

    workers.play(run, mark_and_vanish)

    assert counts(live.wait_complete()) == {"total": 1, "succeeded": 1}
    workers.runs.check_each_ran_once(1)


def test_a_few_failures_are_allowed(space: Space, workers: Workers) -> None:
    workers.behaviour = for_volumes({"I3", "I7"}, fail(65, "torn"))
    live = space.submit(job("few", space.bucket, numbered(10), maxFailed="20%"))

    found = live.wait_complete()

    assert counts(found) == {"total": 10, "succeeded": 8, "failed": 2}
    assert condition(found, "Complete")["reason"] == "CompletedWithFailures"
    assert condition(found, "Complete")["message"] == "2 of 10 volumes failed: Terminal 2"
    names = [task_name("few", Volume("W1", f"I{n}", "v1")) for n in (3, 7)]
    said = space.kubectl("get", "vt", "--field-selector=status.phase=Failed", "-o", "name")
    assert sorted(said.split()) == sorted(f"volumetask.bec.bdrc.io/{name}" for name in names)


def test_too_many_failures_end_the_job_when_the_last_worker_ends(
    space: Space, workers: Workers
) -> None:
    workers.behaviour = for_volumes({"I0", "I1", "I2"}, fail(65), hang)
    live = space.submit(job("many", space.bucket, numbered(20), parallelism=4, maxFailed=2))
    live.wait_counts(failed=3)
    started = len(workers.runs.all())
    assert started <= 7  # three that failed, and the window

    live.wait_counts(failed=3, running=started - 3)
    assert not is_true(live.read(), "Failed")
    workers.release()
    found = live.wait_phase("Failed")

    assert counts(found) == {
        "total": 20,
        "failed": 3,
        "succeeded": started - 3,
        "waiting": 20 - started,
    }
    assert condition(found, "Failed")["reason"] == "TooManyFailed"
    assert condition(found, "Failed")["message"] == (
        "3 of 20 volumes failed: Terminal 3; maxFailed allows 2"
    )
    assert len(workers.runs.all()) == started
    (told,) = space.events("many", "TooManyFailed")
    assert told["type"] == "Warning"


def test_the_report_names_every_failed_volume(space: Space, workers: Workers) -> None:
    bad = {f"I{number}" for number in range(0, 40, 2)}
    workers.behaviour = for_volumes(bad, fail(65, "torn"))
    history = {"succeeded": 0, "failed": 3}
    live = space.submit(
        job("report", space.bucket, numbered(40), maxFailed="100%", parallelism=8, history=history)
    )

    found = live.wait_complete(timeout=60)

    assert counts(found) == {"total": 40, "succeeded": 20, "failed": 20}
    lines = space.reported("report")
    assert {line["iId"] for line in lines} == bad
    assert {line["index"] for line in lines} == set(range(0, 40, 2))
    assert len(lines) == 20
    uid = found["metadata"]["uid"]
    for line in lines:
        assert line["jobUid"] == uid
        assert (line["wId"], line["iVersion"], line["class"]) == ("W1", "v1", "Terminal")
        assert line["message"] == "exit 65: torn"
        assert [attempt["number"] for attempt in line["attempts"]] == [1]
    until(lambda: len(space.tasks()) == 3, "three VolumeTasks are left as history")
