"""What is done already is found by folders, not by walking through what is in them.

With `BEC_SWEEP=full` in the environment each of the 2,000 markers has a hundred artefacts beside
it, which takes minutes to write.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from bec_operator.api.base import DEFAULT_PREFIX
from bec_ops.contract.location import OutputTemplate
from bec_ops.contract.volume import Volume
from tests.cluster import S3
from tests.integration.conftest import MakeOperator
from tests.support.jobs import counts, job, manifest, numbered
from tests.support.s3_faults import S3Faults
from tests.support.space import Space

pytestmark = pytest.mark.stores

DONE = 2000
PAGE = 1000  # keys or folders that S3 lists in one answer
FULL = os.environ.get("BEC_SWEEP") == "full"
PILES = DONE if FULL else 30  # volumes with a hundred artefacts beside their marker
MARKER = b'{"worker_id": "earlier", "success_timestamp": "2026-01-01T00:00:00Z"}'


@pytest.fixture
def counted(s3: S3) -> Iterator[S3Faults]:
    with S3Faults(s3) as counted:
        yield counted


def _fill(space: Space, volumes: list[Volume]) -> None:
    template = OutputTemplate.parse(DEFAULT_PREFIX)
    prefixes = [template.prefix("lines", volume) for volume in volumes]
    keys = [f"{prefix}success.json" for prefix in prefixes]
    keys += [f"{prefix}{n:04}.txt" for prefix in prefixes[:PILES] for n in range(100)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda key: space.put(key, MARKER), keys))


def test_the_sweep_reads_folders_and_markers_and_no_page(
    space: Space, counted: S3Faults, make_operator: MakeOperator
) -> None:
    volumes = numbered(DONE)
    _fill(space, volumes)
    lines = "".join(f"{v.w_id},{v.i_id},{v.i_version}\n" for v in volumes)
    space.put("lists/lines.csv", lines.encode())

    source = manifest(space.bucket, "lists/lines.csv")
    with make_operator(s3=counted.s3, namespaces=space.namespace):
        found = space.submit(job("lines", space.bucket, source)).wait_complete(120)

    assert counts(found) == {"total": DONE, "succeeded": DONE, "alreadyDone": DONE}
    assert space.pods() == []
    folders = DONE + 1  # and that of the reports
    of_sweep = -(-folders // PAGE)
    # and one of the storage check, one for failures that were reported earlier
    assert counted.requests["ListObjectsV2"] <= of_sweep + 2
    # the list, the check, the manifest, a report of an older Job
    assert counted.requests["GetObject"] <= DONE + 4
