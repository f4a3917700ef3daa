"""S3 that does not answer well: unknown starts nothing, fails nothing, finishes nothing."""

from collections.abc import Iterator

import pytest

from bec_ops.contract.marker import MARKER_NAME
from tests.cluster import S3
from tests.integration.conftest import MakeOperator
from tests.support.behaviours import fail, for_volumes, hang, lie, succeed_and_crash
from tests.support.jobs import counts, is_true, job, manifest, numbered
from tests.support.s3_faults import S3Faults
from tests.support.space import Space
from tests.support.waiting import until
from tests.support.workers import Workers

pytestmark = pytest.mark.stores

REASONS = {403: "StorageForbidden", 503: "StorageUnavailable"}


@pytest.fixture(scope="module")
def proxy(s3: S3, make_operator: MakeOperator) -> Iterator[S3Faults]:
    """A proxy, and an operator that reaches S3 through it."""
    with S3Faults(s3) as proxy, make_operator(s3=proxy.s3, marker_seconds=30):
        yield proxy


@pytest.fixture
def faults(proxy: S3Faults) -> Iterator[S3Faults]:
    """The proxy, which is well before and after each test."""
    yield proxy
    proxy.heal()
    proxy.drop()


def keep_refusing(faults: S3Faults) -> None:
    """Wait until the operator has asked anew, and was refused again."""
    goal = faults.requests.total() + 2
    until(lambda: faults.requests.total() >= goal, "two more requests to S3")


@pytest.mark.parametrize("status", REASONS)
def test_s3_fails_for_a_while(
    space: Space, workers: Workers, faults: S3Faults, status: int
) -> None:
    """Four workers end, well or not, while nobody can see their markers; another job comes."""
    workers.behaviour = hang
    running = space.submit(job("outage", space.bucket, numbered(12), parallelism=4))
    workers.running(4)

    faults.refuse(status)
    workers.release(for_volumes({"I0", "I1"}, succeed_and_crash))
    workers.ended(4)
    fresh = space.submit(job("dark", space.bucket, numbered(3)))
    for live in (running, fresh):
        assert space.bucket in live.wait_stalled(REASONS[status])
    keep_refusing(faults)
    found = running.read()
    assert counts(found) == {"total": 12, "running": 4, "waiting": 8}
    assert is_true(found, "Stalled")
    assert counts(fresh.read()) == {}
    assert len(space.tasks()) == 4
    assert len(workers.runs.all()) == 4

    faults.heal()
    assert counts(running.wait_complete()) == {"total": 12, "succeeded": 12}
    assert counts(fresh.wait_complete()) == {"total": 3, "succeeded": 3}
    workers.runs.check_each_ran_once(15)


def test_one_marker_that_nobody_may_read(space: Space, workers: Workers, faults: S3Faults) -> None:
    """The bucket is well otherwise: the checks pass, the one look does not."""
    faults.refuse(403, "GetObject", f"W1-I2-v1/{MARKER_NAME}")
    live = space.submit(job("one", space.bucket, numbered(4)))

    message = live.wait_stalled("StorageForbidden")
    assert "W1-I2-v1" in message
    live.wait_counts(succeeded=3, running=1)
    keep_refusing(faults)
    assert counts(live.read()) == {"total": 4, "succeeded": 3, "running": 1}
    told = space.events("one", "StorageForbidden")
    assert len(told) == 1, "people are told once, not at each look"

    faults.heal()
    assert counts(live.wait_complete()) == {"total": 4, "succeeded": 4}
    workers.runs.check_each_ran_once(4)


def test_without_the_right_to_list(space: Space, workers: Workers, faults: S3Faults) -> None:
    faults.refuse(403, "ListObjectsV2")
    live = space.submit(job("nolist", space.bucket, numbered(3)))

    message = live.wait_stalled("NoListPermission")
    assert "s3:ListBucket" in message
    assert space.bucket in message
    assert not workers.runs.all()

    faults.heal()
    assert counts(live.wait_complete()) == {"total": 3, "succeeded": 3}


def test_a_list_that_is_forbidden(space: Space, workers: Workers, faults: S3Faults) -> None:
    space.put("lists/volumes.csv", b"W1,I1\nW1,I2\n")
    faults.refuse(403, "GetObject", "lists/")
    live = space.submit(job("forbidden", space.bucket, manifest(space.bucket, "lists/volumes.csv")))

    message = live.wait_stalled("ManifestForbidden")
    assert f"s3://{space.bucket}/lists/volumes.csv" in message
    assert not workers.runs.all()

    faults.heal()
    assert counts(live.wait_complete()) == {"total": 2, "succeeded": 2}


def test_a_bucket_that_takes_no_manifest(space: Space, workers: Workers, faults: S3Faults) -> None:
    faults.refuse(403, "PutObject")
    live = space.submit(job("readonly", space.bucket, numbered(2)))

    assert "_job/manifest-" in live.wait_stalled("StorageForbidden")
    assert not workers.runs.all()

    faults.heal()
    assert counts(live.wait_complete()) == {"total": 2, "succeeded": 2}


def test_no_failure_is_forgotten_before_it_is_reported(
    space: Space, workers: Workers, faults: S3Faults
) -> None:
    workers.behaviour = hang
    history = {"succeeded": 0, "failed": 0}
    live = space.submit(
        job("reports", space.bucket, numbered(5), maxFailed="100%", history=history)
    )
    workers.running(5)

    faults.refuse(503, "PutObject")
    workers.release(fail(65))
    live.wait_stalled("StorageUnavailable")
    keep_refusing(faults)
    assert len(space.tasks(fieldSelector="status.phase=Failed")) == 5
    assert not is_true(live.read(), "Complete")

    faults.heal()
    found = live.wait_complete()
    assert counts(found) == {"total": 5, "failed": 5}
    until(lambda: not space.tasks(), "no VolumeTask is left")
    assert {line["iId"] for line in space.reported("reports")} == {
        f"I{number}" for number in range(5)
    }


def test_looks_that_are_never_answered(space: Space, workers: Workers, faults: S3Faults) -> None:
    """They hold up nobody else, and are asked again when the connection breaks."""
    faults.swallow("GetObject", f"W1-I0-v1/{MARKER_NAME}")
    live = space.submit(job("swallow", space.bucket, numbered(6), parallelism=2))

    live.wait_counts(succeeded=5, running=1)
    faults.heal()
    faults.drop()
    assert counts(live.wait_complete()) == {"total": 6, "succeeded": 6}
    workers.runs.check_each_ran_once(6)


def test_slow_answers_are_answers(space: Space, workers: Workers, faults: S3Faults) -> None:
    faults.delay(1.0)
    live = space.submit(job("slow", space.bucket, numbered(6)))
    assert counts(live.wait_complete(timeout=60)) == {"total": 6, "succeeded": 6}
    workers.runs.check_each_ran_once(6)


def test_a_store_that_shows_a_marker_late(space: Space, workers: Workers, faults: S3Faults) -> None:
    """data-fair/data-fair#402, treeverse/dvc#3341: 404 for some seconds after the PUT."""
    faults.refuse(404, "GetObject", MARKER_NAME)
    workers.behaviour = lie
    live = space.submit(job("late", space.bucket, numbered(1), retry={"limit": 1}))
    workers.ended(1)
    until(lambda: faults.requests["GetObject"] >= 3, "it is looked for again and again")
    (run,) = workers.runs.all()
    run.pod.put_marker()
    faults.heal()
    live.wait_complete()
    assert len(workers.runs.all()) == 1
