"""Jobs that depend on each other, on a real API server and S3: who starts when, what is said."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from bec_ops.contract.volume import Volume
from bec_ops.link.environment import Surroundings
from tests.integration.conftest import MakeOperator
from tests.support.behaviours import Behaviour, fail, hang, succeed
from tests.support.jobs import LiveJob, condition, counts, is_true, job, numbered
from tests.support.operator_process import Operator
from tests.support.pods import PlayedPod
from tests.support.runs import Run
from tests.support.space import Space
from tests.support.waiting import until
from tests.support.workers import Workers

LDV1: dict[str, Any] = {"job": "ldv1"}
TORN = fail(65, "page 7 is no image")
MARKER = b'{"worker_id": "w", "success_timestamp": "2026-11-25T09:30:00Z"}'


@pytest.fixture(scope="module", autouse=True)
def operator(make_operator: MakeOperator) -> Iterator[Operator]:
    """An operator that looks for artefacts of others every second."""
    with make_operator(gate_seconds=1) as operator:
        yield operator


def apply(space: Space, name: str, *needs: dict[str, Any], count: int = 3, **more: Any) -> LiveJob:
    """Make a Job over the same volumes as all the others."""
    return space.submit(job(name, space.bucket, numbered(count), dependsOn=list(needs), **more))


def per_job(**behaviours: Behaviour) -> Behaviour:
    """Let the workers of each job do something else; those of others hang."""
    return lambda pod: behaviours.get(pod.job, hang)(pod)


def volumes(workers: Workers, name: str) -> set[str]:
    """Return the volumes of a job that have been started."""
    return {run.pod.task.i_id for run in workers.runs.all() if run.pod.job == name}


def pod_of(workers: Workers, name: str, i_id: str) -> Run:
    """Wait until the pod of a volume runs."""

    def look() -> list[Run]:
        alive = [run for run in workers.alive() if run.phase == "Running"]
        return [run for run in alive if (run.pod.job, run.pod.task.i_id) == (name, i_id)]

    return until(look, f"{name} runs on {i_id}")[0]


def test_a_chain_applied_in_the_wrong_order(space: Space, workers: Workers) -> None:
    """Each volume goes on right after its own, not after all of them."""
    workers.behaviour = hang
    ner = apply(space, "ner", {"job": "ocr"})
    message = ner.wait_stalled("DependencyMissing")
    assert message == (
        "Job ocr is not there; apply it, or name its artefacts with jobId and output"
    )
    ocr = apply(space, "ocr", LDV1)
    ocr.wait_stalled("DependencyMissing")
    ldv1 = apply(space, "ldv1")
    workers.running(3)
    found = ocr.wait(
        lambda found: condition(found, "Ready")["message"].endswith("; 3 volumes wait for ldv1"),
        "it says what it waits for",
    )
    assert is_true(found, "Ready")
    ocr.wait_counts(waiting=3)
    assert volumes(workers, "ocr") == set()

    workers.play(pod_of(workers, "ldv1", "I1"), succeed)
    first = pod_of(workers, "ocr", "I1")
    assert volumes(workers, "ocr") == {"I1"}
    assert volumes(workers, "ner") == set()
    workers.play(first, succeed)
    pod_of(workers, "ner", "I1")
    assert (volumes(workers, "ocr"), volumes(workers, "ner")) == ({"I1"}, {"I1"})

    workers.release()
    for live in (ldv1, ocr, ner):
        assert counts(live.wait_complete()) == {"total": 3, "succeeded": 3}
    workers.runs.check_each_ran_once(9)


def test_a_diamond(space: Space, workers: Workers) -> None:
    workers.behaviour = per_job(scan=succeed)
    sides = [apply(space, name, {"job": "scan"}) for name in ("left", "right")]
    ocr = apply(space, "ocr", {"job": "left"}, {"job": "right"})
    apply(space, "scan").wait_complete()
    workers.running(6)
    workers.play(pod_of(workers, "left", "I0"), succeed)
    sides[0].wait_counts(succeeded=1)
    ocr.wait(
        lambda found: (
            "2 volumes wait for left, 3 for right" in condition(found, "Ready")["message"]
        ),
        "it says what it waits for",
    )
    assert volumes(workers, "ocr") == set()
    workers.play(pod_of(workers, "right", "I0"), succeed)
    pod_of(workers, "ocr", "I0")
    assert volumes(workers, "ocr") == {"I0"}
    workers.release()
    assert counts(ocr.wait_complete()) == {"total": 3, "succeeded": 3}


def test_workers_learn_where_their_dependencies_write(space: Space, workers: Workers) -> None:
    other = {"bucket": space.bucket, "prefix": "lines/{job_id}/{w_id}/{i_id}-{i_version}/"}
    apply(space, "lines", jobId="ldv1", output=other).wait_complete()
    layout = {"jobId": "layout", "output": {"bucket": space.bucket}}
    space.put("artefacts/layout/W1-I0-v1/success.json", MARKER)
    apply(space, "ocr", {"job": "lines"}, layout, count=1).wait_complete()
    (run,) = [run for run in workers.runs.all() if run.pod.job == "ocr"]
    told = json.loads(run.pod.environment["BEC_DEPENDENCIES"])
    default = "artefacts/{job_id}/{w_id}-{i_id}-{i_version}/"
    assert told == {"ldv1": other, "layout": {"bucket": space.bucket, "prefix": default}}
    known = Surroundings.from_environment(run.pod.environment).dependencies
    assert known["ldv1"].prefix == other["prefix"]


def test_artefacts_alone(space: Space, workers: Workers) -> None:
    """Another version of the volume, and what is no marker, open nothing."""
    workers.behaviour = hang
    space.put("artefacts/ldv1/W1-I0-v1/success.json", MARKER)
    space.put("artefacts/ldv1/W1-I1-v2/success.json", MARKER)
    space.put("artefacts/ldv1/W1-I2-v1/success.json", MARKER[:20])
    ocr = apply(space, "ocr", {"jobId": "ldv1", "output": {"bucket": space.bucket}})
    pod_of(workers, "ocr", "I0")
    ocr.wait_counts(running=1, waiting=2)

    space.put("artefacts/ldv1/W1-I2-v1/success.json", MARKER)
    pod_of(workers, "ocr", "I2")
    assert volumes(workers, "ocr") == {"I0", "I2"}
    space.put("artefacts/ldv1/W1-I1-v1/success.json", MARKER)
    workers.release()
    assert counts(ocr.wait_complete()) == {"total": 3, "succeeded": 3}


def test_a_bucket_that_is_not_there(space: Space, workers: Workers) -> None:
    del workers
    gone = f"{space.bucket}-gone"
    ocr = apply(space, "ocr", {"jobId": "ldv1", "output": {"bucket": gone}})
    message = ocr.wait_stalled("BucketNotFound")
    assert message == f"dependsOn ldv1: the bucket s3://{gone} does not exist"
    space.put("artefacts/ldv1/W1-I0-v1/success.json", MARKER)
    ocr.patch(dependsOn=[{"jobId": "ldv1", "output": {"bucket": space.bucket}}])
    ocr.wait_counts(succeeded=1, waiting=2)
    assert not is_true(ocr.read(), "Stalled")


def test_a_volume_that_the_other_job_does_not_have(space: Space, workers: Workers) -> None:
    """Its marker will do, whoever writes it."""
    workers.behaviour = per_job(ldv1=succeed, ocr=succeed)
    apply(space, "ldv1", count=2)
    ocr = apply(space, "ocr", LDV1)
    ocr.wait_counts(succeeded=2, waiting=1)
    space.put("artefacts/ldv1/W1-I2-v1/success.json", MARKER)
    assert counts(ocr.wait_complete()) == {"total": 3, "succeeded": 3}


def test_another_version_does_not_open(space: Space, workers: Workers) -> None:
    new = [Volume("W1", "I0", "v2"), Volume("W1", "I1", "v1")]
    apply(space, "ldv1").wait_complete()
    ocr = space.submit(job("ocr", space.bucket, new, dependsOn=[LDV1]))
    ocr.wait_counts(succeeded=1, waiting=1)
    ran = {run.pod.task.volume for run in workers.runs.all() if run.pod.job == "ocr"}
    assert ran == {new[1]}


def test_ended_long_ago(space: Space, workers: Workers, operator: Operator) -> None:
    """The operator knows nothing of it any more but what is stored."""
    workers.behaviour = torn_at("I1")
    apply(space, "ldv1", maxFailed="100%").wait_complete()
    operator.kill()
    operator.start()
    ocr = apply(space, "ocr", {**LDV1, "onFailure": "Skip"})
    found = ocr.wait_complete()
    assert counts(found) == {"total": 3, "succeeded": 2, "skipped": 1}
    assert volumes(workers, "ocr") == {"I0", "I2"}


def torn_at(*i_ids: str) -> Behaviour:
    """Let line detection fail for good at some volumes; all else goes well."""

    def behaviour(pod: PlayedPod) -> None:
        torn = pod.job == "ldv1" and pod.task.i_id in i_ids
        (TORN if torn else succeed)(pod)

    return behaviour


def test_wait_for_what_has_failed(space: Space, workers: Workers) -> None:
    workers.behaviour = torn_at("I1")
    ocr = apply(space, "ocr", LDV1)
    apply(space, "ldv1", maxFailed="100%").wait_complete()
    message = ocr.wait_stalled("DependencyFailed")
    assert "1 volume for Job ldv1" in message
    found = ocr.wait_counts(succeeded=2, waiting=1)
    assert found["status"]["phase"] == "Running"

    ocr.patch(dependsOn=[{**LDV1, "onFailure": "Skip"}])
    found = ocr.wait_complete()
    assert counts(found) == {"total": 3, "succeeded": 2, "skipped": 1}
    assert condition(found, "Complete")["reason"] == "Completed"


def test_what_is_tried_again_over_there_goes_on_here(space: Space, workers: Workers) -> None:
    workers.behaviour = torn_at("I1")
    ocr = apply(space, "ocr", LDV1)
    ldv1 = apply(space, "ldv1", maxFailed="100%")
    ocr.wait_stalled("DependencyFailed")
    ldv1.wait_complete()
    workers.behaviour = succeed
    ldv1.patch(retryFailedAt=datetime.now(UTC).isoformat())
    assert counts(ocr.wait_complete()) == {"total": 3, "succeeded": 3}
    assert ldv1.wait_counts(succeeded=3)["status"]["counts"]["failed"] == 0


@pytest.mark.parametrize(("way", "end"), [("Skip", "skipped"), ("Fail", "failed")])
def test_what_has_failed_is_not_waited_for(
    space: Space, workers: Workers, way: str, end: str
) -> None:
    workers.behaviour = torn_at("I1")
    ocr = apply(space, "ocr", {**LDV1, "onFailure": way}, maxFailed="100%")
    apply(space, "ldv1", maxFailed="100%").wait_complete()
    found = ocr.wait_complete()
    assert counts(found) == {"total": 3, "succeeded": 2, end: 1}
    assert volumes(workers, "ocr") == {"I0", "I2"}
    (line,) = space.reported("ocr")
    assert (line["iId"], line["class"], line["attempts"]) == ("I1", "DependencyFailed", [])
    assert line["message"].startswith(f"{end} without an attempt: Job ldv1")


def test_a_job_that_has_failed_as_a_whole(space: Space, workers: Workers) -> None:
    """It gave up before it came to all of its volumes: those have failed for good as well."""
    workers.behaviour = torn_at("I0")
    ldv1 = apply(space, "ldv1", maxFailed=0, parallelism=1)
    ocr = apply(space, "ocr", {**LDV1, "onFailure": "Skip"})
    ldv1.wait_phase("Failed")
    assert counts(ocr.wait_complete()) == {"total": 3, "skipped": 3}


def test_a_circle(space: Space, workers: Workers) -> None:
    ocr = apply(space, "ocr", {"job": "ner"})
    ldv1 = apply(space, "ldv1", {"job": "ocr"})
    ner = apply(space, "ner", LDV1)
    assert "ocr → ner → ldv1 → ocr" in ocr.wait_stalled("DependencyCycle")
    assert "ldv1 → ocr → ner → ldv1" in ldv1.wait_stalled("DependencyCycle")
    assert not workers.runs.all()
    ldv1.patch(dependsOn=[])
    for live in (ldv1, ocr, ner):
        assert counts(live.wait_complete()) == {"total": 3, "succeeded": 3}
