"""The two sides of a comparison: a Job of ours, and a native Indexed Job, both to their end."""

import time
from collections.abc import Sequence
from typing import Any

from bec_operator.act.ground.api_server import bec, core
from bec_operator.api.names import TASK_LABEL
from bec_ops.contract.volume import Volume
from tests.cluster import Cluster
from tests.scale.api_metrics import per_task, requests
from tests.scale.meter import Meter, cpu_seconds
from tests.support.jobs import LiveJob, job
from tests.support.kube import Body, Kube
from tests.support.operator_process import Operator
from tests.support.waiting import until

BUCKET = "bench"
NAMESPACE = "default"
POD = {
    "containers": [{"name": "worker", "image": "none"}],
    "tolerations": [{"operator": "Exists"}],
}
JOBS, TASKS = bec(NAMESPACE, "jobs"), bec(NAMESPACE, "volumetasks")
PODS = core(NAMESPACE, "pods")
NATIVE_JOBS = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"


def ours(cluster: Cluster, operator: Operator, spec: Body, tasks: int) -> Body:
    """Run a Job of ours to `Complete`, and return its figures."""
    kube, meter = Kube(cluster.kubeconfig), Meter(cluster, operator)
    began = time.monotonic()
    kube.create(JOBS, spec)
    LiveJob(kube, NAMESPACE, spec["metadata"]["name"]).wait_complete(1200)
    seconds = time.monotonic() - began
    cpu = meter.cpu_seconds()
    until(lambda: not kube.items(TASKS, limit="1"), "all is cleaned up", timeout=300)
    return {
        "seconds": round(seconds, 2),
        "tasks_per_second": round(tasks / seconds, 1),
        "seconds_until_cleaned_up": round(time.monotonic() - began, 2),
        "operator_cpu_ms": round(1000 * cpu / tasks, 2),
        **meter.per_task(tasks),
    }


def pod_per_task(name: str, source: Body | Sequence[Volume], at_once: int, **more: Any) -> Body:
    """Return a Job of ours whose volumes get a pod each."""
    template = {"template": {"spec": POD}}
    return job(
        name,
        BUCKET,
        source,
        worker=template,
        parallelism=at_once,
        history={"succeeded": 0},
        **more,
    )


def native(cluster: Cluster, name: str, tasks: int, at_once: int) -> Body:
    """Run a native Indexed Job to its end, and return its figures."""
    kube = Kube(cluster.kubeconfig)
    template = {
        "metadata": {"labels": {TASK_LABEL: name}},  # the simulated workers go by it
        "spec": {**POD, "containers": [_native_worker(name)], "restartPolicy": "Never"},
    }
    before, began, cpu = requests(cluster), time.monotonic(), _controllers_cpu(cluster)
    kube.create(NATIVE_JOBS, indexed_job(name, tasks, at_once, template))
    wait_native(kube, f"{NATIVE_JOBS}/{name}")
    seconds = time.monotonic() - began
    figures = {
        "seconds": round(seconds, 2),
        "tasks_per_second": round(tasks / seconds, 1),
        "controllers_cpu_ms": round(1000 * (_controllers_cpu(cluster) - cpu) / tasks, 2),
        "api_requests_of_all": per_task(before, requests(cluster), tasks),
    }
    kube.delete(f"{NATIVE_JOBS}/{name}")
    until(lambda: not kube.items(PODS, limit="1"), "its pods are gone", timeout=300)
    return figures


def _controllers_cpu(cluster: Cluster) -> float:
    """Return the processor time of the process in which the native Job controller runs."""
    pid = cluster.processes["kube-controller-manager"].pid
    assert pid is not None
    return cpu_seconds(pid)


def indexed_job(name: str, tasks: int, at_once: int, template: Body) -> Body:
    """Return a native Job of so many pods, so many at once."""
    spec = {
        "completions": tasks,
        "parallelism": at_once,
        "completionMode": "Indexed",
        "template": template,
    }
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec}


def wait_native(kube: Kube, path: str) -> None:
    """Wait until a native Job says that it is complete."""

    def complete() -> bool:
        status = kube.get(path).get("status", {})
        assert status.get("failed", 0) < 5, status
        conditions = status.get("conditions", [])
        return any(c["type"] == "Complete" and c["status"] == "True" for c in conditions)

    until(complete, "the native Job is complete", timeout=1200)


def _native_worker(name: str) -> Body:
    plain = {
        "BEC_JOB_ID": name,
        "BEC_W_ID": "W1",
        "BEC_I_ID": "I1",
        "BEC_OUTPUT_URI": f"s3://{BUCKET}/native/{name}/",
        "BEC_WORKER_ID": "native",
    }
    env = [{"name": key, "value": value} for key, value in plain.items()]
    return {"name": "worker", "image": "none", "env": env}
