"""Workers of a pool that cannot reach the operator, with the real controllers."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import Cluster, Parts
from tests.scale.pool_fleet import PoolFleet
from tests.support.jobs import condition, counts, is_true, job, numbered
from tests.support.kube import Kube
from tests.support.operator_process import Operator
from tests.support.rights import operator_rights
from tests.support.space import new_space, s3_client
from tests.support.waiting import until
from tests.support.warm_pool import WarmPool

ROOT = Path(__file__).parents[2]
DEAD = "http://127.0.0.1:9"
POD = {
    "containers": [{"name": "worker", "image": "none"}],
    "tolerations": [{"operator": "Exists"}],
}


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster.start(f"mute-{os.getpid()}", Parts.KWOK) as running:
        running.add_fake_nodes(2)
        running.kubectl("apply", "-f", str(ROOT / "crds"))
        yield running


def test_nobody_calls_and_the_nodes_are_let_go(cluster: Cluster, tmp_path: Path) -> None:
    """kubeflow/spark-operator#1075: pods ran, nothing happened, no error anywhere."""
    kube, rights, log = Kube(cluster.kubeconfig), operator_rights(cluster, tmp_path), tmp_path / "l"
    with new_space(cluster, kube, s3_client(cluster.s3)) as space:
        pool = WarmPool(kube, space.namespace)
        with Operator(rights, cluster.s3, log, worker_url=DEAD) as operator:
            live = space.submit(
                job(
                    "mute",
                    space.bucket,
                    numbered(8),
                    worker={"template": {"spec": POD}},
                    pool={"maxWorkers": 3, "idle": "3s"},
                )
            )
            until(lambda: len(pool.staying()) == 3, "three workers", 60)
            said = live.wait_stalled("WorkersCannotCall", 180)
            assert DEAD in said
            assert "3 worker(s)" in said
            until(pool.is_at_zero, "no node is held", 60)
            live.wait(lambda found: not found["status"]["pool"].get("workers"), "it says so")
            operator.kill()
            operator.start()
            until(lambda: len(pool.staying()) == 1, "one tries, no more", 60)
            assert is_true(live.read(), "Stalled")
        with (
            Operator(rights, cluster.s3, log) as operator,
            PoolFleet(cluster, lambda: operator.worker_url),
        ):
            found = live.wait_complete(120)
            assert counts(found) == {"total": 8, "succeeded": 8}
            assert condition(found, "Stalled")["status"] == "False"
