"""One Job of two volumes, its first task and the pod of that: what the operator knows of them."""

import asyncio
from dataclasses import replace
from typing import Any

from bec_operator.act.ground.api_server import ApiError
from bec_operator.act.ground.cache import Cache
from bec_operator.act.ground.context import Context
from bec_operator.api.job import Condition, Counts, JobPhase, JobSpec, JobStatus
from bec_operator.api.names import JOB_LABEL, TASK_LABEL, pod_name, task_name
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.seen import JobSeen, PodSeen, TaskSeen
from bec_operator.decide.volumes.ledger import Ledger
from bec_operator.settings import Settings
from bec_operator.worker_api.callers.claims import Identity
from bec_ops.contract.location import OutputTemplate
from bec_ops.contract.s3.store import Store, StoreError
from tests.support.jobs import TEMPLATE, job, numbered
from tests.unit.decide.steps import observe

VOLUMES = numbered(2)
TASK = task_name("ocr", VOLUMES[0])
RESULT = {"type": "object", "required": ["pages"]}
WORKER = {
    "template": TEMPLATE,
    "handler": "ocr",
    "parameters": {"model": "bod"},
    "result": RESULT,
}
JOB = JobSeen(
    namespace="texts",
    name="ocr",
    uid="uid-job",
    version=1,
    generation=1,
    created="",
    spec=JobSpec.model_validate(
        job(
            "ocr",
            "bucket",
            VOLUMES,
            worker=WORKER,
            output={"bucket": "bucket", "expect": ["*.txt"]},
        )["spec"]
    ),
)
TASK_SEEN = TaskSeen(
    namespace="texts", name=TASK, uid="uid-task", version=2, job="ocr", owner_uid="uid-job", index=0
)
POD = PodSeen(
    namespace="texts",
    name=pod_name(TASK, 1),
    uid="uid-pod",
    version=3,
    job="ocr",
    task=TASK,
    owner_uid="uid-task",
    phase="Running",
)
IDENTITY = Identity("texts", POD.name, POD.uid)


def raw_pod() -> dict[str, Any]:
    """Return the pod as the API server has it."""
    labels = {JOB_LABEL: POD.job, TASK_LABEL: POD.task}
    owners = [{"uid": POD.owner_uid, "controller": True}]
    meta = {"namespace": POD.namespace, "name": POD.name, "uid": POD.uid, "resourceVersion": "3"}
    return {"metadata": {**meta, "labels": labels, "ownerReferences": owners}, "spec": {}}


def raw_task() -> dict[str, Any]:
    """Return the VolumeTask as the API server has it."""
    owners = [{"uid": "uid-job", "controller": True}]
    meta = {"namespace": "texts", "name": TASK, "uid": "uid-task", "resourceVersion": "2"}
    spec = {"job": "ocr", "index": 0, "volume": {"wId": "W1", "iId": "I0", "iVersion": "v1"}}
    return {"metadata": {**meta, "ownerReferences": owners}, "spec": spec}


class Scene:
    """A context whose API server and S3 are made up; by default all is in the cache and loaded."""

    def __init__(self, *, known: bool = True, **settings: Any) -> None:
        self.time = 1000.0
        self.objects: dict[str, dict[str, Any]] = {}  # by the last part of the path
        self.api_error: Exception | None = None
        self.asked: list[str] = []
        self.stored: dict[str, bytes] = {}
        self.s3_error: StoreError | None = None
        fakes: dict[str, Any] = {"api": self, "storage": self, "clock": self}
        self.cache = Cache(lambda _: None)
        self.ctx = Context(cache=self.cache, settings=Settings(**settings), **fakes)
        self.memory = Memory(JOB)
        if known:
            self.cache.jobs.put(JOB)
            self.cache.tasks.put(TASK_SEEN)
            self.cache.pods.put(POD)
            self.load()

    def load(self) -> None:
        """Let manifest and ledger be known, and the task be seen."""
        template = OutputTemplate.parse(self.memory.output.prefix)
        prefixes = [template.prefix("ocr", volume) for volume in VOLUMES]
        self.memory.load(VOLUMES, prefixes, Ledger.fresh("digest", len(VOLUMES)), self.time)
        observe(self.memory, [TASK_SEEN], {POD.name: POD}, self.time)

    def change_pod(self, **fields: Any) -> None:
        """Let the pod be seen in another state."""
        self.cache.pods.put(replace(POD, version=10, **fields))

    def change_task(self, **fields: Any) -> None:
        """Let the VolumeTask be seen in another state."""
        self.cache.tasks.put(replace(TASK_SEEN, version=10, **fields))

    def change_job(self, **fields: Any) -> None:
        """Let the Job be seen in another state."""
        self.cache.jobs.put(replace(JOB, version=10, **fields))

    def finish_job(self) -> None:
        """Let the Job be seen as complete; with that, all else is forgotten."""
        over = Condition(
            type="Complete", status="True", reason="Complete", last_transition_time="now"
        )
        counts = Counts(total=2, succeeded=2)
        status = JobStatus(phase=JobPhase.COMPLETE, counts=counts, conditions=[over])
        self.change_job(status=status)
        self.memory.forget()

    def now(self) -> float:
        """Be the clock."""
        return self.time

    async def request(self, method: str, path: str) -> dict[str, Any]:
        """Be the API server."""
        assert method == "GET"
        self.asked.append(path)
        await asyncio.sleep(0)
        if self.api_error is not None:
            raise self.api_error
        found = self.objects.get(path.rpartition("/")[2])
        if found is None:
            raise ApiError(404, "NotFound", path)
        return found

    async def call(self, operation: str, work: Any) -> None:
        """Be S3, which takes what is put."""
        assert operation == "put"
        if self.s3_error is not None:
            raise self.s3_error
        scene = self

        class _Store(Store):
            def __init__(self) -> None: ...

            def put(self, bucket: str, key: str, body: bytes, content_type: str = "") -> None:
                assert content_type.startswith("text/plain")
                scene.stored[f"{bucket}/{key}"] = body

        work(_Store())
