"""Jobs of small Python workers in a namespace of their own, and what became of them."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from bec_operator.act.ground.api_server import bec, core
from bec_ops.contract.s3.store import Store
from bec_ops.contract.volume import Volume
from examples.deploy import SECRET
from tests.cluster import Cluster
from tests.cluster.images import image_ref
from tests.support.jobs import LiveJob, job, numbered
from tests.support.kube import Body, Kube

# What every worker does first: it reads its task, and leaves a trace that it ran.
_BEGIN = """
import sys, time
from bec_ops.contract.s3.store import Store
from bec_ops.contract.task import Task
task, store = Task.from_environment(), Store()
pod = task.worker_id.replace("/", "_")
store.put(task.bucket, f"runs/{task.job_id}/{task.i_id}/{task.attempt}/{pod}", b"")
"""
SUCCEED = """
store.put(task.bucket, task.prefix + "success.json", task.marker().dump())
"""


def worker_pod(command: list[str], grace: int = 2, **container: Any) -> Body:
    """Return the spec of a pod that runs a command in the worker image; `grace` in seconds."""
    worker = {"name": "worker", "image": image_ref("worker"), "imagePullPolicy": "Never"}
    return {
        "containers": [{**worker, "command": command, **container}],
        "terminationGracePeriodSeconds": grace,
    }


def script_of(script: str) -> Body:
    """Return the spec of a pod that runs the Python `script` after the beginning of all workers."""
    return worker_pod(["python", "-c", _BEGIN + script])


@dataclass(frozen=True)
class Site:
    """Where one test works: a namespace, and a bucket that it shares by job ids of its own."""

    cluster: Cluster
    kube: Kube
    store: Store
    bucket: str
    namespace: str

    def run(self, script: str, volumes: int, *, pod: Body | None = None, **spec: Any) -> LiveJob:
        """Apply a Job whose workers run the Python `script` after their beginning.

        `pod` holds further fields of the spec of their pods.
        """
        template = {**script_of(script), **(pod or {})}
        worker = {"template": {"spec": template}}
        return self.apply("work", self.namespace, numbered(volumes), worker, **spec)

    def apply(
        self, name: str, job_id: str, volumes: list[Volume], worker: Body, **spec: Any
    ) -> LiveJob:
        """Apply a Job that writes to this site's bucket."""
        output = {"bucket": self.bucket, "credentialsSecret": SECRET}
        made = job(name, self.bucket, volumes, jobId=job_id, worker=worker, output=output, **spec)
        self.kube.create(bec(self.namespace, "jobs"), made)
        return LiveJob(self.kube, self.namespace, name)

    def pods(self) -> list[Body]:
        """Return the pods of the namespace."""
        return self.kube.items(core(self.namespace, "pods"))

    def tasks(self) -> list[Body]:
        """Return the VolumeTasks of the namespace."""
        return self.kube.items(bec(self.namespace, "volumetasks"))

    def runs(self) -> Counter[str]:
        """Count the pods that ran, by volume: each has left a trace in S3."""
        keys = self.store.list_keys(self.bucket, f"runs/{self.namespace}/")
        return Counter(key.split("/")[2] for key in keys)

    def attempts(self) -> Counter[tuple[str, str]]:
        """Count the pods that ran, by volume and attempt."""
        keys = self.store.list_keys(self.bucket, f"runs/{self.namespace}/")
        return Counter((key.split("/")[2], key.split("/")[3]) for key in keys)
