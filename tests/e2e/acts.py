"""A Job of the workers in `worker.py`: lets them go, stops them, says what became of each."""

from datetime import datetime
from pathlib import Path
from typing import Any, Self

import psutil

from bec_operator.act.ground.api_server import core
from bec_operator.api.base import DEFAULT_PREFIX
from bec_operator.api.names import HEARTBEAT_CONDITION, TASK_LABEL
from bec_ops.contract.location import OutputTemplate, log_key
from bec_ops.contract.marker import MARKER_NAME
from bec_ops.contract.volume import Volume
from tests.e2e.site import Site, worker_pod
from tests.e2e.worker import PAGES, STOP_AT
from tests.support.jobs import LiveJob
from tests.support.kube import Body
from tests.support.waiting import until

MINUTES = 60.0
AT_WORK = f"{STOP_AT}/{PAGES} pages"
"""What a worker that waits says of its progress."""

_WORKER = Path(__file__).with_name("worker.py")
_FOLDER = "/opt/worker"
_GRACE = 10  # seconds from SIGTERM to SIGKILL
_TEMPLATE = OutputTemplate.parse(DEFAULT_PREFIX)


class Acts:
    """The Job and its volumes, each called by its `i_id`."""

    def __init__(self, site: Site, job: LiveJob, job_id: str) -> None:
        self.job = job
        self._site = site
        self._job_id = job_id

    @classmethod
    def begin(
        cls,
        site: Site,
        name: str,
        *ids: str,
        worker: Body | None = None,
        pod: Body | None = None,
        limits: Body | None = None,
        **spec: Any,
    ) -> Self:
        """Apply the Job. The root of its containers is read-only.

        `worker` holds further fields of `spec.worker`, `pod` of the spec of its pods, and `limits`
        what a container may use.
        """
        configuration = {
            "metadata": {"name": name},
            "data": {"worker.py": _WORKER.read_text(encoding="utf-8")},
        }
        site.kube.create(core(site.namespace, "configmaps"), configuration)
        template = worker_pod(
            ["bec-worker", "run", f"{_FOLDER}/worker.py"],
            _GRACE,
            resources={"limits": limits or {}},
            securityContext={"readOnlyRootFilesystem": True},
            volumeMounts=[{"name": "script", "mountPath": _FOLDER}],
        )
        template |= {"volumes": [{"name": "script", "configMap": {"name": name}}], **(pod or {})}
        job_id = f"{site.namespace}-{name}"
        volumes = [Volume("W1", i_id, "v1") for i_id in ids]
        described = {"template": {"spec": template}, "handler": "act", **(worker or {})}
        job = site.apply(name, job_id, volumes, described, maxFailed="100%", **spec)
        return cls(site, job, job_id)

    def task(self, i_id: str) -> Body:
        """Return the VolumeTask of a volume; empty if there is none yet."""
        found = (
            task
            for task in self._site.tasks()
            if task["spec"]["job"] == self.job.name and task["spec"]["volume"]["iId"] == i_id
        )
        return next(found, {})

    def status(self, i_id: str) -> Body:
        """Return the status of the VolumeTask of a volume."""
        found: Body = self.task(i_id).get("status", {})
        return found

    def pod(self, i_id: str) -> Body:
        """Return the pod of the latest attempt; empty if there is none."""
        name = self.task(i_id).get("metadata", {}).get("name")
        pods = [p for p in self._site.pods() if p["metadata"]["labels"].get(TASK_LABEL) == name]
        return max(pods, key=lambda pod: str(pod["metadata"]["name"]), default={})

    def pod_phase(self, i_id: str) -> str:
        """Return the phase of the latest attempt's pod; empty if there is none."""
        return str(self.pod(i_id).get("status", {}).get("phase", ""))

    def is_done(self, i_id: str) -> bool:
        """Whether a volume's marker stands."""
        return (
            self._site.store.head(self._site.bucket, self._prefix(i_id) + MARKER_NAME) is not None
        )

    def attempts(self, i_id: str) -> list[Body]:
        """Return the attempts as the VolumeTask tells them."""
        listed: list[Body] = self.status(i_id).get("attempts", [])
        return listed

    def heartbeat(self, i_id: str) -> Body:
        """Return the pod condition of the latest heartbeat; empty before the first."""
        listed = self.pod(i_id).get("status", {}).get("conditions", [])
        return next((c for c in listed if c["type"] == HEARTBEAT_CONDITION), {})

    def last_heard(self, i_id: str) -> datetime:
        """Return when the operator heard the heartbeat that stands on the pod."""
        return datetime.fromisoformat(self.heartbeat(i_id)["lastProbeTime"])

    def let_go(self, *ids: str) -> None:
        """Let workers that wait do the rest."""
        for i_id in ids:
            self._site.store.put(self._site.bucket, f"go/{self._job_id}/{i_id}", b"")

    def wait_at_work(self, *ids: str) -> None:
        """Wait until the workers of some volumes have said that they are where they wait."""

        def are_there() -> bool:
            return all(self.heartbeat(i_id).get("message") == AT_WORK for i_id in ids)

        until(are_there, f"{AT_WORK} of {ids}", timeout=2 * MINUTES)

    def wait_ended(self, i_id: str, phase: str) -> list[Body]:
        """Wait for the end of a task, and return its attempts."""
        until(
            lambda: self.status(i_id).get("phase") == phase,
            f"{i_id} {phase}",
            timeout=2 * MINUTES,
        )
        return self.attempts(i_id)

    def signal(self, i_id: str, number: int) -> None:
        """Send a signal to the worker's first process, as its node does."""
        signal_worker(self.pod(i_id)["metadata"]["uid"], number)

    def check_log(self, i_id: str, attempt: int, *words: str) -> None:
        """See that the log of an attempt stands in S3, has these words, and is named."""
        uid = self.task(i_id)["metadata"]["uid"]
        key = log_key(self._prefix(i_id), attempt, uid)
        log = (self._site.store.get(self._site.bucket, key) or b"").decode()
        for word in words:
            assert word in log, log
        told = self.attempts(i_id)[attempt - 1]
        assert told["log"] == f"s3://{self._site.bucket}/{key}"

    def _prefix(self, i_id: str) -> str:
        return _TEMPLATE.prefix(self._job_id, Volume("W1", i_id, "v1"))


def signal_worker(pod_uid: str, number: int) -> None:
    """Send a signal to the first process of the worker in a pod."""
    mine = {
        process.pid: process
        for process in psutil.process_iter(["environ"])
        if (process.info["environ"] or {}).get("BEC_POD_UID") == pod_uid
    }
    (first,) = (process for process in mine.values() if process.ppid() not in mine)
    first.send_signal(number)
