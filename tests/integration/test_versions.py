"""Volumes that come without a version: theirs is found before they start, once."""

from collections.abc import Iterator, Sequence

import pytest

from bec_operator.act.volumes.version_ways import object_key
from bec_ops.contract.volume import Volume
from tests.cluster import S3
from tests.integration.conftest import MakeOperator
from tests.support.behaviours import hang
from tests.support.jobs import LiveJob, condition, counts, job, manifest
from tests.support.kube import Body
from tests.support.operator_process import Operator
from tests.support.s3_faults import S3Faults
from tests.support.space import Space
from tests.support.waiting import until
from tests.support.workers import Workers

KEY = "lists/volumes.csv"
TEMPLATE = "Works/{w_md5}/{w_id}/images/{w_id}-{i_folder}/dimensions.json"
FIVE = [Volume("W22084", f"I088{number}") for number in range(5)]


@pytest.fixture(scope="module")
def proxy(s3: S3) -> Iterator[S3Faults]:
    with S3Faults(s3) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def operator(make_operator: MakeOperator, proxy: S3Faults) -> Iterator[Operator]:
    with make_operator(s3=proxy.s3, list_every=1.0) as operator:
        yield operator


@pytest.fixture
def faults(proxy: S3Faults, operator: Operator) -> Iterator[S3Faults]:
    yield proxy
    proxy.heal()
    assert operator.running


def listing(volumes: Sequence[Volume]) -> bytes:
    return "".join(f"{','.join(volume)}\n" for volume in volumes).encode()


def have(space: Space, volume: Volume, content: str = "") -> str:
    """Put the object of a volume there; return the version that follows from it."""
    key = object_key(TEMPLATE, volume)
    space.put(key, content.encode() or f"[{volume}]".encode())
    return space.s3.head_object(Bucket=space.bucket, Key=key)["ETag"].strip('"')[:6]


def submit(space: Space, listed: Sequence[Volume], **spec: object) -> LiveJob:
    space.put(KEY, listing(listed))
    source: Body = {
        **manifest(space.bucket, KEY),
        "versions": {"etag": {"uri": f"s3://{space.bucket}/{TEMPLATE}"}},
    }
    return space.submit(job("ocr", space.bucket, source, **spec))


@pytest.mark.usefixtures("operator")
def test_each_volume_gets_the_version_of_its_object(space: Space, workers: Workers) -> None:
    versions = [have(space, volume) for volume in FIVE]
    named = Volume("W22084", "I0886", "of-the-list")

    found = submit(space, [*FIVE, named]).wait_complete()

    assert counts(found) == {"total": 6, "succeeded": 6}
    expected = [v._replace(i_version=i) for v, i in zip(FIVE, versions, strict=True)]
    assert space.frozen("ocr") == [*expected, named]
    places = {f"artefacts/ocr/{v.w_id}-{v.i_id}-{v.i_version}/success.json" for v in expected}
    assert places < set(space.stored("artefacts/"))
    workers.runs.check_each_ran_once(6)


@pytest.mark.usefixtures("operator")
def test_one_without_an_object_fails_and_is_tried_again_once_it_is_there(
    space: Space, workers: Workers
) -> None:
    for volume in FIVE[1:]:
        have(space, volume)
    live = submit(space, FIVE, maxFailed=5)

    found = live.wait_complete()
    assert counts(found) == {"total": 5, "succeeded": 4, "failed": 1}
    assert "VersionMissing 1" in condition(found, "Complete")["message"]
    (line,) = space.reported("ocr")
    assert line["iId"] == FIVE[0].i_id
    assert f"no object s3://{space.bucket}/Works/60/W22084/images/W22084-0880/" in line["message"]

    version = have(space, FIVE[0])
    live.patch(retryFailedAt="2026-11-01T00:00:00Z")
    found = live.wait_counts(succeeded=5)
    assert space.frozen("ocr")[0] == FIVE[0]._replace(i_version=version)
    workers.runs.check_each_ran_once(5)


def test_what_gives_no_answer_holds_up_nothing_else(
    space: Space, workers: Workers, faults: S3Faults
) -> None:
    for volume in FIVE:
        have(space, volume)
    faults.refuse(403, "HeadObject", "W22084-0882")
    live = submit(space, FIVE)

    live.wait_counts(succeeded=4, waiting=1)
    assert "W22084-0882" in live.wait_stalled("StorageForbidden")
    assert "the version of 1 volume still to be found" not in condition(live.read(), "Ready")

    faults.heal()
    found = live.wait_complete(timeout=60)
    assert counts(found) == {"total": 5, "succeeded": 5}
    workers.runs.check_each_ran_once(5)


def test_the_search_goes_on_where_it_was_after_a_restart(
    space: Space, workers: Workers, faults: S3Faults, operator: Operator
) -> None:
    listed = [Volume("W1", f"I{number}") for number in range(200)]
    for volume in listed:
        have(space, volume)
    workers.behaviour = hang
    faults.refuse(503, "HeadObject", object_key(TEMPLATE, listed[150]))
    live = submit(space, listed, parallelism=3)
    workers.running(3)
    until(lambda: space.frozen("ocr")[149].i_version, "the first are found", timeout=30)
    asked = faults.requests["HeadObject"]

    operator.kill()
    operator.start()
    faults.heal()
    until(lambda: all(v.i_version for v in space.frozen("ocr")), "all are found", timeout=60)

    assert faults.requests["HeadObject"] - asked <= 60, "what is frozen is not asked about again"
    workers.release()
    found = live.wait_complete(timeout=60)
    assert counts(found) == {"total": 200, "succeeded": 200}
    workers.runs.check_each_ran_once(200)


@pytest.mark.usefixtures("operator")
def test_a_list_that_grows_gets_versions_for_what_is_new_and_no_others(
    space: Space, workers: Workers
) -> None:
    versions = [have(space, volume) for volume in FIVE]
    workers.behaviour = hang
    live = submit(space, FIVE[:2])
    workers.running(2)
    space.put(KEY, listing([FIVE[4], *FIVE[:2]]))

    live.wait_counts(total=3, running=3)
    assert [v.i_id for v in space.frozen("ocr")] == ["I0880", "I0881", "I0884"]
    assert have(space, FIVE[0], "changed since") != versions[0], "which nobody asks for again"
    space.put(KEY, listing(FIVE))
    live.wait_counts(total=5, running=5)
    workers.release()
    assert counts(live.wait_complete()) == {"total": 5, "succeeded": 5}
    expected = [FIVE[n]._replace(i_version=versions[n]) for n in (0, 1, 4, 2, 3)]
    assert space.frozen("ocr") == expected
    workers.runs.check_each_ran_once(5)


@pytest.mark.usefixtures("operator")
def test_a_place_without_a_version_is_refused(space: Space) -> None:
    body = job(
        "ocr",
        space.bucket,
        {
            **manifest(space.bucket, KEY),
            "versions": {"etag": {"uri": f"s3://{space.bucket}/{TEMPLATE}"}},
        },
        output={"bucket": space.bucket, "prefix": "a/{job_id}/{w_id}-{i_id}/"},
    )
    with pytest.raises(Exception, match=r"output.prefix must hold \{i_version\}"):
        space.submit(body)
