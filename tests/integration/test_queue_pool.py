"""A queue and a pool: nobody is there while no message is, and somebody soon after one is."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import Cluster, Parts
from tests.cluster.images import CHECKOUT
from tests.scale.pool_fleet import PoolFleet
from tests.support.connections import Mounted
from tests.support.jobs import condition, job
from tests.support.kube import Body, Kube
from tests.support.operator_process import Operator
from tests.support.queues import Sqs, serving
from tests.support.rights import operator_rights
from tests.support.space import Space, new_space, s3_client
from tests.support.waiting import until
from tests.support.warm_pool import WarmPool

pytestmark = pytest.mark.alone

POD: Body = {
    "containers": [{"name": "worker", "image": "none"}],
    "tolerations": [{"operator": "Exists"}],
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster.start(f"queue-pool-{os.getpid()}", Parts.KWOK) as running:
        running.add_fake_nodes(2)
        running.kubectl("apply", "-f", str(CHECKOUT / "crds"))
        yield running


@pytest.fixture
def space(cluster: Cluster) -> Iterator[Space]:
    with new_space(cluster, Kube(cluster.kubeconfig), s3_client(cluster.s3)) as space:
        yield space


@pytest.fixture
def sqs() -> Iterator[Sqs]:
    with serving("elasticmq") as server:
        yield server


@pytest.mark.parametrize("ack", ["Stored", "Done"])
def test_up_from_zero_with_a_message_and_down_again(
    cluster: Cluster, space: Space, sqs: Sqs, tmp_path: Path, ack: str
) -> None:
    mounted = Mounted(tmp_path / "connections", queues={"kind": "sqs"})
    mounted.put("queues", **sqs.secret())
    url = sqs.make_queue()
    source = {"queue": {"connection": "queues", "url": url, "ack": ack}}
    made = job(
        "ocr",
        space.bucket,
        source,
        worker={"template": {"spec": POD}},
        pool={"maxWorkers": 3, "idle": "2s"},
    )
    rights, log = operator_rights(cluster, tmp_path), tmp_path / "operator.log"
    pool = WarmPool(space.kube, space.namespace)

    def send(*ids: str) -> None:
        for i_id in ids:
            body = json.dumps({"w_id": "W1", "i_id": i_id})
            sqs.client().send_message(QueueUrl=url, MessageBody=body)

    with (
        Operator(rights, cluster.s3, log, **mounted.settings) as operator,
        PoolFleet(cluster, lambda: operator.worker_url) as fleet,
    ):
        live = space.submit(made)
        live.wait(
            lambda found: condition(found, "Ready")["reason"] == "WaitingForMessages",
            "it waits for messages",
        )
        assert not pool.pods()
        for ids in (("I1", "I2", "I3", "I4"), ("I5",)):
            send(*ids)
            began = time.monotonic()
            until(pool.pods, "workers come", 20)
            came = time.monotonic() - began
            assert came < 10, f"seconds are {came:.1f}"
            live.wait_counts(succeeded=int(ids[-1][1:]))
            until(lambda: not pool.pods(), "they go", 60)
        assert fleet.taken() == []
        assert set(fleet.runs) == {f"I{number}" for number in range(1, 6)}
        assert fleet.runs.total() == 5
