"""Deployments of pools, their pods, and the workers in these, which call the operator."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from bec_operator.api.names import JOB_LABEL
from bec_operator.worker_api.callers.caller import find_caller
from bec_operator.worker_api.callers.claims import Identity
from bec_operator.worker_api.callers.refusals import CallRefusedError
from bec_ops.contract.protocol import Done, Failed, Next, Register, Request
from bec_ops.contract.volume import Volume
from tests.unit.decide.fake_api import NAMESPACE, Object, Objects, owner_uid
from tests.unit.decide.world import GOOD_MARKER, NODES, World

TASK_SECONDS = 2.0
FAILURE_SECONDS = 0.1  # until a volume has failed
AGAIN = 1.0  # seconds until a worker calls again that was refused


class PoolKubelet:
    """Steps all pools. `operator` gives the one that is alive."""

    def __init__(
        self, objects: Objects, worlds: Mapping[str, World], operator: Callable[[], Any]
    ) -> None:
        self._objects = objects
        self._worlds = worlds
        self._operator = operator
        self._workers: dict[str, asyncio.Task[None]] = {}  # by the UID of their pod
        self.born = 0
        # How a volume ends on a node: the UID of the pod, the node, how many the process has had
        # before, and the volume's index; None: well.
        self.fails: Callable[[str, str, int, int], str | None] = lambda *_: None
        self.node_of: Callable[[int, Object], str] = lambda *_: NODES[0]
        self.seconds: Callable[[int], float] = lambda _: TASK_SECONDS

    def step(self) -> None:
        """Make pods and take them away, as Deployments and deletions say."""
        jobs = {job["metadata"]["uid"] for job in self._objects.all("jobs")}
        owners = {d["metadata"]["uid"] for d in self._objects.all("deployments")}
        for found in self._objects.all("deployments"):
            if owner_uid(found) not in jobs:
                self._objects.remove("deployments", found["metadata"]["name"])
                continue
            pods = [pod for pod in self._pods() if owner_uid(pod) == found["metadata"]["uid"]]
            there = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
            for _ in range(found["spec"]["replicas"] - len(there)):
                self._bear(found)
            there.sort(key=_cost)
            for pod in there[: max(len(there) - found["spec"]["replicas"], 0)]:
                self._objects.mark_deleting(pod["metadata"]["name"])
        for pod in self._pods():
            if "deletionTimestamp" in pod["metadata"] or owner_uid(pod) not in owners:
                self._end(pod)

    def _pods(self) -> list[Object]:
        return [pod for pod in self._objects.all("pods") if pod["metadata"].get("pool")]

    def _bear(self, deployment: Object) -> None:
        self.born += 1
        template, meta = deployment["spec"]["template"], deployment["metadata"]
        made = self._objects.create(
            "pods",
            {
                "metadata": {
                    **template["metadata"],
                    "name": f"{meta['name']}-{self.born}",
                    "pool": True,
                    "ownerReferences": [{"uid": meta["uid"], "controller": True}],
                },
                "spec": {
                    **template["spec"],
                    "nodeName": self.node_of(self.born, template["spec"]),
                },
                "status": {
                    "phase": "Running",
                    "conditions": [{"type": "Ready", "status": "True"}],
                    "containerStatuses": [{"name": "worker", "state": {"running": {}}}],
                },
            },
        )
        worker = asyncio.get_running_loop().create_task(self._work(made))
        self._workers[made["metadata"]["uid"]] = worker

    def _end(self, pod: Object) -> None:
        self._workers.pop(pod["metadata"]["uid"]).cancel()
        self._objects.remove("pods", pod["metadata"]["name"])

    async def _work(self, pod: Object) -> None:
        """Be the worker of a pod: register, ask, do, say so; begin anew if refused."""
        meta = pod["metadata"]
        world = self._worlds[meta["labels"][JOB_LABEL]]
        while True:
            try:
                await self._work_on(meta, pod["spec"]["nodeName"], world)
            except Exception:  # noqa: BLE001 - the server would say no, or that it broke
                await asyncio.sleep(AGAIN)

    async def _work_on(self, meta: Object, node: str, world: World) -> None:
        me = Identity(NAMESPACE, meta["name"], meta["uid"])
        registered = await self._call(me, Register(process=f"{self.born:032x}"))
        done = -1
        while True:
            given = await self._call(me, Next(session=registered.session, wait=20))
            if given.task is None:
                continue
            done += 1
            volume = Volume(given.task.w_id, given.task.i_id, given.task.i_version)
            index = world.volumes.index(volume)
            about = {
                "session": registered.session,
                "task_uid": given.task.task_uid,
                "attempt": given.task.attempt,
            }
            if (said := self.fails(meta["uid"], node, done, index)) is not None:
                await asyncio.sleep(FAILURE_SECONDS)
                await self._call(me, Failed(**about, failure="Retryable", message=said))
                continue
            await asyncio.sleep(self.seconds(index))
            if not world.has_marker(index):
                world.write_marker(index, GOOD_MARKER)
            await self._call(me, Done(**about))

    async def _call(self, me: Identity, request: Request) -> Any:
        await asyncio.sleep(0.01)
        operator = self._operator()
        if not operator.ready:
            raise CallRefusedError("Unavailable", "the operator is not there")
        return await operator.calls.answer(await find_caller(operator.ctx, me), request)


def _cost(pod: Object) -> int:
    annotations = pod["metadata"].get("annotations") or {}
    return int(annotations.get("controller.kubernetes.io/pod-deletion-cost", 0))
