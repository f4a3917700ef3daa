"""A pool of a Job that follows versions: nobody is there while nothing is new."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bec_ops.contract.volume import Volume
from tests.cluster import Cluster, Parts
from tests.cluster.images import CHECKOUT
from tests.scale.pool_fleet import PoolFleet
from tests.support.jobs import condition, csv, job, manifest
from tests.support.kube import Body, Kube
from tests.support.operator_process import Operator
from tests.support.rights import operator_rights
from tests.support.space import Space, new_space, s3_client
from tests.support.waiting import until
from tests.support.warm_pool import WarmPool

pytestmark = pytest.mark.alone

KEY = "lists/volumes.csv"
POD: Body = {
    "containers": [{"name": "worker", "image": "none"}],
    "tolerations": [{"operator": "Exists"}],
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster.start(f"followed-pool-{os.getpid()}", Parts.KWOK) as running:
        running.add_fake_nodes(2)
        running.kubectl("apply", "-f", str(CHECKOUT / "crds"))
        yield running


@pytest.fixture
def space(cluster: Cluster) -> Iterator[Space]:
    with new_space(cluster, Kube(cluster.kubeconfig), s3_client(cluster.s3)) as space:
        yield space


def test_at_zero_until_there_is_a_new_version(
    cluster: Cluster, space: Space, tmp_path: Path
) -> None:
    volumes = [Volume("W1", "I1"), Volume("W1", "I2")]
    for volume in volumes:
        space.put(f"works/{volume.i_id}", b"as it was")
    space.put(KEY, csv(volumes))
    way = {"etag": {"uri": f"s3://{space.bucket}/works/{{i_id}}"}, "follow": "1s"}
    source = {**manifest(space.bucket, KEY), "versions": way}
    rights, log = operator_rights(cluster, tmp_path), tmp_path / "operator.log"
    pool = WarmPool(space.kube, space.namespace)

    with (
        Operator(rights, cluster.s3, log) as operator,
        PoolFleet(cluster, lambda: operator.worker_url) as fleet,
    ):
        made = job(
            "ocr",
            space.bucket,
            source,
            worker={"template": {"spec": POD}},
            pool={"maxWorkers": 3, "idle": "2s"},
        )
        live = space.submit(made)
        for done in (2, 3):
            live.wait_counts(total=done, succeeded=done)
            until(pool.is_at_zero, "they go", 60)
            found = live.read()
            assert condition(found, "Ready")["reason"] == "WaitingForVersions"
            space.put("works/I1", b"corrected")
        assert fleet.runs == {"I1": 2, "I2": 1}
