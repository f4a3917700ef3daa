"""Pools on nodes that are not there, with the real controllers: who works is never taken away.

With `BEC_POOL_MINUTES=5` in the environment the load of many jobs lasts so long.
"""

import logging
import os
import random
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bec_operator.act.ground.api_server import core
from bec_operator.act.kube.pod_records import DO_NOT_EVICT
from bec_operator.api.names import DRAINING_ANNOTATION
from bec_ops.contract.task import Task
from tests.cluster import Cluster, Parts
from tests.scale.pool_fleet import PoolFleet, Record
from tests.support.api_faults import ApiFaults
from tests.support.jobs import LiveJob, counts, job, numbered
from tests.support.kube import Body, Kube
from tests.support.operator_process import Operator
from tests.support.rights import operator_rights
from tests.support.space import Space, new_space, s3_client
from tests.support.waiting import until
from tests.support.warm_pool import WarmPool

pytestmark = pytest.mark.alone

log = logging.getLogger(__name__)

ROOT = Path(__file__).parents[2]
MINUTES = float(os.environ.get("BEC_POOL_MINUTES", "1"))
POD: Body = {
    "containers": [{"name": "worker", "image": "none"}],
    "tolerations": [{"operator": "Exists"}],
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster.start(f"pools-{os.getpid()}", Parts.KWOK) as running:
        running.add_fake_nodes(2)
        running.kubectl("apply", "-f", str(ROOT / "crds"))
        yield running


@pytest.fixture(scope="module")
def kube(cluster: Cluster) -> Kube:
    return Kube(cluster.kubeconfig)


@pytest.fixture
def space(cluster: Cluster, kube: Kube) -> Iterator[Space]:
    with new_space(cluster, kube, s3_client(cluster.s3)) as space:
        yield space


@pytest.fixture
def rights(cluster: Cluster, tmp_path: Path) -> Path:
    return operator_rights(cluster, tmp_path)


@pytest.fixture
def operator(cluster: Cluster, rights: Path, tmp_path: Path) -> Iterator[Operator]:
    with Operator(rights, cluster.s3, tmp_path / "operator.log") as operator:
        yield operator


def pool_of(space: Space) -> WarmPool:
    """Return what there is of the pools of a space."""
    return WarmPool(space.kube, space.namespace)


def draining(pool: WarmPool) -> list[Body]:
    """Return the marks of the workers that are to go."""
    marks = [pod["metadata"].get("annotations") or {} for pod in pool.pods()]
    return [mark for mark in marks if DRAINING_ANNOTATION in mark]


def pooled(space: Space, name: str, volumes: int, **spec: Any) -> LiveJob:
    """Apply a Job with a pool."""
    pool = {"maxWorkers": 5, "idle": "3s"} | spec.pop("pool", {})
    worker = {"template": {"spec": POD}}
    made = job(name, space.bucket, numbered(volumes, name), worker=worker, pool=pool, **spec)
    return space.submit(made)


def test_many_jobs_for_some_minutes(cluster: Cluster, space: Space, operator: Operator) -> None:
    """keda#6719, keda#1663, dask-kubernetes#633: who works is never taken away; then zero."""
    rng = random.Random(1)
    end = time.monotonic() + 60 * MINUTES
    live: list[tuple[LiveJob, int]] = []
    with PoolFleet(cluster, lambda: operator.worker_url) as fleet:
        while time.monotonic() < end:
            volumes = rng.randint(5, 40)
            live.append((pooled(space, f"job-{len(live)}", volumes), volumes))
            time.sleep(rng.expovariate(1 / 6.0))  # jobs come when they come
        for each, volumes in live:
            found = each.wait_complete(300)
            assert counts(found) == {"total": volumes, "succeeded": volumes}
        pool = pool_of(space)
        until(pool.is_gone, "every pool is gone", 120)
    assert fleet.taken() == []
    total = sum(volumes for _, volumes in live)
    assert fleet.runs.total() == total
    waits = fleet.waits()
    cuts = statistics.quantiles(waits, n=100)
    log.info(
        "%d jobs, %d volumes, %d workers, idle %.0f s; done to the next task p50 %.0f ms, p99 %.0f",
        len(live), total, len(fleet.records), sum(r.idle for r in fleet.records.values()),
        1000 * cuts[49], 1000 * cuts[98],
    )  # fmt: skip


def test_whatever_happens(cluster: Cluster, space: Space, rights: Path, tmp_path: Path) -> None:
    """Operators die, the API server goes, people set numbers, pods go, templates change."""
    rng = random.Random(2)
    with ApiFaults(rights) as proxy:
        kubeconfig = proxy.kubeconfig(tmp_path)
        operator = Operator(kubeconfig, cluster.s3, tmp_path / "operator.log")
        operator.start()
        try:
            with PoolFleet(cluster, lambda: operator.worker_url) as fleet:
                live, pool = pooled(space, "chaos", 160), pool_of(space)
                deleted: list[str] = []
                for step in range(16):
                    _wait_done(live, 8 * (step + 1))
                    _disturb(step, operator, proxy, pool, live, rng, deleted, space)
                found = live.wait_complete(300)
                assert counts(found) == {"total": 160, "succeeded": 160}
                until(pool.is_gone, "the pool is gone", 120)
            operator.stop()
        finally:
            operator.kill()
    assert " broke\n" not in operator.text()
    taken = [record for record in fleet.taken() if record.pod not in deleted]
    assert taken == []
    assert fleet.runs.total() <= 160 + len(deleted)


def _wait_done(live: LiveJob, volumes: int) -> None:
    live.wait(lambda found: counts(found).get("succeeded", 0) >= volumes, f"{volumes} done", 120)


def _disturb(
    step: int,
    operator: Operator,
    proxy: ApiFaults,
    pool: WarmPool,
    live: LiveJob,
    rng: random.Random,
    deleted: list[str],
    space: Space,
) -> None:
    match step % 5:
        case 0:
            operator.kill()
            operator.start()
        case 1:
            pool.scale(rng.randint(5, 8))
        case 2:
            pods = pool.pods()
            if pods:
                name = rng.choice(pods)["metadata"]["name"]
                deleted.append(name)
                space.kube.delete(core(space.namespace, "pods", name))
        case 3:
            live.patch(worker={"template": {"metadata": {"labels": {"revision": f"r{step}"}}}})
        case 4:
            proxy.refuse()
            time.sleep(60 if step == 4 else 5)  # the API server is away for so long
            proxy.heal()
            if not operator.running:  # kopf gives up after a while; Kubernetes starts it again
                operator.kill()
                operator.start()


@pytest.mark.parametrize("moment", ["marked", "lowered"])
def test_killed_in_the_middle_of_a_drain(
    cluster: Cluster, space: Space, operator: Operator, moment: str
) -> None:
    """keda#6719: whoever comes after goes on, and the one that works is left alone."""
    with PoolFleet(
        cluster, lambda: operator.worker_url, lambda task: 30.0 if task.i_id == "I0" else 0.5
    ) as fleet:
        live, pool = pooled(space, "drained", 6, pool={"maxWorkers": 4}), pool_of(space)
        live.wait_counts(succeeded=5, timeout=60)
        if moment == "marked":
            until(lambda: bool(draining(pool)), "one is marked", 60)
        else:
            until(lambda: pool.replicas() < 4, "the number is lowered", 60)
        operator.kill()
        operator.start()
        until(lambda: len(pool.pods()) == 1, "one is left", 60)
        assert counts(live.wait_complete(90)) == {"total": 6, "succeeded": 6}
        until(pool.is_gone, "the pool is gone", 60)
    assert fleet.taken() == []
    assert fleet.runs["I0"] == 1


def test_a_black_hole_costs_two_attempts_and_no_volume(
    cluster: Cluster, space: Space, operator: Operator
) -> None:
    """A poisoned GPU context made 9 of 40 volumes fail for good: it failed all after the first."""
    poisoned: list[str] = []

    def fails(worker: Record, _: Task) -> str:
        if worker.tasks and not poisoned:
            poisoned.append(worker.pod)
        return "CUDA error" if worker.pod in poisoned else ""

    with PoolFleet(cluster, lambda: operator.worker_url, fails=fails) as fleet:
        live = pooled(space, "poisoned", 40, pool={"maxWorkers": 4}, retry={"limit": 1})
        assert counts(live.wait_complete(120)) == {"total": 40, "succeeded": 40}
    failures = [
        attempt
        for task in space.tasks()
        for attempt in task.get("status", {}).get("attempts", [])
        if attempt.get("failure")
    ]
    assert {attempt["failure"] for attempt in failures} == {"BadHost"}
    assert {attempt["pod"] for attempt in failures} == {*poisoned}
    assert all("it was Retryable: CUDA error" in attempt["message"] for attempt in failures)
    (broken,) = (record for record in fleet.records.values() if record.pod in poisoned)
    assert broken.failed == 2
    assert len(fleet.records) > 4, "another one has taken its place"
    assert fleet.taken() == []


def test_workers_that_stay_and_workers_that_are_replaced(
    cluster: Cluster, space: Space, operator: Operator
) -> None:
    """`minWorkers` stay warm while volumes may come; `tasksPerWorker` ends workers, not work."""
    gate = [
        {
            "jobId": "never",
            "output": {"bucket": space.bucket, "prefix": "x/{job_id}/{w_id}/{i_id}/"},
        }
    ]
    with PoolFleet(cluster, lambda: operator.worker_url) as fleet:
        waiting = pooled(space, "waiting", 3, dependsOn=gate, pool={"minWorkers": 2})
        pool = pool_of(space)
        until(lambda: len(pool.pods()) == 2, "two workers stay", 60)
        until(lambda: len(fleet.records) == 2, "they run", 60)
        waiting.patch(suspend=True)
        until(lambda: pool.replicas() == 0, "who is suspended has none", 60)
        waiting.delete()
        until(pool.is_gone, "the pool goes with its Job", 60)

        short = pooled(space, "short", 9, pool={"maxWorkers": 1, "tasksPerWorker": 3})
        short.wait_complete(120)
    workers = [record for record in fleet.records.values() if record.job == "short"]
    assert [record.tasks for record in workers] == [3, 3, 3]
    assert fleet.taken() == []


def test_nodes_wait_for_those_who_work_alone(
    cluster: Cluster, space: Space, operator: Operator
) -> None:
    """autoscaler#4048, karpenter#701: idle workers carry no "do not evict" marks."""
    with PoolFleet(cluster, lambda: operator.worker_url, lambda _: 40.0):
        live, pool = pooled(space, "one", 1, pool={"minWorkers": 2, "idle": "60s"}), pool_of(space)

        def marks() -> list[bool]:
            found = [pod["metadata"].get("annotations") or {} for pod in pool.pods()]
            return sorted(all(name in mark for name in DO_NOT_EVICT) for mark in found)

        until(lambda: marks() == [False, True], "the one that works is marked", 60)
        summary = live.wait(
            lambda found: found["status"].get("pool", {}).get("ready") == 2, "both are ready"
        )["status"]["pool"]["summary"]
        assert summary == "1/2"
        live.wait_complete(120)
        until(pool.is_gone, "the pool is gone", 60)
