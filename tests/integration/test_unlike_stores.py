"""Whole Jobs where stores are unlike each other: regions, keys they do not know, names they refuse.

The operator and the workers' library are asked as they are used; what a store refuses ends in the
right class for the right volume, and all others are done.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from bec_ops.contract.location import OutputTemplate
from bec_ops.contract.volume import Volume
from tests import stores
from tests.cluster import S3
from tests.integration.conftest import MakeOperator
from tests.stores import Trait
from tests.support.behaviours import fail, for_volumes, hang
from tests.support.jobs import counts, items, job, manifest, numbered
from tests.support.space import Space
from tests.support.workers import Workers

pytestmark = pytest.mark.stores

LONG = Volume("W1", "བོད་ཡིག་གི་དཔེ་མཛོད་ནང་དུ་ཡོད")  # 29 characters, each of nine bytes when escaped
MARKER = b'{"worker_id": "w", "success_timestamp": "2026-11-24T12:00:00Z"}'
DEFAULT = OutputTemplate.parse("artefacts/{job_id}/{w_id}-{i_id}-{i_version}/")


def lacks(trait: Trait) -> bool:
    return trait in stores.chosen().lacks


def test_a_region_that_is_not_the_stores(
    space: Space, workers: Workers, s3: S3, make_operator: MakeOperator
) -> None:
    """Where the store sends requests on, or does not look at the region, the Job is done."""
    elsewhere = replace(s3, region="eu-central-1")
    with make_operator(s3=elsewhere, namespaces=space.namespace):
        live = space.submit(job("region", space.bucket, numbered(3)))
        assert counts(live.wait_complete(60)) == {"total": 3, "succeeded": 3}
    workers.runs.check_each_ran_once(3)


@pytest.mark.needs(Trait.SIGNATURES)
@pytest.mark.parametrize("wrong", ["access_key", "secret_key"])
def test_keys_that_the_store_does_not_know(
    space: Space, workers: Workers, s3: S3, make_operator: MakeOperator, wrong: str
) -> None:
    """One store says of a key that it does not know: 404."""
    stranger = replace(s3, **{wrong: "0123456789abcdef0123"})
    with make_operator(s3=stranger, namespaces=space.namespace):
        live = space.submit(job("stranger", space.bucket, numbered(3)))
        assert space.bucket in live.wait_stalled("StorageForbidden", 60)
    assert not workers.runs.all()


def test_a_volume_whose_name_is_too_long_for_the_store(
    space: Space, workers: Workers, make_operator: MakeOperator
) -> None:
    """The list is refused in the words of a store that has no room for it, and then mended."""
    good = numbered(3)
    with make_operator(namespaces=space.namespace):
        live = space.submit(job("long", space.bucket, [*good, LONG]))
        volumes = [*good, LONG]
        if lacks(Trait.LONG_NAMES):
            message = live.wait_stalled("InvalidManifest", 60)
            for words in (f"volume {LONG}, number 4", "264 bytes", f"s3://{space.bucket}/"):
                assert words in message
            assert not workers.runs.all()
            volumes = good
            live.patch(volumes=items(good))
        found = live.wait_complete(60)
    assert counts(found) == {"total": len(volumes), "succeeded": len(volumes)}
    assert {run.pod.task.volume for run in workers.runs.all()} == set(volumes)


def test_an_object_that_is_called_as_the_folder_of_a_volume(
    space: Space, workers: Workers, make_operator: MakeOperator
) -> None:
    """Where its folder cannot be, that volume fails alone: in the store's words or the worker's."""
    good, bad = numbered(3), Volume("W1", "bad", "v1")
    space.put(DEFAULT.prefix("names", bad)[:-1], b"not a folder")
    fails = lacks(Trait.FOLDER_AND_OBJECT)
    if fails:  # no worker could write a marker
        workers.behaviour = for_volumes({"bad"}, fail(1, "it cannot be stored"))
    with make_operator(namespaces=space.namespace):
        live = space.submit(job("names", space.bucket, [bad, *good], maxFailed="100%"))
        found = live.wait_complete(60)
    ends = {"succeeded": 3, "failed": 1} if fails else {"succeeded": 4}
    assert counts(found) == {"total": 4, **ends}
    told = [line["message"] for line in space.reported("names")]
    assert len(told) == int(fails)
    for message in told:
        assert DEFAULT.prefix("names", bad) in message or "it cannot be stored" in message


@pytest.mark.needs(Trait.FOLDER_AND_OBJECT)
def test_an_object_that_is_called_as_the_folder_of_a_done_volume(
    space: Space, workers: Workers, make_operator: MakeOperator
) -> None:
    """One store hides in its lists what is below such an object."""
    done, fresh = numbered(2)
    prefix = DEFAULT.prefix("names", done)
    space.put(prefix + "success.json", MARKER)
    space.put(prefix[:-1], b"not a folder")
    with make_operator(namespaces=space.namespace):
        live = space.submit(job("names", space.bucket, [done, fresh]))
        found = live.wait_complete(60)
    assert counts(found) == {"total": 2, "succeeded": 2, "alreadyDone": 1}
    assert [run.pod.task.volume for run in workers.runs.all()] == [fresh]


def test_an_operator_that_comes_back_to_more_folders_than_a_page_holds(
    space: Space, workers: Workers, make_operator: MakeOperator
) -> None:
    """It begins its list at the first volume that is not settled, and goes on over the pages."""
    volumes = numbered(1205)
    ahead, behind = volumes[:2], volumes[2:]
    workers.behaviour = hang
    with ThreadPoolExecutor(16) as pool:
        keys = [DEFAULT.prefix("pages", volume) + "success.json" for volume in behind]
        list(pool.map(lambda key: space.put(key, MARKER), keys))
    space.put("lists/pages.csv", "".join(f"{v.w_id},{v.i_id},v1\n" for v in volumes).encode())
    operator = make_operator(namespaces=space.namespace)
    with operator:
        live = space.submit(job("pages", space.bucket, manifest(space.bucket, "lists/pages.csv")))
        workers.running(2, 120)
        operator.kill()
        workers.release()
        operator.start()
        found = live.wait_complete(120)
    assert counts(found) == {"total": 1205, "succeeded": 1205, "alreadyDone": 1203}
    assert {run.pod.task.volume for run in workers.runs.all()} == set(ahead)
    workers.runs.check_each_ran_once(2)
