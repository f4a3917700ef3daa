"""Pools beside the native Indexed Job, part of `make bench`: on fake nodes, and on a real one.

The work is trivial on both sides: to write a marker. So what is measured is what the machinery
costs.
"""

import statistics
import time
from pathlib import Path

from rich.console import Console

from bec_operator.act.ground.api_server import core
from examples import deploy
from tests.cluster import S3, Cluster, Parts
from tests.cluster.images import CHECKOUT, image_ref
from tests.scale.fleet import fleet
from tests.scale.histograms import quantiles
from tests.scale.lists import made_list
from tests.scale.meter import Meter
from tests.scale.pool_fleet import PoolFleet
from tests.scale.sides import BUCKET, JOBS, POD, indexed_job, native, wait_native
from tests.support.jobs import LiveJob, job, manifest, numbered
from tests.support.kube import Body, Kube
from tests.support.operator_process import Operator
from tests.support.space import s3_client

WORKER = """
from bec_ops import worker

@worker.job("nothing")
def nothing(task):
    pass
"""
NATIVE = """
import os
from bec_ops.contract.s3.store import Store
key = f"native/{os.environ['JOB_COMPLETION_INDEX']}/success.json"
Store().put(os.environ["BUCKET"], key, b"{}", "application/json")
"""


def on_fake_nodes(tasks: int, workers: int, build: Path) -> Body:
    """Run both on nodes that are not there, and return the figures."""
    with Cluster.start("bench-pools", Parts.KWOK) as cluster:
        cluster.add_fake_nodes(2)
        cluster.kubectl("apply", "-f", str(CHECKOUT / "crds"))
        kube, client = Kube(cluster.kubeconfig), s3_client(cluster.s3)
        client.create_bucket(Bucket=BUCKET)
        client.put_object(Bucket=BUCKET, Key="lists/pool.csv", Body=made_list(tasks))
        log = build / "bench-pools-operator.log"
        with Operator(cluster.kubeconfig, cluster.s3, log) as operator:
            with PoolFleet(cluster, lambda: operator.worker_url, lambda _: 0.0) as played:
                meter, began = Meter(cluster, operator), time.monotonic()
                kube.create(JOBS, _pooled("pool", workers))
                LiveJob(kube, "default", "pool").wait_complete(1200)
                seconds = time.monotonic() - began
                cpu, spent = meter.cpu_seconds(), meter.per_task(tasks)
            waits, metrics = played.waits(), operator.metrics()
        with fleet(cluster, build / "bench-pools-fleet.log"):
            beside = native(cluster, "native", tasks, 500)
    cuts = statistics.quantiles(waits, n=100)
    return {
        "workers": workers,
        "tasks_per_second": round(tasks / seconds, 1),
        "native_tasks_per_second": beside["tasks_per_second"],
        "ratio": round(tasks / seconds / beside["tasks_per_second"], 2),
        "operator_cpu_ms": round(1000 * cpu / tasks, 2),
        "done_to_next_task": {"p50_ms": round(1000 * cuts[49], 1),
                              "p99_ms": round(1000 * cuts[98], 1)},
        "handover": quantiles("bec_pool_handover_seconds", "", metrics),
        **spent,
    }  # fmt: skip


def _pooled(name: str, workers: int) -> Body:
    return job(
        name,
        BUCKET,
        manifest(BUCKET, f"lists/{name}.csv"),
        worker={"template": {"spec": POD}},
        parallelism=4 * workers,
        pool={"maxWorkers": workers},
        history={"succeeded": 0},
    )


def on_a_real_node(tasks: int, workers: int, console: Console) -> Body:
    """Run both on the real node, one after the other, and return the figures."""
    with Cluster.start("bench-node", Parts.NODE) as cluster:
        deploy.load_images(cluster, ("operator", "worker"), console.print)
        deploy.install_operator(cluster)
        deploy.open_store(cluster, BUCKET)
        deploy.add_namespace(cluster, "bench")
        kube = Kube(cluster.kubeconfig)
        script = {"metadata": {"name": "worker"}, "data": {"worker.py": WORKER}}
        kube.create(core("bench", "configmaps"), script)
        began = time.monotonic()
        kube.create(JOBS.replace("default", "bench"), _pooled_on_node(tasks, workers))
        LiveJob(kube, "bench", "pool").wait_complete(1200)
        ours = tasks / (time.monotonic() - began)
        beside = _native_on_node(kube, cluster.s3, tasks, workers)
    return {
        "workers": workers,
        "tasks_per_second": round(ours, 2),
        "native_tasks_per_second": round(beside, 2),
        "ratio": round(ours / beside, 1),
    }


def _container(command: list[str]) -> Body:
    return {
        "name": "worker",
        "image": image_ref("worker"),
        "imagePullPolicy": "Never",
        "command": command,
    }


def _pooled_on_node(tasks: int, workers: int) -> Body:
    container = _container(["bec-worker", "run", "/opt/worker/worker.py"])
    mount = {"name": "script", "mountPath": "/opt/worker"}
    pod = {
        "containers": [{**container, "volumeMounts": [mount]}],
        "volumes": [{"name": "script", "configMap": {"name": "worker"}}],
    }
    return job(
        "pool",
        BUCKET,
        numbered(tasks),
        worker={"template": {"spec": pod}, "handler": "nothing"},
        output={"bucket": BUCKET, "credentialsSecret": deploy.SECRET},
        pool={"maxWorkers": workers},
    )


def _native_on_node(kube: Kube, s3: S3, tasks: int, workers: int) -> float:
    """Return the tasks a second of an Indexed Job with as many pods at once."""
    container = _container(["python", "-c", NATIVE])
    container |= {
        "env": [
            {"name": "BUCKET", "value": BUCKET},
            {"name": "AWS_ENDPOINT_URL_S3", "value": s3.endpoint_url},
            {"name": "AWS_REGION", "value": s3.region},
        ],
        "envFrom": [{"secretRef": {"name": deploy.SECRET}}],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    pod = {
        "containers": [container],
        "restartPolicy": "Never",
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    }
    path = "/apis/batch/v1/namespaces/bench/jobs"
    began = time.monotonic()
    kube.create(path, indexed_job("native", tasks, workers, {"spec": pod}))
    wait_native(kube, f"{path}/native")
    return tasks / (time.monotonic() - began)


def measure(tasks: int, build: Path, console: Console, *, workers: int = 50) -> Body:
    """Measure both: on fake nodes, and 200 tasks by 4 workers on the real one."""
    figures = {"fake_nodes": on_fake_nodes(tasks, workers, build)}
    console.print_json(data=figures)
    return {**figures, "real_node": on_a_real_node(200, 4, console)}
