"""Simulated workers for pods on nodes that are not there: `python -m tests.scale.fleet`.

For each running pod of ours it writes the artefacts and the marker to the real S3, then ends the
pod as a kubelet would. With FLEET_FAULTS set, some volumes go wrong (`faults`). Endpoints and
credentials come from the environment. With FLEET_CALLS set to the operator's address, each worker
calls it as one of our library would: it registers, gives two signs of life, and reports. With
FLEET_SECONDS set, each takes about so long. A pod with the annotation LEFT_ALONE is not played.
"""

import asyncio
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bec_operator.act.ground.api_server import ApiError, ApiServer, core
from bec_operator.api.names import TASK_LABEL, WORKER_CONTAINER
from bec_operator.observe.listing import pages
from bec_ops.contract.marker import MARKER_NAME
from bec_ops.contract.protocol import Progress
from bec_ops.contract.s3.store import Store
from bec_ops.contract.task import Task
from bec_ops.link.operator_client import OperatorClient
from tests.cluster import Cluster
from tests.scale.faults import Fault, fault_of
from tests.support.kube import Kube
from tests.support.tokens import pod_token

STRATEGIC_PATCH = "application/strategic-merge-patch+json"
AT_ONCE = 32
LEFT_ALONE = "scale.bec.bdrc.io/left-alone"  # an annotation: somebody else is its worker


class Fleet:
    """Plays the worker of every pod that it sees running.

    Beside the marker of each volume whose place in the order of starts is a multiple of `every`,
    it writes `artefacts` small objects. `faulty`: the volumes that `fault_of` names go wrong.
    `calls` is the operator that they call, "" if they do not. Each takes half to one and a half
    times `seconds`, in which it can be deleted.
    """

    def __init__(
        self,
        api: ApiServer,
        artefacts: int = 0,
        every: int = 50,
        *,
        faulty: bool = False,
        calls: str = "",
        seconds: float = 0.0,
    ) -> None:
        self._api = api
        self._store = Store(connections=AT_ONCE)
        self._pool = ThreadPoolExecutor(AT_ONCE)
        self._seconds = seconds
        self._begun = 0
        self._playing: dict[str, asyncio.Task[None]] = {}  # by UID of the pod
        self._artefacts = artefacts
        self._every = every
        self._faulty = faulty
        self._calls = calls
        self._kube = Kube(Path(os.environ["KUBECONFIG"])) if calls else None
        self._tokens = TemporaryDirectory(prefix="fleet-tokens-")
        self._gate = asyncio.Semaphore(2 * AT_ONCE)

    async def run(self) -> None:
        """Play until cancelled."""
        selector = {"labelSelector": TASK_LABEL}
        async with asyncio.TaskGroup() as group:
            while True:
                version = 0
                async for pods, shown in pages(self._api, core(None, "pods"), selector):
                    version = shown
                    for pod in pods:
                        self._see(group, "ADDED", pod)
                query = {**selector, "watch": "1", "resourceVersion": str(version)}
                response = await self._api.stream(
                    "GET", core(None, "pods"), query=query, seconds=3600
                )
                async with response:
                    while line := await response.content.readline():
                        event = json.loads(line)
                        if event["type"] == "ERROR":
                            break
                        self._see(group, event["type"], event["object"])

    def _see(self, group: asyncio.TaskGroup, kind: str, pod: dict[str, Any]) -> None:
        meta = pod["metadata"]
        uid = meta["uid"]
        if kind == "DELETED":
            playing = self._playing.pop(uid, None)
            if playing is not None:
                playing.cancel()
        elif pod.get("status", {}).get("phase") != "Running" or uid in self._playing:
            return
        elif LEFT_ALONE not in meta.get("annotations", {}):
            self._begun += 1
            self._playing[uid] = group.create_task(self._play(pod, self._begun))

    async def _play(self, pod: dict[str, Any], number: int) -> None:
        await asyncio.sleep(self._seconds * random.uniform(0.5, 1.5))  # it works
        async with self._gate:
            loop = asyncio.get_running_loop()
            fault = await loop.run_in_executor(self._pool, self._work, pod, number)
            meta = pod["metadata"]
            try:
                await self._api.request(
                    "PATCH",
                    core(meta["namespace"], "pods", meta["name"], "status"),
                    {"metadata": {"uid": meta["uid"]}, "status": _ended(fault)},
                    content_type=STRATEGIC_PATCH,
                )
            except ApiError as error:
                # Deleted: somebody saw its marker first. 409: and there is another of its name.
                if error.code not in {404, 409}:
                    raise

    def _work(self, pod: dict[str, Any], number: int) -> Fault | None:
        containers = pod["spec"]["containers"]
        worker = next(c for c in containers if c["name"] == WORKER_CONTAINER)
        task = Task.from_environment({e["name"]: e.get("value", "") for e in worker["env"]})
        fault = fault_of(task.job_id, task.volume) if self._faulty else None
        if fault is not None and (fault.lasts or task.attempt == 1):
            return fault
        client = self._register(pod)
        for artefact in range(self._artefacts if number % self._every == 0 else 0):
            self._store.put(task.bucket, f"{task.prefix}{artefact:04}.txt", b"text")
        marker = task.marker().dump()
        self._store.put(task.bucket, task.prefix + MARKER_NAME, marker, "application/json")
        if client is not None:
            about = {"task_uid": task.task_uid, "attempt": task.attempt}
            for done in (1, 2):
                progress = Progress(done=done, total=2, unit="pages")
                client.heartbeat(**about, progress=progress, activity=0)
            client.report("done", about)
        return None

    def _register(self, pod: dict[str, Any]) -> OperatorClient | None:
        """Make the worker known to the operator, with a token of its pod; None if none call."""
        if self._kube is None:
            return None
        token = Path(self._tokens.name, pod["metadata"]["uid"])
        token.write_text(pod_token(self._kube, pod), encoding="ascii")
        client = OperatorClient(self._calls, token)
        client.register()
        return client


_ENDS: dict[Fault | None, tuple[int, str]] = {
    None: (0, "Completed"),
    Fault.ERROR: (1, "Error"),
    Fault.TERMINAL: (65, "Error"),
    Fault.MEMORY: (137, "OOMKilled"),
    Fault.UNMARKED: (0, "Completed"),
    Fault.EVICTED: (137, "Error"),
}


def _ended(fault: Fault | None) -> dict[str, Any]:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    code, reason = _ENDS[fault]
    state = {"terminated": {"exitCode": code, "reason": reason, "finishedAt": now}}
    return {
        "phase": "Failed" if code else "Succeeded",
        **({"reason": "Evicted"} if fault is Fault.EVICTED else {}),
        "containerStatuses": [
            {
                "name": WORKER_CONTAINER,
                "image": "none",
                "imageID": "none",
                "ready": False,
                "restartCount": 0,
                "state": {"running": None, **state},
            }
        ],
    }


@contextmanager
def fleet(
    cluster: Cluster,
    log: Path,
    *,
    faulty: bool = False,
    artefacts: int = 0,
    calls: str = "",
    seconds: float = 0.0,
) -> Iterator[None]:
    """Play the workers of all pods while this lasts, as `Fleet` says."""
    chosen = {
        "FLEET_FAULTS": "1" if faulty else "",
        "FLEET_ARTEFACTS": str(artefacts or ""),
        "FLEET_CALLS": calls,
        "FLEET_SECONDS": str(seconds),
    }
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.scale.fleet"],
            cwd=Path(__file__).parents[2],
            env={**os.environ, **cluster.environment(), **chosen},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        try:
            yield
            assert process.poll() is None, log.read_text()
        finally:
            process.terminate()
            process.wait(30)


async def _main() -> None:
    api = await ApiServer.connect()
    artefacts = int(os.environ.get("FLEET_ARTEFACTS") or 0)
    faulty, calls = bool(os.environ.get("FLEET_FAULTS")), os.environ.get("FLEET_CALLS", "")
    seconds = float(os.environ.get("FLEET_SECONDS") or 0)
    try:
        await Fleet(api, artefacts, faulty=faulty, calls=calls, seconds=seconds).run()
    finally:
        await api.close()


if __name__ == "__main__":
    asyncio.run(_main())
