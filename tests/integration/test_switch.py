"""The hand on the switch: suspend, go on, try again, do anew, change in mid-run."""

from datetime import UTC, datetime

import pytest

from bec_operator.decide.sight.moments import epoch
from bec_ops.contract.marker import MARKER_NAME, Marker
from tests.support.behaviours import fail, for_volumes, hang, in_turn, succeed
from tests.support.jobs import condition, counts, is_true, job, numbered, phase
from tests.support.operator_process import Operator
from tests.support.space import Space
from tests.support.waiting import until
from tests.support.workers import Workers

pytestmark = pytest.mark.usefixtures("operator")

FAILED = "Failed"


def now() -> str:
    """Return this moment as a user writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_a_suspended_job_lets_what_runs_finish_and_goes_on(space: Space, workers: Workers) -> None:
    """flamenco#217: there is a pause."""
    workers.behaviour = hang
    live = space.submit(job("paused", space.bucket, numbered(5), parallelism=2))
    workers.running(2)
    live.patch(suspend=True)
    found = live.wait_phase("Suspended")
    assert is_true(found, "Suspended")
    assert "2 still run" in condition(found, "Suspended")["message"]

    workers.release()
    found = live.wait_counts(succeeded=2, running=0)
    assert len(workers.runs.all()) == 2
    assert phase(found) == "Suspended"

    live.patch(suspend=False)
    assert counts(live.wait_complete()) == {"total": 5, "succeeded": 5}
    assert len(workers.runs.all()) == 5


def test_a_stopped_job_ends_what_runs_for_nothing(space: Space, workers: Workers) -> None:
    workers.behaviour = hang
    spec = {"parallelism": 2, "retry": {"limit": 1}, "suspend": False, "suspendMode": "Stop"}
    live = space.submit(job("stopped", space.bucket, numbered(3), **spec))
    workers.running(2)
    live.patch(suspend=True)
    live.wait_counts(running=0, retrying=2)
    assert [run for run in workers.alive() if not run.deleted] == []

    workers.behaviour = succeed
    live.patch(suspend=False)
    assert counts(live.wait_complete()) == {"total": 3, "succeeded": 3}
    stopped = [task["status"]["attempts"][0] for task in space.tasks()]
    assert sorted(attempt.get("failure", "") for attempt in stopped) == ["", "Stopped", "Stopped"]


def test_a_job_that_is_suspended_from_the_start_launches_nothing(
    space: Space, workers: Workers
) -> None:
    live = space.submit(job("held", space.bucket, numbered(2), suspend=True))
    live.wait(lambda found: counts(found).get("waiting") == 2, "all is counted")
    assert workers.runs.all() == []
    live.patch(suspend=False)
    live.wait_complete()


def test_what_failed_is_tried_again_once(space: Space, workers: Workers) -> None:
    """flamenco#218: all that failed, in one go, even of a Job that has ended."""
    workers.behaviour = for_volumes({"I1", "I3"}, fail(65, "torn"))
    live = space.submit(job("again", space.bucket, numbered(5), maxFailed="100%"))
    found = live.wait_complete()
    assert counts(found) == {"total": 5, "succeeded": 3, "failed": 2}

    workers.behaviour = for_volumes({"I3"}, fail(65, "still torn"))
    live.patch(retryFailedAt=now())
    live.wait(lambda found: counts(found).get("succeeded") == 4, "one more is done")
    found = live.wait_complete()
    assert counts(found) == {"total": 5, "succeeded": 4, "failed": 1}
    assert len(workers.runs.all()) == 7
    (task,) = [task for task in space.tasks() if task["status"]["phase"] == FAILED]
    assert task["status"]["message"] == "exit 65: still torn"
    generation = live.read()["metadata"]["generation"]
    assert found["status"]["observedGeneration"] == generation


def test_a_restart_does_not_try_again_what_was_tried_again(
    space: Space, workers: Workers, operator: Operator
) -> None:
    workers.behaviour = fail(65, "torn")
    live = space.submit(job("once", space.bucket, numbered(2), maxFailed="100%", jobId="once"))
    live.wait_complete()
    live.patch(retryFailedAt=now())
    until(lambda: len(workers.runs.all()) == 4, "both are tried again")
    live.wait_complete()
    operator.stop()
    operator.start()
    live.patch(parallelism=7)  # it is looked at again, and has nothing to do
    live.wait(
        lambda found: found["status"]["observedGeneration"] == found["metadata"]["generation"],
        "the change is seen",
    )
    assert counts(live.wait_complete()) == {"total": 2, "failed": 2}
    assert len(workers.runs.all()) == 4


def test_everything_is_done_anew(space: Space, workers: Workers) -> None:
    """Markers from before no longer count, those of this run and those that stood before it."""
    first = space.submit(job("anew", space.bucket, numbered(2), jobId="anew"))
    first.wait_complete()
    space.wait_next_second()
    wish = now()
    first.patch(redoAt=wish)
    until(lambda: len(workers.runs.all()) == 4, "both are done again")
    found = first.wait(
        lambda found: counts(found) == {"total": 2, "succeeded": 2} and is_true(found, "Complete"),
        "it is complete again",
    )
    assert phase(found) == "Complete"
    for run in workers.runs.all()[2:]:
        assert run.pod.environment["BEC_REDO_AT"] == wish
    bodies = [space.read(key) for key in space.stored() if key.endswith(MARKER_NAME)]
    echoes = [Marker.model_validate_json(body).redo_at for body in bodies]
    assert [moment and moment.strftime("%Y-%m-%dT%H:%M:%SZ") for moment in echoes] == [wish] * 2


def test_a_run_that_is_under_way_is_done_anew_as_well(space: Space, workers: Workers) -> None:
    workers.behaviour = hang
    live = space.submit(job("midway", space.bucket, numbered(1), retry={"limit": 1}))
    workers.running(1)
    live.patch(redoAt=now())
    workers.behaviour = succeed
    assert counts(live.wait_complete()) == {"total": 1, "succeeded": 1}
    (task,) = space.tasks()
    assert task["status"]["attempts"][0]["failure"] == "Stopped"
    assert len(workers.runs.all()) == 2


def test_a_bad_moment_is_refused_with_advice(space: Space) -> None:
    with pytest.raises(Exception, match="date-time"):
        space.submit(job("when", space.bucket, numbered(1), redoAt="yesterday"))


def test_parallelism_may_change_in_mid_run(space: Space, workers: Workers) -> None:
    workers.behaviour = hang
    live = space.submit(job("wider", space.bucket, numbered(6), parallelism=1))
    workers.running(1)
    live.patch(parallelism=4)
    workers.running(4)
    live.patch(parallelism=2)
    workers.release()
    assert counts(live.wait_complete()) == {"total": 6, "succeeded": 6}
    assert workers.runs.most_alive == 4


def test_a_volume_waits_ever_longer_for_its_next_attempt(space: Space, workers: Workers) -> None:
    """And holds no slot meanwhile."""
    workers.behaviour = for_volumes({"I0"}, in_turn(fail(1), succeed))
    backoff = {"initial": "4s", "max": "1m"}
    live = space.submit(
        job("later", space.bucket, numbered(3), parallelism=1, retry={"backoff": backoff})
    )
    found = live.wait_counts(succeeded=2, retrying=1)
    (task,) = [task for task in space.tasks() if task["status"]["phase"] == "Retrying"]
    (attempt,) = task["status"]["attempts"]
    until_next = epoch(task["status"]["nextAttempt"]) - epoch(attempt["endTime"])
    assert until_next > 2
    assert phase(found) == "Running"
    assert counts(live.wait_complete()) == {"total": 3, "succeeded": 3}


def test_five_in_a_row_stop_the_launches_until_one_succeeds(space: Space, workers: Workers) -> None:
    workers.behaviour = fail(75, "the model server is away")
    retry = {"limit": 100, "backoff": {"initial": "8s", "max": "8s"}}  # as far apart are the probes
    live = space.submit(job("tripped", space.bucket, numbered(40), parallelism=5, retry=retry))
    said = live.wait_stalled("RepeatedFailures")
    assert "Retryable" in said
    assert "the model server is away" in said
    began = len(workers.runs.all())
    assert began <= 12  # not forty, and not forty times a hundred

    workers.behaviour = succeed
    found = live.wait_complete(timeout=60)
    assert counts(found) == {"total": 40, "succeeded": 40}
    assert not is_true(found, "Stalled")
