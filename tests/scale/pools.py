"""Pools beside the native Indexed Job, part of `make bench`: on fake nodes, and on a real one.

The work is trivial on both sides: to write a marker. So what is measured is what the machinery
costs. The figures go to `build/pools.json`, too.
"""

import json
import re
import statistics
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bec_operator.act.api_server import core
from examples import deploy
from tests.cluster import Cluster, Parts
from tests.cluster.images import image_ref
from tests.scale.api_metrics import per_task, requests
from tests.scale.bench import BUCKET, POD, ROOT, native
from tests.scale.fleet import fleet
from tests.scale.lists import made_list
from tests.scale.pool_fleet import PoolFleet
from tests.support.jobs import LiveJob, job, manifest, numbered
from tests.support.kube import Body, Kube
from tests.support.operator_process import Operator
from tests.support.space import s3_client
from tests.support.waiting import until

JOBS = "/apis/bec.bdrc.io/v1alpha1/namespaces/default/jobs"
WORKER = """
from bec_ops import worker

@worker.job("nothing")
def nothing(task):
    pass
"""
NATIVE = """
import os
from bec_ops.store import Store
key = f"native/{os.environ['JOB_COMPLETION_INDEX']}/success.json"
Store().put(os.environ["BUCKET"], key, b"{}", "application/json")
"""
console = Console(highlight=False)


def on_fake_nodes(tasks: int, workers: int, build: Path) -> Body:
    """Run both on nodes that are not there, and return the figures."""
    with Cluster.start("bench-pools", Parts.KWOK) as cluster:
        cluster.add_fake_nodes(2)
        cluster.kubectl("apply", "-f", str(ROOT / "crds"))
        kube, client = Kube(cluster.kubeconfig), s3_client(cluster.s3)
        client.create_bucket(Bucket=BUCKET)
        client.put_object(Bucket=BUCKET, Key="lists/pool.csv", Body=made_list(tasks))
        log = build / "bench-pools-operator.log"
        with Operator(cluster.kubeconfig, cluster.s3, log) as operator:
            with PoolFleet(cluster, lambda: operator.worker_url, lambda _: 0.0) as played:
                before, began = requests(cluster), time.monotonic()
                kube.create(JOBS, _pooled("pool", workers))
                LiveJob(kube, "default", "pool").wait_complete(1200)
                seconds = time.monotonic() - began
                spent = per_task(before, requests(cluster), tasks)
            waits, metrics = played.waits(), operator.metrics()
        with fleet(cluster, build / "bench-pools-fleet.log"):
            beside = native(cluster, "native", tasks, 500)
    cuts = statistics.quantiles(waits, n=100)
    return {
        "workers": workers,
        "tasks/s": round(tasks / seconds, 1),
        "native tasks/s": beside["tasks/s"],
        "ratio": round(tasks / seconds / beside["tasks/s"], 2),
        "done to next task, p50 ms": round(1000 * cuts[49], 1),
        "done to next task, p99 ms": round(1000 * cuts[98], 1),
        "handed over within": _handovers(metrics),
        "API requests a task, of all": spent,
    }


def _pooled(name: str, workers: int) -> Body:
    return job(
        name,
        BUCKET,
        manifest(BUCKET, f"lists/{name}.csv"),
        worker={"template": {"spec": POD}},
        parallelism=2 * workers,
        pool={"maxWorkers": workers},
        history={"succeeded": 0},
    )


def _handovers(metrics: str) -> Body:
    """Return which share of tasks a worker had within how long, as the operator counted it."""
    found = re.findall(r'bec_pool_handover_seconds_bucket\{le="([^"]+)"\} (\S+)', metrics)
    total = float(found[-1][1])
    return {f"{float(le) * 1000:.0f} ms": round(float(n) / total, 3) for le, n in found[:-1]}


def on_a_real_node(tasks: int, workers: int) -> Body:
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
        beside = _native_on_node(kube, tasks, workers)
    return {
        "workers": workers,
        "tasks/s": round(ours, 2),
        "native tasks/s": round(beside, 2),
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


def _native_on_node(kube: Kube, tasks: int, workers: int) -> float:
    """Return the tasks a second of an Indexed Job with as many pods at once."""
    container = _container(["python", "-c", NATIVE])
    container |= {
        "env": [{"name": "BUCKET", "value": BUCKET}],
        "envFrom": [{"secretRef": {"name": deploy.SECRET}}],
    }
    pod = {
        "containers": [container],
        "restartPolicy": "Never",
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    }
    spec = {
        "completions": tasks,
        "parallelism": workers,
        "completionMode": "Indexed",
        "template": {"spec": pod},
    }
    path = "/apis/batch/v1/namespaces/bench/jobs"
    body = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "native"}, "spec": spec}
    began = time.monotonic()
    kube.create(path, body)

    def complete() -> bool:
        found = kube.get(f"{path}/native").get("status", {})
        assert found.get("failed", 0) < 5, found
        return int(found.get("succeeded", 0)) == tasks

    until(complete, "the native Job is complete", timeout=1200)
    return tasks / (time.monotonic() - began)


def main(
    tasks: Annotated[int, typer.Option(help="tasks on fake nodes")] = 2000,
    workers: Annotated[int, typer.Option(help="workers on fake nodes")] = 50,
    real: Annotated[int, typer.Option(help="tasks on the real node; 0: none")] = 200,
) -> None:
    """Measure, print, and write build/pools.json."""
    build = ROOT / "build"
    build.mkdir(exist_ok=True)
    figures = {"fake nodes": on_fake_nodes(tasks, workers, build)}
    console.print_json(data=figures)
    if real:
        figures["real node"] = on_a_real_node(real, 4)
        console.print_json(data=figures["real node"])
    (build / "pools.json").write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    typer.run(main)
