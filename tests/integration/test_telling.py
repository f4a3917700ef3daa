"""How people are told: `report.csv`, Events that add up, and notifications."""

import base64
import csv
import hashlib
import hmac
from collections.abc import Iterator

import pytest

from tests.cluster import S3
from tests.integration.conftest import MakeOperator
from tests.support.behaviours import fail, for_volumes, hang, run_out_of_memory
from tests.support.jobs import condition, counts, job, numbered
from tests.support.kube import Body
from tests.support.notifications import Receiver
from tests.support.operator_process import Operator
from tests.support.s3_faults import S3Faults
from tests.support.space import Space
from tests.support.waiting import until
from tests.support.workers import Workers

SECRET = bytes(range(32))
KEY = "whsec_" + base64.b64encode(SECRET).decode()


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def proxy(s3: S3) -> Iterator[S3Faults]:
    with S3Faults(s3) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def operator(
    proxy: S3Faults, receiver: Receiver, make_operator: MakeOperator
) -> Iterator[Operator]:
    """An operator that notifies, and reaches S3 through a proxy."""
    settings = {"webhook_url": receiver.url, "webhook_key": KEY}
    with make_operator(s3=proxy.s3, **settings) as operator:
        yield operator
    assert KEY.removeprefix("whsec_") not in operator.text()


@pytest.fixture
def faults(proxy: S3Faults) -> Iterator[S3Faults]:
    """The proxy, which is well before and after each test."""
    yield proxy
    proxy.heal()


def report(space: Space, job_id: str) -> list[dict[str, str]] | None:
    """Return the rows of the report of a job; None if there is none."""
    key = f"artefacts/{job_id}/_job/report.csv"
    if key not in space.stored(key):
        return None
    return list(csv.DictReader(space.read(key).decode().splitlines()))


def event(space: Space, name: str, reason: str) -> Body:
    """Return the one Event of a Job with a reason."""
    (found,) = space.events(name, reason)
    return found


@pytest.mark.usefixtures("operator")
def test_one_volume_fails(space: Space, workers: Workers, receiver: Receiver) -> None:
    workers.behaviour = for_volumes({"I1"}, fail(65, "=page 7 is torn"))
    live = space.submit(job("told", space.bucket, numbered(3), maxFailed="100%"))

    found = live.wait_complete()

    told = "1 of 3 volumes failed: Terminal 1"
    assert condition(found, "Complete")["reason"] == "CompletedWithFailures"
    assert condition(found, "Complete")["message"] == condition(found, "Ready")["message"] == told
    rows = report(space, "told")
    assert rows is not None
    (row,) = rows
    (task,) = space.tasks(fieldSelector="status.phase=Failed")
    (attempt,) = task["status"]["attempts"]
    assert row == {
        "w_id": "W1",
        "i_id": "I1",
        "i_version": "v1",
        "class": "Terminal",
        "attempts": "1",
        "message": attempt["message"],
        "log": attempt["log"],
        "ended": attempt["endTime"],
        "task": task["metadata"]["name"],
        "outcome": "failed",
    }
    assert row["message"] == "exit 65: =page 7 is torn"

    failed, ended = (
        event(space, "told", "VolumesFailed"),
        event(space, "told", "CompletedWithFailures"),
    )
    assert (failed["type"], failed["count"], failed["message"]) == ("Warning", 1, told)
    assert (ended["type"], ended["message"]) == ("Normal", told)
    assert told in space.kubectl("describe", "bj", "told")

    (came,) = until(lambda: receiver.about(space.namespace, "told", "completed"), "a notification")
    assert came.event["id"] == came.headers["webhook-id"]
    assert came.event["subject"] == f"{space.namespace}/told"
    assert came.event["time"] == found["status"]["completionTime"]
    data = came.event["data"]
    assert (data["reason"], data["message"]) == ("CompletedWithFailures", told)
    assert data["counts"] == found["status"]["counts"]
    assert data["report"] == f"s3://{space.bucket}/artefacts/told/_job/report.csv"
    signed = ".".join((came.headers["webhook-id"], came.headers["webhook-timestamp"], ""))
    digest = hmac.digest(SECRET, signed.encode() + came.body, hashlib.sha256)
    assert came.headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"


@pytest.mark.usefixtures("operator", "workers")
def test_a_job_without_failures_has_no_report(space: Space, receiver: Receiver) -> None:
    live = space.submit(job("clean", space.bucket, numbered(2)))
    assert counts(live.wait_complete()) == {"total": 2, "succeeded": 2}
    assert report(space, "clean") is None
    (came,) = until(lambda: receiver.about(space.namespace, "clean", "completed"), "a notification")
    assert "report" not in came.event["data"]


@pytest.mark.usefixtures("operator")
def test_a_report_that_cannot_be_written_keeps_the_job_from_ending(
    space: Space, workers: Workers, receiver: Receiver, faults: S3Faults
) -> None:
    workers.behaviour = hang
    live = space.submit(job("stuck", space.bucket, numbered(2), maxFailed="100%"))
    workers.running(2)

    faults.refuse(503, "PutObject", "report.csv")
    workers.release(for_volumes({"I0"}, fail(65)))
    assert "report.csv" in live.wait_stalled("StorageUnavailable")
    live.wait_counts(succeeded=1, failed=1)
    until(
        lambda: event(space, "stuck", "StorageUnavailable")["count"] >= 2,
        "it is tried again, and told by the same Event",
        timeout=30,
    )
    assert condition(live.read(), "Complete")["status"] == "False"
    assert len(receiver.about(space.namespace, "stuck", "stalled")) == 1, (
        "a stall that comes back is told once"
    )

    faults.heal()
    assert counts(live.wait_complete()) == {"total": 2, "succeeded": 1, "failed": 1}
    rows = report(space, "stuck")
    assert rows is not None
    assert [row["i_id"] for row in rows] == ["I0"]


def test_a_restart_forgets_nobody(
    space: Space, workers: Workers, receiver: Receiver, operator: Operator
) -> None:
    """What failed before the restart is in the report, and what was told is told once more."""
    workers.behaviour = for_volumes({"I0"}, fail(65, "torn"), hang)
    history = {"succeeded": 0, "failed": 0}
    retry = {"limit": 2, "backoff": {"initial": "1s"}}
    live = space.submit(
        job("twice", space.bucket, numbered(3), maxFailed="100%", history=history, retry=retry)
    )
    workers.running(2)
    until(lambda: len(space.tasks()) == 2, "the first failure is stored, its task is gone")

    operator.stop()
    workers.release(for_volumes({"I1"}, run_out_of_memory))
    operator.start()
    found = live.wait_complete(timeout=60)
    told = "2 of 3 volumes failed: OutOfMemory 1, Terminal 1"
    assert condition(found, "Complete")["message"] == told
    rows = report(space, "twice")
    assert rows is not None
    assert [(row["i_id"], row["class"], row["attempts"]) for row in rows] == [
        ("I0", "Terminal", "1"),
        ("I1", "OutOfMemory", "2"),
    ]
    (first,) = until(
        lambda: receiver.about(space.namespace, "twice", "completed"), "a notification"
    )

    operator.stop()  # it might have died before it told so
    operator.start()
    until(
        lambda: len(receiver.about(space.namespace, "twice", "completed")) == 2, "it is told again"
    )
    (_, second) = receiver.about(space.namespace, "twice", "completed")
    assert second.event["id"] == first.event["id"]
