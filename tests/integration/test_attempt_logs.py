"""The log that a VolumeTask names is of this very attempt, whatever stands beside it."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from bec_ops.contract.location import LOG_FOLDER, log_key
from tests.integration.conftest import MakeOperator
from tests.support.behaviours import fail, hang
from tests.support.jobs import LiveJob, counts, job, numbered
from tests.support.kube import Body
from tests.support.operator_process import Operator
from tests.support.runs import Run
from tests.support.space import Space
from tests.support.waiting import until
from tests.support.workers import Workers


@pytest.fixture(scope="module", autouse=True)
def operator(make_operator: MakeOperator) -> Iterator[Operator]:
    with make_operator() as operator:
        yield operator


def fail_with_log(space: Space, workers: Workers, live: LiveJob, text: bytes) -> Run:
    """Let the one worker store its log, and fail; return its run."""
    (run,) = workers.running(1)
    task = run.pod.task
    space.put(log_key(task.prefix, task.attempt, task.task_uid), text)
    workers.play(run, fail(65, "torn"))
    live.wait_counts(failed=1)
    return run


def fail_without(workers: Workers, live: LiveJob) -> Run:
    """Have the one worker killed before it can say or store anything; return its run."""
    (run,) = workers.running(1)
    assert run.pod.task.attempt == 1
    workers.play(run, fail(137))
    live.wait_counts(failed=1)
    return run


def log_of(space: Space, run: Run) -> str:
    """Return what the VolumeTask says of the log of a run."""

    def look() -> list[Body]:
        found = space.tasks(fieldSelector="status.phase=Failed")
        return [task for task in found if task["metadata"]["uid"] == run.pod.task.task_uid]

    (task,) = until(look, "its VolumeTask tells it")
    return str(task["status"]["attempts"][0]["log"])


def test_a_volume_that_is_tried_again(space: Space, workers: Workers) -> None:
    """airbytehq/airbyte#4235: attempts begin at 1 again."""
    workers.behaviour = hang
    once = {"retry": {"limit": 1}, "maxFailed": "100%"}
    live = space.submit(job("again", space.bucket, numbered(1), **once))
    first = fail_with_log(space, workers, live, b"run A\n")
    assert log_of(space, first).startswith(f"s3://{space.bucket}/{first.pod.task.prefix}")

    live.patch(retryFailedAt=datetime.now(UTC).isoformat())
    second = fail_without(workers, live)
    assert second.pod.task.task_uid != first.pod.task.task_uid
    assert log_of(space, second).startswith("lost: ")
    kept = [key for key in space.stored(first.pod.task.prefix) if LOG_FOLDER in key]
    assert [space.read(key) for key in kept] == [b"run A\n"]


def test_a_job_that_is_made_anew(space: Space, workers: Workers) -> None:
    """airbytehq/airbyte#4235, algorand/go-algorand PR#359: another Job of the same jobId."""
    workers.behaviour = hang
    once = {"jobId": "ocr", "retry": {"limit": 1}, "maxFailed": "100%"}
    live = space.submit(job("ocr", space.bucket, numbered(1), **once))
    first = fail_with_log(space, workers, live, b"run A\n")
    live.wait_complete()
    live.delete()

    live = space.submit(job("ocr", space.bucket, numbered(1), **once))
    second = fail_without(workers, live)
    assert second.pod.task.prefix == first.pod.task.prefix
    assert log_of(space, second).startswith("lost: ")
    assert counts(live.read())["failed"] == 1
