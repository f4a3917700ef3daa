"""What is over is deleted, whatever the API server says meanwhile."""

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from bec_operator.act.ground.api_server import ApiError, Body
from bec_operator.act.ground.cache import Cache
from bec_operator.act.ground.clock import Clock
from bec_operator.act.kube.pods import delete_pods
from bec_operator.act.kube.tasks import delete_tasks
from bec_operator.act.reconciler import Reconciler
from bec_operator.api.job import JobSpec, JobStatus
from bec_operator.decide.attempts.actions import DeletePods, DeleteTasks
from bec_operator.decide.sight.seen import JobSeen, PodSeen, TaskSeen
from bec_operator.settings import Settings
from tests.unit.decide.fake_api import address

SPEC = JobSpec.model_validate(
    {
        "volumes": {"items": [{"w_id": "W1", "i_id": "I1"}]},
        "worker": {"template": {"spec": {"containers": [{"name": "worker"}]}}},
        "output": {"bucket": "b"},
        "history": {"succeeded": 0, "failed": 0},
    }
)
TASKS = tuple(TaskSeen("ns", f"t{n}", f"u{n}", n, "j", "j", n) for n in range(3))
PODS = tuple(
    PodSeen("ns", task.pod, f"p{task.index}", 1, "j", task.name, task.uid, phase="Succeeded")
    for task in TASKS
)


class _Api:
    """An API server with objects that are only counted, which says no as it is told to."""

    def __init__(self, *uids: str, refuses: Mapping[str, list[int]]) -> None:
        self.left = set(uids)
        self.refuses = refuses  # name of the object, "" for a collection → codes, one after another
        self.all_gone = asyncio.Event()
        self.selectors: list[str] = []

    async def request(
        self, method: str, path: str, body: Body | None = None, **how: Any
    ) -> dict[str, Any]:
        assert method == "DELETE"
        name = address(path)[1]
        if codes := self.refuses.get(name):
            raise ApiError(codes.pop(0), "No", "no")
        uid = (body or {}).get("preconditions", {}).get("uid")
        gone = {uid} if name else set(self.left)
        if not name:
            self.selectors.append(how["query"]["labelSelector"])
        self.left -= gone
        if not self.left:
            self.all_gone.set()
        return {"items": [{"metadata": {"uid": each}} for each in gone]} if not name else {}


def _ctx(api: _Api, cache: Cache) -> Any:
    for task in TASKS:
        cache.tasks.put(task)
    for pod in PODS:
        cache.pods.put(pod)
    settings = Settings()
    return SimpleNamespace(api=api, cache=cache, clock=Clock(), settings=settings, notifier=None)


@pytest.mark.parametrize("kind", ["pods", "tasks"])
async def test_what_cannot_go_together_goes_one_by_one(kind: str) -> None:
    """One that somebody forbids holds up no other, and is told of."""
    refused = TASKS[0].name if kind == "tasks" else PODS[0].name
    first = TASKS[0].uid if kind == "tasks" else PODS[0].uid
    uids = [each.uid for each in (TASKS if kind == "tasks" else PODS)]
    api = _Api(*uids, refuses={"": [403], refused: [403]})
    ctx = _ctx(api, Cache(lambda _: None))
    doing = delete_tasks(ctx, DeleteTasks(TASKS, 0)) if kind == "tasks" else None
    with pytest.raises(ApiError):
        await (doing or delete_pods(ctx, DeletePods(PODS, 0)))
    assert api.left == {first}


async def test_what_was_made_again_under_the_name_stays() -> None:
    api = _Api("u0", "u1", refuses={})
    ctx = _ctx(api, Cache(lambda _: None))
    ctx.cache.tasks.remove("ns", "t2", "u2")
    ctx.cache.tasks.put(TaskSeen("ns", "t2", "newer", 9, "j", "j", 2))
    await delete_tasks(ctx, DeleteTasks(TASKS, 0))
    assert [task.uid for task in ctx.cache.tasks.all()] == ["newer"]
    assert api.selectors == ["bec.bdrc.io/task in (t0,t1),bec.bdrc.io/owner-uid=j"]


async def test_a_deletion_that_failed_is_tried_again_though_the_job_has_ended() -> None:
    reconciler = Reconciler()
    api = _Api("u0", "u1", "u2", refuses={"": [503]})
    ctx = _ctx(api, Cache(reconciler.look_at))
    for pod in PODS:
        ctx.cache.pods.remove("ns", pod.name, pod.uid)
    status = JobStatus.model_validate(
        {
            "phase": "Complete",
            "observedGeneration": 1,
            "counts": {"total": 3, "succeeded": 3},
            "conditions": [
                {"type": "Complete", "status": "True", "reason": "Done", "lastTransitionTime": ""}
            ],
        }
    )
    ctx.cache.jobs.put(JobSeen("ns", "j", "j", 1, 1, "2026-01", SPEC, status=status))
    running = asyncio.ensure_future(reconciler.run(ctx))
    async with asyncio.timeout(20):
        await api.all_gone.wait()
    await reconciler.stop()
    await running
