"""Warm workers on a real node: up from zero, shared, and gone; never while they work."""

import json
import signal
from collections import Counter

import yaml

from bec_operator.act.ground.api_server import apps, core
from bec_operator.act.kube.pod_records import DO_NOT_EVICT
from bec_operator.api.job import JobSpec
from bec_operator.api.names import JOB_LABEL
from bec_ops.contract.location import OutputTemplate
from bec_ops.contract.marker import MARKER_NAME
from bec_ops.contract.s3.store import Store
from bec_ops.contract.volume import Volume
from tests.cluster import Cluster
from tests.cluster.images import CHECKOUT
from tests.e2e.acts import MINUTES, signal_worker
from tests.e2e.site import Site
from tests.e2e.warm import begin, begin_one, loads
from tests.support.jobs import LiveJob, counts
from tests.support.kube import Body, Kube
from tests.support.waiting import throughout, until


def _is_guarded(pod: Body) -> bool:
    marks = pod["metadata"].get("annotations") or {}
    return any(name in marks for name in DO_NOT_EVICT)


def test_volumes_are_shared_by_few_workers_that_load_once(site: Site) -> None:
    """Up from zero, as many workers as there may be, each with its model, and none is left."""
    ids = [f"quick-{number}" for number in range(12)]
    acts, pool = begin(site, *ids)
    acts.let_go(*ids)
    until(lambda: len(pool.staying()) == 3, "three workers", 2 * MINUTES)
    done = acts.job.wait_complete(3 * MINUTES)
    assert counts(done) == {"total": 12, "succeeded": 12}
    attempts = [attempt for i_id in ids for attempt in acts.attempts(i_id)]
    assert len(attempts) == 12
    workers = Counter(attempt["podUid"] for attempt in attempts)
    assert 1 <= len(workers) <= 3
    assert loads(site) == len(workers)
    assert max(workers.values()) > 1
    until(pool.is_gone, "the pool is gone", 2 * MINUTES)


def test_ocr_with_workers_that_load_once(cluster: Cluster, demo_store: Store) -> None:
    """The example: up from zero, volumes shared, what is loaded is loaded once a worker."""
    manifest = CHECKOUT / "examples/ocr/job-in-a-pool.yaml"
    described = yaml.safe_load(manifest.read_text())
    name, namespace = described["metadata"]["name"], described["metadata"]["namespace"]
    spec = JobSpec.model_validate(described["spec"])
    cluster.kubectl("apply", "-f", str(manifest))
    kube = Kube(cluster.kubeconfig)
    done = LiveJob(kube, namespace, name).wait_complete(5 * MINUTES)
    volumes = [Volume(i.w_id, i.i_id, i.i_version) for i in spec.volumes.items or []]
    assert counts(done) == {"total": len(volumes), "succeeded": len(volumes)}
    template = OutputTemplate.parse(spec.output.prefix)
    workers: set[str] = set()
    loads = 0
    for volume in volumes:
        prefix = template.prefix(name, volume)
        marker = json.loads(demo_store.get(spec.output.bucket, prefix + MARKER_NAME) or b"{}")
        log = demo_store.get(spec.output.bucket, prefix + marker["log"]) or b""
        workers.add(marker["worker_id"])
        loads += log.count(b"Tesseract reads")
    assert loads == len(workers) <= 3

    def is_gone() -> bool:
        pods = kube.items(core(namespace, "pods"), labelSelector=f"{JOB_LABEL}={name}")
        return not pods and not kube.items(apps(namespace, "deployments"))

    until(is_gone, "nothing is left", 2 * MINUTES)


def test_who_works_is_left_alone_while_the_others_go(site: Site) -> None:
    """keda#1663, keda#6719: a queue that empties while one worker has a long volume."""
    quick = [f"quick-{number}" for number in range(5)]
    acts, pool = begin(site, "long", *quick)
    acts.let_go(*quick)
    until(lambda: len(pool.staying()) == 1 and pool.replicas() == 1, "one is left", 3 * MINUTES)
    (long,) = acts.attempts("long")

    def goes_on() -> bool:
        return [pod["metadata"]["uid"] for pod in pool.staying()] == [long["podUid"]]

    throughout(20.0, goes_on, "nobody touches it")
    (pod,) = pool.staying()
    assert _is_guarded(pod)
    status = site.kube.get(acts.job.path)["status"]
    assert status["pool"]["summary"] == "1/1"
    assert "workers" in status["pool"]["decision"]
    acts.let_go("long")
    assert counts(acts.job.wait_complete(2 * MINUTES)) == {"total": 6, "succeeded": 6}
    assert len(acts.attempts("long")) == 1


def test_a_worker_that_is_taken_away_finishes_its_volume(site: Site) -> None:
    """Somebody else lowers `replicas`: busy workers finish, and what is left gets others."""
    acts, pool = begin(site, "long", "late", pool={"maxWorkers": 1})
    until(lambda: bool(acts.attempts("long")), "it has a worker", 2 * MINUTES)
    pool.scale(0)

    def is_going() -> bool:
        return any("deletionTimestamp" in pod["metadata"] for pod in pool.pods())

    until(is_going, "its worker is told to go", MINUTES)
    acts.let_go("long", "late")
    assert counts(acts.job.wait_complete(3 * MINUTES)) == {"total": 2, "succeeded": 2}
    assert len(acts.attempts("long")) == 1


def test_an_evicted_worker_gives_its_volume_back_for_nothing(site: Site) -> None:
    """kubernetes: a node that is drained does not wait for a volume of hours."""
    acts, pool = begin_one(site, "evicted")
    (pod,) = pool.staying()
    name = pod["metadata"]["name"]
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    site.kube.create(core(site.namespace, "pods", name, "eviction"), eviction)
    (first, second) = acts.wait_ended("evicted", "Succeeded")
    assert first["failure"] in {"Interrupted", "Disrupted"}
    assert first["podUid"] != second["podUid"]


def test_a_worker_that_dies_costs_the_one_volume_that_it_held(site: Site) -> None:
    """The container starts again, its log of before is kept, and the volume is tried again."""
    acts, _ = begin_one(site, "dies")
    signal_worker(acts.attempts("dies")[0]["podUid"], signal.SIGKILL)
    attempts = acts.wait_ended("dies", "Succeeded")
    assert len(attempts) == 2, json.dumps(attempts, indent=1)
    (first, second) = attempts
    assert first["failure"] == "Retryable"
    assert "137" in first["message"]
    assert first["podUid"] == second["podUid"]
    acts.check_log("dies", 1, "attempt 1 at W1/dies@v1")


def test_parameters_that_are_wrong_stop_the_job_and_not_each_volume(site: Site) -> None:
    """The pool goes to zero, nobody has tried a volume, and a correction sets it going."""
    worker = {"parameters": {"dpi": "many"}}
    acts, pool = begin(site, "one", "two", worker=worker, pool={"maxWorkers": 2})
    assert "dpi" in acts.job.wait_stalled("Misconfigured", 2 * MINUTES)
    until(pool.is_at_zero, "no worker is left", 2 * MINUTES)
    assert not acts.attempts("one")
    acts.let_go("one", "two")
    acts.job.patch(worker={"parameters": {"dpi": 600}})
    assert counts(acts.job.wait_complete(3 * MINUTES)) == {"total": 2, "succeeded": 2}
