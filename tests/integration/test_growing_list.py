"""A list that changes in mid-run: what is new is done, what is gone is told, nothing moves."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pytest

from bec_operator.act.ground.api_server import core
from bec_ops.contract.volume import Volume
from tests.cluster import S3
from tests.integration.conftest import MakeOperator
from tests.support.behaviours import hang, succeed
from tests.support.jobs import (
    LiveJob,
    condition,
    config_map,
    counts,
    csv,
    is_true,
    items,
    job,
    manifest,
)
from tests.support.kube import Body
from tests.support.operator_process import Operator
from tests.support.s3_faults import S3Faults
from tests.support.space import Space
from tests.support.waiting import throughout, until
from tests.support.workers import Workers

EVERY = 1.0  # seconds between two looks
KEY = "lists/volumes.csv"
FIVE = [Volume("W1", f"I{number}") for number in range(5)]


@pytest.fixture(scope="module")
def proxy(s3: S3) -> Iterator[S3Faults]:
    with S3Faults(s3) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def operator(make_operator: MakeOperator, proxy: S3Faults) -> Iterator[Operator]:
    """An operator that looks often, and reaches S3 through the proxy."""
    with make_operator(s3=proxy.s3, list_every=EVERY) as operator:
        yield operator


@pytest.fixture
def faults(proxy: S3Faults, operator: Operator) -> Iterator[S3Faults]:
    yield proxy
    proxy.heal()
    assert operator.running


def put_object(space: Space, live: LiveJob | None, volumes: Sequence[Volume]) -> Body:
    del live
    space.put(KEY, csv(volumes))
    return manifest(space.bucket, KEY)


def put_map(space: Space, live: LiveJob | None, volumes: Sequence[Volume]) -> Body:
    data = {"list": csv(volumes).decode()}
    if live is None:
        space.put_config_map("volumes", data=data)
    else:
        space.kube.patch(core(space.namespace, "configmaps", "volumes"), {"data": data})
    return config_map("volumes", "list")


def put_items(_: Space, live: LiveJob | None, volumes: Sequence[Volume]) -> Body:
    source = items(volumes)
    if live is not None:
        live.patch(volumes=source)
    return source


@dataclass(frozen=True)
class Kind:
    """A kind of source: `put` writes the list, and returns the source for a new Job."""

    put: Callable[[Space, LiveJob | None, Sequence[Volume]], Body]


KINDS = {"S3": Kind(put_object), "ConfigMap": Kind(put_map), "inline": Kind(put_items)}


@pytest.mark.usefixtures("operator")
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_list_grows_and_shrinks(space: Space, workers: Workers, kind: Kind) -> None:
    workers.behaviour = hang
    live = space.submit(job("grow", space.bucket, kind.put(space, None, FIVE[:3]), parallelism=2))
    workers.running(2)

    kind.put(space, live, [FIVE[4], FIVE[2], FIVE[3]])
    found = live.wait_counts(total=5, running=2, waiting=3)

    assert space.frozen("grow") == [*FIVE[:3], FIVE[4], FIVE[3]]
    assert len(workers.runs.all()) == 2, "what runs is not disturbed"
    told = "2 volumes are no longer in the list; they are done all the same"
    live.wait(lambda found: told in condition(found, "Ready")["message"], told)
    assert is_true(found, "Ready")
    assert "2 volumes came to the list" in space.events("grow", "VolumesAdded")[0]["message"]
    assert told in space.events("grow", "VolumesRemoved")[0]["message"]

    workers.release()
    found = live.wait_complete()
    assert counts(found) == {"total": 5, "succeeded": 5}
    assert told in condition(found, "Ready")["message"]
    workers.runs.check_each_ran_once(5)


@pytest.mark.usefixtures("operator")
def test_what_is_done_of_the_new_volumes_is_skipped(space: Space, workers: Workers) -> None:
    other = space.submit(job("one", space.bucket, FIVE[3:], jobId="same"))
    other.wait_complete()
    other.delete()
    workers.behaviour = hang
    source = put_object(space, None, FIVE[:2])
    live = space.submit(job("two", space.bucket, source, jobId="same", parallelism=1))
    workers.running(1)

    put_object(space, live, FIVE)
    live.wait_counts(total=5, alreadyDone=2, succeeded=2)

    workers.release()
    found = live.wait_complete()
    assert counts(found) == {"total": 5, "succeeded": 5, "alreadyDone": 2}
    workers.runs.check_each_ran_once(5)


@pytest.mark.usefixtures("operator")
def test_another_list_is_looked_at_at_once(space: Space, workers: Workers) -> None:
    workers.behaviour = hang
    source = put_object(space, None, FIVE[:1])
    live = space.submit(job("moved", space.bucket, source))
    workers.running(1)
    space.put("lists/other.csv", csv(FIVE[1:3]))

    live.patch(volumes=manifest(space.bucket, "lists/other.csv"))

    live.wait_counts(total=3, running=3)
    assert space.frozen("moved") == FIVE[:3]
    workers.release()
    live.wait_complete()


BAD = {
    "gone": (None, ("there is no object", "put the list there")),
    "line": (b"W1,I0\nW1\n", ("lists/volumes.csv, line 2: 1 column(s)",)),
    "twice": (b"W1,I0\n\nW1,I0\n", ("line 3: the volume W1/I0 stands in line 1 already",)),
    "id": (b"W1,I0\nW1,I\x07\n", ("line 2", "U+0007")),
}


@pytest.mark.usefixtures("operator")
@pytest.mark.parametrize("name", BAD)
def test_a_list_that_cannot_be_read_any_more(space: Space, workers: Workers, name: str) -> None:
    body, says = BAD[name]
    workers.behaviour = hang
    live = space.submit(job("bad", space.bucket, put_object(space, None, FIVE[:3]), parallelism=1))
    (first,) = workers.running(1)

    if body is None:
        space.s3.delete_object(Bucket=space.bucket, Key=KEY)
    else:
        space.put(KEY, body)

    def unreadable(found: Body) -> bool:
        return condition(found, "Ready")["reason"] == "ListUnreadable"

    found = live.wait(unreadable, "it says that the list cannot be read")
    assert is_true(found, "Ready")
    for words in says:
        assert words in condition(found, "Ready")["message"]
        assert words in space.events("bad", "ListUnreadable")[0]["message"]
    workers.play(first, succeed)
    live.wait_counts(total=3, succeeded=1, running=1, waiting=1)
    assert len(space.events("bad", "ListUnreadable")) == 1, "people are told once"

    put_object(space, live, FIVE[:4])
    found = live.wait_counts(total=4)
    live.wait(lambda found: condition(found, "Ready")["reason"] == "Running", "it is well again")
    workers.release()
    assert counts(live.wait_complete()) == {"total": 4, "succeeded": 4}
    workers.runs.check_each_ran_once(4)


def test_s3_does_not_tell_about_the_list(space: Space, workers: Workers, faults: S3Faults) -> None:
    """Unknown is neither bad nor the same: the job goes on, and does not end without knowing."""
    workers.behaviour = hang
    live = space.submit(job("dark", space.bucket, put_object(space, None, FIVE[:2])))
    workers.running(2)
    faults.refuse(503, "HeadObject", KEY)
    put_object(space, live, FIVE[:3])

    workers.release()
    live.wait_counts(total=2, succeeded=2)
    asked = faults.requests["HeadObject"]
    until(lambda: faults.requests["HeadObject"] >= asked + 2, "it is asked again")
    found = live.read()
    assert counts(found) == {"total": 2, "succeeded": 2}
    assert not is_true(found, "Complete")
    assert "S3" in condition(found, "Ready")["message"]

    faults.heal()
    assert counts(live.wait_complete()) == {"total": 3, "succeeded": 3}


def test_growth_that_cannot_be_stored(space: Space, workers: Workers, faults: S3Faults) -> None:
    """The longer manifest comes first: as long as it cannot be written, the ledger is as it was."""
    workers.behaviour = hang
    live = space.submit(
        job("narrow", space.bucket, put_object(space, None, FIVE[:2]), parallelism=1)
    )
    (first,) = workers.running(1)
    faults.refuse(503, "PutObject", "_job/manifest-")
    put_object(space, live, FIVE)
    live.wait_stalled("StorageUnavailable")
    workers.play(first, succeed)

    live.wait_counts(total=2, succeeded=1)
    assert space.frozen("narrow") == FIVE[:2]

    faults.heal()
    live.wait_counts(total=5)
    assert space.frozen("narrow") == FIVE
    workers.release()
    assert counts(live.wait_complete()) == {"total": 5, "succeeded": 5}
    workers.runs.check_each_ran_once(5)


def test_a_list_that_does_not_change_costs_a_head(
    space: Space, workers: Workers, faults: S3Faults
) -> None:
    workers.behaviour = hang
    live = space.submit(job("same", space.bucket, put_object(space, None, FIVE[:1])))
    workers.running(1)
    live.wait_counts(running=1)
    until(lambda: len(space.tasks(fieldSelector="status.phase=Running")) == 1, "it is recorded")
    asked, version = faults.requests.copy(), live.read()["metadata"]["resourceVersion"]

    until(lambda: faults.requests["HeadObject"] >= asked["HeadObject"] + 3, "three looks")

    assert faults.requests["GetObject"] == asked["GetObject"]
    assert live.read()["metadata"]["resourceVersion"] == version
    throughout(2, lambda: faults.requests["PutObject"] == asked["PutObject"], "nothing is written")
