"""Workers of pools: each is given what was recorded for it, and heard about nothing else."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from bec_operator.api.names import JOB_LABEL, POOL_LABEL
from bec_operator.api.volume_task import Attempt, TaskPhase
from bec_operator.decide.sight.failures import FailureClass
from bec_operator.decide.sight.moments import iso
from bec_operator.decide.sight.pool_seen import PoolPod
from bec_operator.worker_api.callers.caller import find_caller
from bec_operator.worker_api.callers.claims import Identity
from bec_operator.worker_api.callers.refusals import CallRefusedError
from bec_operator.worker_api.calls import Calls
from bec_operator.worker_api.routes import ROUTES
from bec_ops.contract.protocol import Assigned, Directive
from tests.unit.decide.steps import observe
from tests.unit.worker_api.scene import POD, TASK_SEEN, Scene

SEEN = replace(POD, name="ocr-pool-a-1", uid="uid-host", task="", owner_uid="uid-rs")
HOST = PoolPod(SEEN, "ocr-pool-a", ready=True, runs=True)
IDENTITY = Identity("texts", SEEN.name, SEEN.uid)
PROCESS = "0" * 32


class Worker:
    """The process in the pod of a pool."""

    def __init__(self, scene: Scene, process: str = PROCESS) -> None:
        self.scene = scene
        self.calls = Calls(scene.ctx, {("texts", "ocr"): scene.memory}.get)
        self.process = process
        self.session = ""

    async def call(self, name: str, **fields: Any) -> Any:
        route = next(route for route in ROUTES if route.name == name)
        caller = await find_caller(self.scene.ctx, IDENTITY)
        return await self.calls.answer(caller, route.request(**fields))

    async def register(self) -> None:
        self.session = (await self.call("register", process=self.process)).session

    async def next(self, wait: float = 0.0) -> Any:
        return (await self.call("next", session=self.session, wait=wait)).task

    async def report(self, name: str, **fields: Any) -> Any:
        about = {"task_uid": "uid-task", "attempt": 1, "session": self.session}
        return await self.call(name, **{**about, **fields})

    async def refusal(self, name: str, **fields: Any) -> str:
        with pytest.raises(CallRefusedError) as caught:
            await self.report(name, **fields)
        return caught.value.word

    def has(self, **fields: Any) -> None:
        """Record that this process has the task."""
        begun = {"number": 1, "pod": SEEN.name, "pod_uid": SEEN.uid, "session": self.session}
        attempt = Attempt(**{**begun, "start_time": iso(self.scene.time), **fields})
        task = replace(TASK_SEEN, version=20, phase=TaskPhase.RUNNING, attempts=(attempt,))
        self.scene.cache.tasks.put(task)
        observe(self.scene.memory, [task], {}, self.scene.time)


@pytest.fixture
def scene() -> Scene:
    scene = Scene()
    scene.cache.pool_pods.put(HOST)
    return scene


@pytest.fixture
async def worker(scene: Scene) -> Worker:
    made = Worker(scene)
    await made.register()
    return made


async def test_who_has_nothing_waits_and_is_known_to(scene: Scene, worker: Worker) -> None:
    assert await worker.next() is None
    known = scene.cache.pool_workers.get(SEEN.uid)
    assert known is None or known.asked is None, "who did not wait was not there"
    asking = asyncio.create_task(worker.next(wait=30))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    known = scene.cache.pool_workers.get(SEEN.uid)
    assert known is not None
    assert known.idle_since == known.asked == scene.time
    worker.has()
    scene.cache.pool_workers.give(SEEN.uid, "uid-task", 1)
    assert (await asking).i_id == "I0"


async def test_what_is_recorded_is_given_again(scene: Scene, worker: Worker) -> None:
    """The answer may have been lost, or the operator that gave it."""
    worker.has()
    for each in (worker, worker):
        given = await each.next()
        assert (given.task_uid, given.attempt) == ("uid-task", 1)
        assert given.worker_id == f"{SEEN.name}/{SEEN.uid}"
    other = Worker(scene)
    await other.register()
    assert (await other.next()).task_uid == "uid-task", "the same process, another operator"


async def test_what_it_does_not_work_on_it_has_left(scene: Scene, worker: Worker) -> None:
    """The answer to a record was lost, or an operator was: two attempts are on record for it."""
    worker.has()
    begun = Attempt(number=2, pod=SEEN.name, pod_uid=SEEN.uid, session=worker.session)
    other = replace(
        TASK_SEEN, name="other", uid="uid-other", index=1, version=21, attempts=(begun,)
    )
    scene.cache.tasks.put(other)
    scene.memory.books.tasks[1] = other
    await worker.report("heartbeat", progress=None, activity=0)
    known = scene.cache.pool_workers.get(SEEN.uid)
    assert known is not None
    assert known.has == ("uid-task", 1)
    assert set(known.left) == {("uid-other", 2)}
    await worker.report("done")
    assert await worker.next() is None, "nor does it get that one any more"


async def test_what_it_has_told_of_is_not_given_again(worker: Worker) -> None:
    worker.has()
    await worker.report("failed", failure="Terminal", message="no pages")
    told = worker.scene.cache.workers.get("uid-task")
    assert told is not None
    assert told.report is not None
    assert told.report.failure is FailureClass.TERMINAL
    assert await worker.next() is None


@pytest.mark.parametrize(
    "attempt", [{"session": "other"}, {"pod_uid": "other"}, {"number": 2}, {"failure": "Stuck"}]
)
@pytest.mark.parametrize("call", ["heartbeat", "done"])
async def test_what_is_anothers(worker: Worker, call: str, attempt: dict[str, Any]) -> None:
    """Rule 3: a report counts if task, attempt, pod and session all match."""
    worker.has(**attempt)
    assert await worker.refusal(call) == "Gone"
    assert worker.scene.cache.workers.get("uid-task") is None


async def test_a_process_that_another_has_taken_over_from(worker: Worker) -> None:
    worker.has()
    await worker.call("register", process="1" * 32)
    assert await worker.refusal("done") == "StaleSession"


@pytest.mark.parametrize(
    ("pod", "directive"),
    [
        ({}, Directive.CONTINUE),
        ({"deleting": True}, Directive.FINISH),  # it is not needed any more
        ({"deleting": True, "disrupted": True}, Directive.ABORT),  # its node goes
    ],
)
async def test_what_who_is_to_go_is_told(
    worker: Worker, pod: dict[str, Any], directive: Directive
) -> None:
    worker.has()
    seen = replace(SEEN, version=9, **pod)
    worker.scene.cache.pool_pods.put(replace(HOST, pod=seen))
    assert (await worker.report("heartbeat")).directive is directive


async def test_the_job_is_going(worker: Worker) -> None:
    worker.has()
    worker.scene.change_job(deleting=True)
    assert (await worker.report("heartbeat")).directive is Directive.ABORT


async def test_a_pod_that_goes_while_it_waits(scene: Scene, worker: Worker) -> None:
    asking = asyncio.create_task(worker.next(wait=30))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    scene.cache.pool_pods.remove(SEEN.namespace, SEEN.name, SEEN.uid)
    with pytest.raises(CallRefusedError) as caught:
        await asking
    assert caught.value.word == "Gone"


async def test_who_asks_again_waits_no_longer_for_the_first_answer(worker: Worker) -> None:
    older = asyncio.create_task(worker.next(wait=30))
    for _ in range(3):
        await asyncio.sleep(0)
    newer = asyncio.create_task(worker.next(wait=30))
    async with asyncio.timeout(5):
        assert await older is None
    assert not newer.done()
    worker.has()
    worker.scene.cache.pool_workers.give(SEEN.uid, "uid-task", 1)
    async with asyncio.timeout(5):
        assert (await newer).i_id == "I0"


async def test_a_pod_that_the_watch_has_not_shown_yet() -> None:
    scene = Scene()
    labels = {JOB_LABEL: "ocr", POOL_LABEL: "ocr-pool-a"}
    meta = {"namespace": "texts", "name": SEEN.name, "uid": SEEN.uid, "resourceVersion": "3"}
    scene.objects = {SEEN.name: {"metadata": {**meta, "labels": labels}, "spec": {}}}
    for _ in range(2):
        caller = await find_caller(scene.ctx, IDENTITY)
        assert isinstance(caller, PoolPod)
        assert caller.pool == "ocr-pool-a"
    assert len(scene.asked) == 1


async def test_who_is_deleted_and_has_not_heard_it_is_told_so(scene: Scene, worker: Worker) -> None:
    """A SIGTERM that comes before a process listens is lost, and its grace is that of a volume."""
    worker.has()
    going = replace(HOST, pod=replace(HOST.pod, version=99, deleting=True))
    scene.cache.pool_pods.put(going)
    assert (await worker.next()).task_uid == "uid-task", "what it has it may finish"
    await worker.report("done")
    answer = await worker.call("next", session=worker.session, wait=9.0)
    assert answer == Assigned(over=True)
