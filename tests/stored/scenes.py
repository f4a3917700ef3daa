"""Jobs that leave behind all kinds of what is stored: a real API server and S3, played pods."""

import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bec_operator.act.ground.api_server import apps, core
from bec_operator.act.kube.pod_spec import pool_deployment
from bec_operator.act.kube.records import job_of
from bec_operator.act.volumes.manifest import ledger_object
from bec_operator.api.names import DRAINING_ANNOTATION, POOL_LABEL, ledger_name
from bec_operator.api.volume_task import TaskPhase
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.failures import FailureClass
from bec_operator.decide.volumes.ledger import ALREADY_DONE, Ledger, Outcome
from bec_operator.settings import Settings
from bec_ops.contract.marker import MARKER_NAME
from bec_ops.contract.task import Task
from tests.cluster import S3
from tests.stored import EVERY_CODE
from tests.support.behaviours import become, fail, hang, in_turn, stay_pending
from tests.support.callers import CallingWorker
from tests.support.jobs import counts, job, numbered
from tests.support.kube import STRATEGIC_PATCH, Body
from tests.support.operator_process import Operator
from tests.support.pods import PlayedPod
from tests.support.runs import Run
from tests.support.space import Space
from tests.support.tokens import pod_token
from tests.support.waiting import until
from tests.support.worker_runs import WorkerRun, wait_done
from tests.support.workers import Workers

LATER = {"initial": "1h", "max": "1h"}
ALL = "100%"  # of the volumes may fail
PROGRAM = 'echo text > "$BEC_OUTPUT_DIR/1.txt"'


@dataclass
class Scenes:
    """Each method is a Job, or two; what is gone at the end is put into `seen`."""

    space: Space
    workers: Workers
    operator: Operator
    s3: S3
    folder: Path
    seen: dict[str, Body]

    def texts(self) -> None:
        """Volumes that are done, were done before, have failed, wait, run, or rest."""
        texts = numbered(8)
        begun = Task(
            job_id="texts", w_id="W1", i_id="I1", i_version="v1", worker_id="before/1",
            output_uri=f"s3://{self.space.bucket}/artefacts/texts/W1-I1-v1/",
        )  # fmt: skip
        self.space.put(f"{begun.prefix}1.txt", b"text")
        self.space.put(begun.prefix + MARKER_NAME, begun.marker(total_images=3).dump())
        self.workers.behaviour = self._play_text
        output = {"bucket": self.space.bucket, "expect": ["*.txt"]}
        spec = {"maxFailed": ALL, "output": output}
        live = self.space.submit(job("texts", self.space.bucket, texts, **spec))
        self._work(self._run_of("texts", "I0"))
        live.wait_counts(succeeded=2, failed=2, timeout=60)
        live.patch(retry={"backoff": LATER})
        live.wait(_is_observed, "the longer pause is seen")
        self.workers.play(self._run_of("texts", "I4"), fail(75, "busy"))
        run = self._run_of("texts", "I5")
        self.workers.play(run, hang)
        caller = CallingWorker.of(run.pod, self.space.kube, self.operator.worker_url)
        caller.register()
        progress = {"done": 312, "total": 480, "unit": "pages"}
        until(lambda: caller.report("heartbeat", progress=progress).status == 200, "it is heard")
        live.wait_counts(retrying=1, timeout=60)
        until(lambda: self._task("texts", 5).get("progress"), "progress is told", 60)

    def _play_text(self, pod: PlayedPod) -> None:
        match pod.task.i_id:
            case "I2":
                fail(65, "torn page")(pod)
            case "I3":
                in_turn(fail(1, "no pages"), fail(137), fail(75, "no pages"))(pod)
            case "I6":
                stay_pending(pod)
            case _:
                hang(pod)

    def _work(self, run: Run) -> None:
        """Let the library do a volume."""
        caller = CallingWorker.of(run.pod, self.space.kube, self.operator.worker_url)
        token = self.folder / "token"
        token.write_text(caller.token)
        environment = {
            **run.pod.environment,
            **self.s3.environment(),
            "BEC_OPERATOR_URL": self.operator.worker_url,
            "BEC_TOKEN_FILE": str(token),
            "BEC_WORK_DIR": str(self.folder / "work"),
        }
        work = WorkerRun(self.folder / "run", environment)
        process: subprocess.Popen[str] = work.start_command("exec", "--", "sh", "-c", PROGRAM)
        wait_done(process)
        self.workers.play(run, lambda pod: pod.end(0))

    def refused(self) -> None:
        """A volume whose pods no node takes: attempts that are folded."""
        self.workers.behaviour = become("out-of-cpu")
        live = self.space.submit(job("refused", self.space.bucket, numbered(1)))
        until(lambda: _repeats(self._task("refused", 0)) > 1, "attempts are folded", 180)
        live.patch(suspend=True)
        until(lambda: self._task("refused", 0).get("phase") == TaskPhase.RETRYING, "it rests", 60)

    def gated(self) -> None:
        """A volume that is skipped, since the job that it depends on has failed for it."""
        self.workers.behaviour = in_turn(self._mark_first)
        volumes = numbered(2)
        self.space.submit(job("lines", self.space.bucket, volumes, maxFailed=ALL)).wait_complete()
        depends = [{"job": "lines", "onFailure": "Skip"}]
        spec = {"maxFailed": ALL, "dependsOn": depends}
        self.space.submit(job("gated", self.space.bucket, volumes, **spec)).wait_complete()

    def _mark_first(self, pod: PlayedPod) -> None:
        pod.start()
        if pod.task.i_id == "I0":
            pod.put_marker()
        pod.end(0 if pod.task.i_id == "I0" else 65, message="no line on any page")

    def again(self) -> None:
        """A Job that is tried again, and then done anew."""
        self.workers.behaviour = fail(65, "torn page")
        live = self.space.submit(job("again", self.space.bucket, numbered(1), maxFailed=ALL))
        live.wait_complete()
        live.patch(retryFailedAt=_now())
        self.workers.behaviour = self._mark_first
        live.wait(lambda found: counts(found) == {"total": 1, "succeeded": 1}, "it is mended")
        live.wait_complete()
        self.space.wait_next_second()
        self.workers.behaviour = hang
        live.patch(redoAt=_now())
        self._run_of("again", "I0", attempts=3)
        live.wait_counts(running=1)

    def followed(self) -> None:
        """A volume with a site, whose versions are followed, and two of them done."""
        self.workers.behaviour = self._mark_first
        self.space.put("works/I0", b"as it was")
        way = {"etag": {"uri": f"s3://{self.space.bucket}/works/{{i_id}}"}, "follow": "1s"}
        source = {"items": [{"wId": "W1", "iId": "I0", "site": "cern"}], "versions": way}
        live = self.space.submit(job("followed", self.space.bucket, source))
        live.wait_counts(succeeded=1)
        self.space.put("works/I0", b"corrected")
        live.wait_counts(succeeded=2)
        way["follow"] = "24h"
        live.patch(volumes=source)
        live.wait(_is_observed, "it looks no more")

    def stopped(self) -> None:
        """An attempt whose time is up, and whose pod takes its time to go."""
        self.workers.behaviour, self.workers.stubborn = hang, True
        timeouts = {"task": "1s"}
        self.space.submit(job("slow", self.space.bucket, numbered(1), timeouts=timeouts))
        run = self._run_of("slow", "I0")
        path = run.pod.path

        def pod() -> Body | None:
            found = self.space.kube.find(path)
            told = ((found or {}).get("status") or {}).get("conditions") or []
            going = found and "deletionTimestamp" in found["metadata"]
            return found if going and any(c["type"].endswith("/Stopped") for c in told) else None

        found = until(pod, "it is stopped", 60)
        assert found is not None
        self.seen["stopped"] = found

    def every_code(self) -> None:
        """A ledger that has every code there is, in the form in which the operator writes it."""
        failures = [(Outcome.FAILED, failure) for failure in FailureClass]
        done = [(Outcome.SUCCEEDED, 0), (Outcome.SUCCEEDED, ALREADY_DONE)]
        lost = [(Outcome.SKIPPED, FailureClass.DEPENDENCY_FAILED)]
        ends = [(Outcome.WAITING, 0), *done, *failures, *lost]
        spec = {"suspend": True, "maxFailed": ALL}
        live = self.space.submit(job(EVERY_CODE, self.space.bucket, numbered(len(ends)), **spec))
        live.wait_counts(waiting=len(ends))
        self.operator.stop()
        path = core(self.space.namespace, "configmaps", ledger_name(EVERY_CODE))
        found = self.space.kube.get(path)
        ledger = Ledger.fresh(found["data"]["manifest"], len(ends))
        for index, (outcome, code) in enumerate(ends):
            ledger.settle(index, outcome, int(code))
        version = found["metadata"]["resourceVersion"]
        body = ledger_object(Memory(job_of(live.read())), ledger, version)
        self.space.kube.request("PUT", path, body)
        self.operator.start()
        live.wait_counts(waiting=1, succeeded=2, failed=len(failures), skipped=1)

    def pool(self) -> None:
        """Workers of a pool: one has just got a volume, one has its second attempt, one may go."""
        spec: dict[str, Any] = {"pool": {"maxWorkers": 2}, "parallelism": 2, "redoAt": _now()}
        live = self.space.submit(job("pooled", self.space.bucket, numbered(2), **spec))
        path = apps(self.space.namespace, "deployments")
        (deployment,) = until(lambda: self.space.kube.items(path), "a pool is made", 60)
        pods, name = core(self.space.namespace, "pods"), deployment["metadata"]["name"]
        mine = {"labelSelector": f"{POOL_LABEL}={name}"}
        until(lambda: len(self.space.kube.items(pods, **mine)) == 2, "it has two workers", 60)
        first, second = map(self._pool_worker, self.space.kube.items(pods, **mine))
        task = _given(first)
        self.seen["handed"] = self._raw_task("pooled", 0)
        assert not self.seen["handed"].get("status")
        failing = _given(second)
        about = {"task_uid": failing["task_uid"], "attempt": failing["attempt"]}
        second.call("failed", failure="Retryable", message="no pages", **about)
        self.space.put(f"artefacts/pooled/W1-{task['i_id']}-v1/{MARKER_NAME}", _marker(task))
        first.call("done", task_uid=task["task_uid"], attempt=task["attempt"])

        def tried_again() -> CallingWorker | None:
            found = [
                (each, each.call("next", wait=1.0).body.get("task")) for each in (first, second)
            ]
            return next((each for each, task in found if task and task["attempt"] == 2), None)

        busy = until(tried_again, "what has failed is tried again", 30)

        def draining() -> bool:
            (second if busy is first else first).call("next", wait=1.0)
            there = [pod["metadata"] for pod in self.space.kube.items(pods, **mine)]
            return any(DRAINING_ANNOTATION in (meta.get("annotations") or {}) for meta in there)

        until(draining, "the one without work is marked to go", 60)
        memory = Memory(job_of(live.read()))
        memory.books.hosts.of_pool = ("node-2", "node-3")
        self.seen["avoiding"] = self.space.kube.create(path, pool_deployment(memory, Settings()))

    def _pool_worker(self, pod: Body) -> CallingWorker:
        """Let the worker in a pod of a pool start and register."""
        kube, meta = self.space.kube, pod["metadata"]
        path = core(self.space.namespace, "pods", meta["name"])
        target = {"apiVersion": "v1", "kind": "Node", "name": self.workers.node}
        binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": meta["name"]}}
        kube.create(f"{path}/binding", {**binding, "target": target})
        worker = {
            "name": "worker", "image": "none", "imageID": "none", "ready": True, "restartCount": 0,
            "state": {"running": {"startedAt": _now()}},
        }  # fmt: skip
        ready = {"type": "Ready", "status": "True", "lastTransitionTime": _now()}
        status = {"phase": "Running", "startTime": _now(), "conditions": [ready]}
        body = {"status": {**status, "containerStatuses": [worker]}}
        kube.patch(f"{path}/status", body, content_type=STRATEGIC_PATCH)
        caller = CallingWorker(self.operator.worker_url, pod_token(kube, pod))
        until(lambda: caller.register().status == 200, "it is registered", 30)
        return caller

    def _run_of(self, name: str, i_id: str, attempts: int = 1) -> Run:
        """Wait for the pod of a volume, the last of so many attempts."""

        def look() -> list[Run]:
            runs = [r for r in self.workers.runs.all() if r.pod.job == name]
            runs = [r for r in runs if r.pod.task.i_id == i_id]
            return runs if len(runs) >= attempts and runs[-1].phase != "Nothing" else []

        return until(look, f"{name} has a pod for {i_id}", 60)[-1]

    def _raw_task(self, name: str, index: int) -> Body:
        found = [t for t in self.space.tasks() if t["spec"]["job"] == name]
        return next((t for t in found if t["spec"]["index"] == index), {})

    def _task(self, name: str, index: int) -> Body:
        """Return the status of a VolumeTask."""
        status: Body = self._raw_task(name, index).get("status") or {}
        return status


def _given(worker: CallingWorker, wait: float = 20.0) -> Body:
    """Return the task that a worker gets."""
    task: Body | None = None

    def ask() -> Body | None:
        nonlocal task
        task = worker.call("next", wait=5.0).body.get("task")
        return task

    return until(ask, "a worker gets a volume", wait) or {}


def _marker(task: Body) -> bytes:
    return Task.model_validate(task).marker(result={"pages": 3}).dump()


def _repeats(status: Body) -> int:
    return sum(attempt.get("repeats", 0) for attempt in status.get("attempts") or [])


def _is_observed(found: Body) -> bool:
    return bool(found["status"].get("observedGeneration") == found["metadata"]["generation"])


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
