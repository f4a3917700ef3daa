"""Markers of which S3 does not tell for reasons of their own: nobody else waits for them."""

import time
from collections.abc import Callable, Iterator

import pytest

from bec_ops.contract.location import OutputTemplate
from bec_ops.contract.marker import MARKER_NAME
from bec_ops.contract.volume import Volume
from tests.cluster import S3
from tests.integration.conftest import MakeOperator
from tests.support.behaviours import hang
from tests.support.jobs import condition, counts, is_true, job, numbered
from tests.support.s3_faults import Request, S3Faults, Said
from tests.support.space import Space
from tests.support.waiting import until
from tests.support.workers import Workers

ARCHIVED = Said("InvalidObjectState", "Not valid for this state", {"StorageClass": "GLACIER"})
OUTPUT = "artefacts/{job_id}/{w_id}-{i_id}-{i_version}/"


@pytest.fixture(scope="module")
def proxy(s3: S3, make_operator: MakeOperator) -> Iterator[S3Faults]:
    """A proxy, and an operator that reaches S3 through it."""
    with S3Faults(s3) as proxy, make_operator(s3=proxy.s3, gate_seconds=1):
        yield proxy


@pytest.fixture
def faults(proxy: S3Faults) -> Iterator[S3Faults]:
    """The proxy, which is well before and after each test."""
    yield proxy
    proxy.heal()
    proxy.drop()


def noting(asked: list[str]) -> Callable[[Request], bool]:
    """Return what notes the paths of requests that go wrong."""

    def note(request: Request) -> bool:
        asked.append(request.path)
        return True

    return note


def put_markers(space: Space, job_id: str, volumes: list[Volume]) -> list[str]:
    """Write markers as an earlier run has left them, and return their keys."""
    template = OutputTemplate.parse(OUTPUT)
    keys = [template.prefix(job_id, volume) + MARKER_NAME for volume in volumes]
    for key in keys:
        space.put(key, b'{"worker_id": "w", "success_timestamp": "2026-11-25T09:30:00Z"}')
    return keys


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (500, Said("InternalError", "Not a directory")),
        (409, Said("ObjectParentIsFile", "Object parent already exists as a file.")),
    ],
)
def test_a_volume_that_the_store_cannot_hold(
    space: Space, workers: Workers, faults: S3Faults, status: int, said: Said
) -> None:
    """F1, F6: S3Proxy, versitygw. It fails for good, before it runs, and the Job ends."""
    folder = "artefacts/held/W1-I2-v1"
    space.put(folder, b"an object of a folder's name")
    faults.refuse(status, key=f"{folder}/", said=said)
    live = space.submit(job("held", space.bucket, numbered(4), maxFailed="100%"))

    found = live.wait_complete()
    assert counts(found) == {"total": 4, "succeeded": 3, "failed": 1}
    assert "OutputImpossible 1" in condition(found, "Complete")["message"]
    workers.runs.check_each_ran_once(3)
    [line] = space.reported("held")
    assert line["class"] == "OutputImpossible"
    assert said.message in line["message"]


def test_a_volume_that_turns_out_to_be_impossible_at_its_end(
    space: Space, workers: Workers, faults: S3Faults
) -> None:
    """F1: whatever the worker says of it, no further attempt is made."""
    workers.behaviour = hang
    live = space.submit(job("late", space.bucket, numbered(2), maxFailed="100%"))
    workers.running(2)
    faults.refuse(400, key="W1-I1-v1/", said=Said("KeyTooLongError", "Your key is too long"))
    workers.release(lambda pod: pod.end(1) if pod.task.i_id == "I1" else finish(pod))

    assert counts(live.wait_complete()) == {"total": 2, "succeeded": 1, "failed": 1}
    [line] = space.reported("late")
    assert line["class"] == "OutputImpossible"
    assert len(workers.runs.all()) == 2


def finish(pod: object) -> None:
    pod.put_marker()  # type: ignore[attr-defined]
    pod.end(0)  # type: ignore[attr-defined]


def test_one_marker_that_is_not_answered(space: Space, workers: Workers, faults: S3Faults) -> None:
    """The bucket is well: nobody waits, and S3 is asked ever more rarely."""
    asked: list[str] = []
    broken = f"W1-I2-v1/{MARKER_NAME}"
    faults.refuse(500, "GetObject", broken, where=noting(asked))
    live = space.submit(job("one", space.bucket, numbered(4)))

    message = live.wait_stalled("MarkerUnanswered")
    assert broken in message
    live.wait_counts(succeeded=3, running=1)
    until(lambda: len(set(asked)) == 1 and len(asked) >= 6, "it is asked for again")
    assert counts(live.read()) == {"total": 4, "succeeded": 3, "running": 1}

    faults.heal()
    assert counts(live.wait_complete()) == {"total": 4, "succeeded": 4}
    workers.runs.check_each_ran_once(4)


def test_markers_that_a_lifecycle_rule_has_archived(
    space: Space, workers: Workers, faults: S3Faults
) -> None:
    """Yelp/mrjob#1887: objects in Glacier answer 403 InvalidObjectState."""
    keys = put_markers(space, "old", numbered(3))
    asked: list[str] = []
    for key in keys:
        faults.refuse(403, "GetObject", key, said=ARCHIVED, where=noting(asked))
    live = space.submit(job("old", space.bucket, numbered(10)))

    message = live.wait_stalled("MarkerArchived")
    found = live.wait_counts(succeeded=7)
    message = condition(found, "Stalled")["message"]
    assert message.startswith("3 volumes")
    assert "is archived (storage class GLACIER)" in message
    assert "restore it, or leave success.json out of the bucket's lifecycle rule" in message
    assert any(key in message for key in keys)
    assert is_true(found, "Stalled")
    begun = time.monotonic()
    until(lambda: time.monotonic() - begun > 8, "nothing is asked meanwhile", timeout=20)
    assert len(asked) == 3

    faults.heal()  # they are restored, and whoever cannot wait changes the Job
    live.patch(parallelism=3)
    found = live.wait_complete()
    assert counts(found) == {"total": 10, "succeeded": 10, "alreadyDone": 3}
    workers.runs.check_each_ran_once(7)


def test_a_gate_whose_markers_are_archived(
    space: Space, workers: Workers, faults: S3Faults
) -> None:
    """Yelp/mrjob#1887: the volumes of the others go on, and the Job says which one does not."""
    keys = put_markers(space, "old", numbered(5))
    asked: list[str] = []
    for key in keys[:2]:
        faults.refuse(403, "GetObject", key, said=ARCHIVED, where=noting(asked))
    place = {"jobId": "old", "output": {"bucket": space.bucket, "prefix": OUTPUT}}
    live = space.submit(job("new", space.bucket, numbered(6), dependsOn=[place]))

    message = live.wait_stalled("MarkerArchived")
    assert message.startswith("dependsOn old: ")
    found = live.wait_counts(succeeded=3, waiting=3)
    assert is_true(found, "Stalled")
    put_markers(space, "old", numbered(6)[5:])
    found = live.wait_counts(succeeded=4, waiting=2)
    assert len(asked) == 2
    workers.runs.check_each_ran_once(4)
