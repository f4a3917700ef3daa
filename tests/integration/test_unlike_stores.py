"""Whole Jobs where stores are unlike each other: regions, keys they do not know, names they refuse.

The operator and the workers' library are asked as they are used; what a store refuses ends in the
right class for the right volume, and all others are done.
"""

from dataclasses import replace

import pytest

from bec_ops.location import OutputTemplate
from bec_ops.volume import Volume
from tests import stores
from tests.cluster import S3
from tests.integration.conftest import MakeOperator
from tests.stores import Trait
from tests.support.jobs import counts, job, numbered
from tests.support.space import Space
from tests.support.workers import Workers

pytestmark = pytest.mark.stores

MARKER = b'{"worker_id": "w", "success_timestamp": "2026-11-24T12:00:00Z"}'
DEFAULT = OutputTemplate.parse("artefacts/{job_id}/{w_id}-{i_id}-{i_version}/")


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


def test_an_object_that_is_called_as_the_folder_of_a_done_volume(
    space: Space, workers: Workers, make_operator: MakeOperator
) -> None:
    done, below = numbered(2)
    prefixes = {volume: DEFAULT.prefix("names", volume) for volume in (done, below)}
    space.put(prefixes[done] + "success.json", MARKER)
    both = Trait.FOLDER_AND_OBJECT not in stores.chosen().lacks
    if both:
        space.put(prefixes[done][:-1], b"not a folder")
    space.put(prefixes[below][:-1] + "x", b"begins as a folder does")
    with make_operator(namespaces=space.namespace):
        live = space.submit(job("names", space.bucket, [done, below]))
        found = live.wait_complete(60)
    assert counts(found) == {"total": 2, "succeeded": 2, "alreadyDone": 1}
    assert [run.pod.task.volume for run in workers.runs.all()] == [below]


def test_more_folders_than_a_list_holds_on_one_page(
    space: Space, workers: Workers, make_operator: MakeOperator
) -> None:
    """A list of which the middle is missing: what stands before and behind it is found."""
    volumes = [Volume("W1", f"I{number:04}") for number in range(1205)]
    missing = set(volumes[700:703])
    for volume in volumes:
        if volume not in missing:
            space.put(DEFAULT.prefix("pages", volume) + "success.json", MARKER)
    space.put("lists/pages.csv", "".join(f"{v.w_id},{v.i_id}\n" for v in volumes).encode())
    source = {"manifest": {"uri": f"s3://{space.bucket}/lists/pages.csv"}}
    with make_operator(namespaces=space.namespace):
        found = space.submit(job("pages", space.bucket, source)).wait_complete(120)
    assert counts(found) == {"total": 1205, "succeeded": 1205, "alreadyDone": 1202}
    assert {run.pod.task.volume for run in workers.runs.all()} == missing
