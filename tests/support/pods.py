"""One pod as its kubelet and its worker play it: each method is something that one of them does."""

import json
import re
import threading
from datetime import UTC, datetime

from mypy_boto3_s3 import S3Client

from bec_operator.act.ground.api_server import core
from bec_operator.api.names import JOB_LABEL, WORKER_CONTAINER
from bec_ops.contract.marker import MARKER_NAME
from bec_ops.contract.task import Task
from tests.support.kube import MERGE_PATCH, STRATEGIC_PATCH, Body, Kube
from tests.support.recorded import Recorded

_REFERENCE = re.compile(r"\$\$|\$\(([A-Za-z_][A-Za-z0-9_]*)\)")
KILLED = 137  # exit code of what ends by SIGKILL


class PlayedPod:
    """A pod of ours on a node that is not there."""

    def __init__(self, kube: Kube, s3: S3Client, node: str, pod: Body) -> None:
        meta = pod["metadata"]
        self.namespace: str = meta["namespace"]
        self.name: str = meta["name"]
        self.uid: str = meta["uid"]
        self.job: str = meta["labels"][JOB_LABEL]  # the name of the Job
        self.spec: Body = pod["spec"]
        self.environment = environment(pod)
        self.task = Task.from_environment(self.environment)
        self.lock = threading.RLock()  # one thread at a time plays it
        self._kube = kube
        self._s3 = s3
        self._node = node
        self._bound = False
        self._started = ""
        self._ended = False

    @property
    def path(self) -> str:
        """Where the API server has it."""
        return core(self.namespace, "pods", self.name)

    @property
    def has_ended(self) -> bool:
        """Whether it has come to its end."""
        return self._ended

    @property
    def marker_key(self) -> str:
        """Where its success marker belongs."""
        return self.task.prefix + MARKER_NAME

    def bind(self) -> None:
        """Be given a node: from now on a deletion waits for the kubelet."""
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": self.name, "uid": self.uid},
            "target": {"apiVersion": "v1", "kind": "Node", "name": self._node},
        }
        if not self._bound:
            self._kube.create(f"{self.path}/binding", binding)
            self._bound = True

    def wait_for_image(self, reason: str, message: str) -> None:
        """Be unable to start for its image."""
        self.bind()
        self._report("Pending", {"waiting": {"reason": reason, "message": message}})

    def report_unschedulable(self, message: str) -> None:
        """Be refused by the scheduler, for want of a node."""
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
        body = {"status": {"conditions": [{**condition, "message": message}]}}
        self._kube.patch(f"{self.path}/status", body, content_type=STRATEGIC_PATCH)

    def start(self) -> None:
        """Run."""
        self.bind()
        self._started = _now()
        self._report("Running", {"running": {"startedAt": self._started}})

    def put_artefact(self, name: str) -> None:
        """Write an artefact."""
        self._s3.put_object(Bucket=self.task.bucket, Key=self.task.prefix + name, Body=b"x")

    def put_marker(self, body: bytes | None = None) -> None:
        """Write the success marker, by default a good one."""
        content = self.task.marker().dump() if body is None else body
        self._s3.put_object(Bucket=self.task.bucket, Key=self.marker_key, Body=content)

    def end(self, code: int, reason: str = "", message: str = "") -> None:
        """Let the worker exit, and the pod end with it."""
        state = {
            "exitCode": code,
            "reason": reason or ("Completed" if code == 0 else "Error"),
            "message": message,
            "startedAt": self._started or _now(),
            "finishedAt": _now(),
        }
        self._ended = True
        self._report("Failed" if code else "Succeeded", {"terminated": state})

    def end_beside_sidecar(self, code: int) -> None:
        """Let the worker exit while another container runs on."""
        state = {"exitCode": code, "startedAt": self._started, "finishedAt": _now()}
        self._report("Running", {"terminated": state})

    def evict(self) -> None:
        """Be evicted for want of room on the node."""
        self._ended = True
        status = {"reason": "Evicted", "message": "The node was low on resource: memory."}
        self._report("Failed", {"terminated": {"exitCode": KILLED, "reason": "Error"}}, **status)

    def become(self, recorded: Recorded) -> None:
        """End, or stand still, as a pod did that a real kubelet has left."""
        if recorded.pod["spec"].get("nodeName"):
            self.bind()
        # The class of service follows from this pod's own resources, and cannot be changed.
        status = {k: v for k, v in recorded.pod["status"].items() if k != "qosClass"}
        self._ended = status["phase"] in {"Succeeded", "Failed"}
        body = {"metadata": {"uid": self.uid}, "status": status}
        self._kube.patch(f"{self.path}/status", body, content_type=MERGE_PATCH)

    def warn(self, reason: str, message: str) -> None:
        """Have the kubelet tell of something in an Event."""
        about = {"kind": "Pod", "namespace": self.namespace, "name": self.name, "uid": self.uid}
        event = {
            "metadata": {"name": f"{self.name}.{reason.lower()}"},
            "involvedObject": about,
            "type": "Warning",
            "reason": reason,
            "message": message,
            "lastTimestamp": _now(),
        }
        self._kube.create(core(self.namespace, "events"), event)

    def vanish(self) -> None:
        """Be deleted by force, without a word to the kubelet."""
        self._ended = True
        self._kube.delete(self.path, uid=self.uid, grace=0)

    def let_go(self) -> None:
        """Do what a kubelet does about a deletion: end what runs, then let the object go."""
        if not self._ended:
            self.end(KILLED)
        self._kube.delete(self.path, uid=self.uid, grace=0)

    def _report(self, phase: str, state: Body, **more: object) -> None:
        # Null takes away the other states that the merge would keep.
        states = {"waiting": None, "running": None, "terminated": None, **state}
        worker = {
            "name": WORKER_CONTAINER,
            "image": "none",
            "imageID": "none",
            "ready": "running" in state,
            "restartCount": 0,
            "state": states,
        }
        status = {"phase": phase, "startTime": self._started or _now(), **more}
        body = {
            "metadata": {"uid": self.uid},
            "status": {**status, "containerStatuses": [worker]},
        }
        self._kube.patch(f"{self.path}/status", body, content_type=STRATEGIC_PATCH)


def environment(pod: Body) -> dict[str, str]:
    """Return the variables of the worker, with references and fields resolved as kubelets do."""
    containers = pod["spec"]["containers"]
    worker = next(c for c in containers if c["name"] == WORKER_CONTAINER)
    found: dict[str, str] = {}
    for entry in worker.get("env") or []:
        if "valueFrom" in entry:
            _, _, field = entry["valueFrom"]["fieldRef"]["fieldPath"].partition("metadata.")
            found[entry["name"]] = pod["metadata"][field]
        else:
            found[entry["name"]] = _resolve(entry.get("value", ""), found)
    return found


def _resolve(text: str, known: dict[str, str]) -> str:
    def one(match: re.Match[str]) -> str:
        name = match[1]
        return "$" if name is None else known.get(name, match[0])

    return _REFERENCE.sub(one, text)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def truncated(body: bytes) -> bytes:
    """Return a marker as a writer leaves it that died on the way."""
    assert json.loads(body)
    return body[: len(body) // 2]
