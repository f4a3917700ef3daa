"""2,000 volumes, and 1,500 of them gated on the first job, on nodes that are not there.

With `BEC_TWO_JOBS=full` in the environment it is 38,836 and 27,789.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import Cluster, Parts
from tests.scale import two_jobs

pytestmark = pytest.mark.alone


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster.start(f"two-{os.getpid()}", Parts.KWOK) as running:
        running.add_fake_nodes(2)
        running.kubectl("apply", "-f", str(two_jobs.ROOT / "crds"))
        yield running


def test_two_jobs_with_failures_and_an_operator_that_is_killed(
    cluster: Cluster, tmp_path: Path
) -> None:
    """kubernetes#130683, kubernetes#120790, argo-workflows#9880: nothing runs twice for nothing."""
    full = os.environ.get("BEC_TWO_JOBS") == "full"
    two_jobs.run(cluster, two_jobs.FULL if full else two_jobs.SMALL, tmp_path)
