"""Who is calling: told from the cache, and from the API server where the watches lag behind."""

from typing import Any

import aiohttp
import pytest

from bec_operator.act.ground.api_server import ApiError
from bec_operator.api.volume_task import Attempt
from bec_operator.worker_api.callers.caller import Caller, find_caller
from bec_operator.worker_api.callers.claims import Identity
from bec_operator.worker_api.callers.refusals import CallRefusedError
from tests.unit.worker_api.scene import IDENTITY, POD, TASK, TASK_SEEN, Scene, raw_pod, raw_task


async def refusal(scene: Scene, identity: Identity = IDENTITY) -> str:
    with pytest.raises(CallRefusedError) as caught:
        await find_caller(scene.ctx, identity)
    return caught.value.word


async def test_what_is_known_is_not_asked_for() -> None:
    scene = Scene()
    caller = await find_caller(scene.ctx, IDENTITY)
    assert isinstance(caller, Caller)
    assert (caller.pod, caller.task, caller.attempt) == (POD, TASK_SEEN, 1)
    assert not scene.asked


async def test_what_the_watches_have_not_shown_yet_is_looked_for_once() -> None:
    scene = Scene(known=False)
    scene.objects = {POD.name: raw_pod(), TASK: raw_task()}
    caller = await find_caller(scene.ctx, IDENTITY)
    assert isinstance(caller, Caller)
    assert (caller.pod.uid, caller.task.uid, caller.attempt) == ("uid-pod", "uid-task", 1)
    await find_caller(scene.ctx, IDENTITY)
    assert len(scene.asked) == 2


async def test_a_pod_that_went_or_came_anew_is_gone() -> None:
    scene = Scene(known=False)
    assert await refusal(scene) == "Gone"
    scene.objects = {POD.name: raw_pod(), TASK: raw_task()}
    assert await refusal(scene, Identity("texts", POD.name, "uid-of-an-older-one")) == "Gone"


async def test_a_task_that_went_or_came_anew_is_gone() -> None:
    scene = Scene(known=False)
    scene.objects = {POD.name: raw_pod()}
    assert await refusal(scene) == "Gone"
    task = raw_task()
    task["metadata"]["uid"] = "uid-of-a-newer-one"
    scene.objects[TASK] = task
    assert await refusal(scene) == "Gone"


@pytest.mark.parametrize("part", ["labels", "ownerReferences"])
async def test_a_pod_that_is_no_tasks(part: str) -> None:
    scene = Scene(known=False)
    pod = raw_pod()
    del pod["metadata"][part]
    scene.objects = {POD.name: pod, TASK: raw_task()}
    assert await refusal(scene) == "Forbidden"


async def test_a_pod_with_labels_that_say_nothing() -> None:
    scene = Scene()
    scene.change_pod(task="")
    assert await refusal(scene) == "Forbidden"
    assert not scene.asked


async def test_a_pod_whose_attempt_is_over() -> None:
    scene = Scene()
    scene.change_task(attempts=(Attempt(number=1, pod=POD.name, failure="Retryable"),))
    assert await refusal(scene) == "Gone"


async def test_namespaces_that_are_not_served() -> None:
    scene = Scene(namespaces="images,maps")
    assert await refusal(scene) == "Forbidden"
    served: Any = Scene(namespaces="images,texts")
    await find_caller(served.ctx, IDENTITY)


@pytest.mark.parametrize(
    "error", [ApiError(500, "Internal", ""), aiohttp.ClientError(), TimeoutError()]
)
async def test_no_answer_is_no_refusal(error: Exception) -> None:
    scene = Scene(known=False)
    scene.api_error = error
    assert await refusal(scene) == "Unavailable"
    scene.objects = {POD.name: raw_pod(), TASK: raw_task()}
    scene.api_error = None
    await find_caller(scene.ctx, IDENTITY)
