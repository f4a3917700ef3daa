"""The calls: what each of them notes, and what is answered."""

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from bec_operator.decide.sight.failures import FailureClass
from bec_operator.decide.sight.seen import Report, Verdict, WorkerSeen
from bec_operator.decide.volumes.ledger import Outcome
from bec_operator.worker_api.callers.caller import Caller, find_caller
from bec_operator.worker_api.callers.refusals import CallRefusedError
from bec_operator.worker_api.calls import PRUNE_EVERY, Calls
from bec_operator.worker_api.routes import ROUTES
from bec_ops.contract.protocol import (
    LOG_BYTES,
    Accepted,
    Assigned,
    HeartbeatAnswer,
    Next,
    Progress,
    Register,
)
from bec_ops.contract.s3.store import StoreError
from bec_ops.contract.task import Task
from tests.unit.worker_api.scene import IDENTITY, POD, RESULT, TASK_SEEN, Scene

PROCESS = "0" * 32
T = TypeVar("T")
LOG = "bucket/artefacts/ocr/W1-I0-v1/_logs/attempt-1-uid-task.log"


async def soon(awaited: Awaitable[T]) -> T:
    async with asyncio.timeout(5):
        return await awaited


class Worker:
    """The one process of the pod."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.calls = Calls(scene.ctx, {("texts", "ocr"): scene.memory}.get)
        self.session = ""

    async def call(self, name: str, **fields: Any) -> Any:
        route = next(route for route in ROUTES if route.name == name)
        caller = await find_caller(self.scene.ctx, IDENTITY)
        return await self.calls.answer(caller, route.request(**fields))

    async def register(self) -> Any:
        answer = await self.call("register", process=PROCESS)
        self.session = answer.session
        return answer

    async def next(self, wait: float = 0) -> Any:
        return await self.call("next", session=self.session, wait=wait)

    async def report(self, name: str, **fields: Any) -> Any:
        about = {"session": self.session, "task_uid": TASK_SEEN.uid, "attempt": 1}
        return await self.call(name, **{**about, **fields})

    async def refusal(self, name: str, **fields: Any) -> str:
        with pytest.raises(CallRefusedError) as caught:
            await self.report(name, **fields)
        return caught.value.word

    @property
    def seen(self) -> WorkerSeen | None:
        return self.scene.cache.workers.get(POD.owner_uid)


@pytest.fixture
def scene() -> Scene:
    return Scene(heartbeat_seconds=7)


@pytest.fixture
async def worker(scene: Scene) -> Worker:
    made = Worker(scene)
    await made.register()
    return made


def test_there_is_an_answer_to_every_call(scene: Scene) -> None:
    assert set(Worker(scene).calls.answers) == {route.request for route in ROUTES}


async def test_register(scene: Scene, worker: Worker) -> None:
    again = await worker.register()
    assert (again.worker_id, again.heartbeat_seconds) == (f"{POD.name}/{POD.uid}", 7)
    assert worker.seen == WorkerSeen(POD.uid, 1, called=scene.time, moved=scene.time)


async def test_register_tells_an_interval_that_the_time_out_of_the_job_allows() -> None:
    registered = await Worker(Scene(heartbeat_seconds=200)).register()
    assert registered.heartbeat_seconds == 100, "a third of 5m"


async def test_the_task_is_given_once(worker: Worker) -> None:
    answer = await worker.next()
    assert answer.task == Task(
        job_id="ocr",
        w_id="W1",
        i_id="I0",
        i_version="v1",
        attempt=1,
        task_uid="uid-task",
        handler="ocr",
        output_uri="s3://bucket/artefacts/ocr/W1-I0-v1/",
        parameters={"model": "bod"},
        expect=("*.txt",),
        result_schema=RESULT,
        worker_id=f"{POD.name}/{POD.uid}",
    )
    assert await worker.next() == Assigned(over=True)


async def test_who_reports_on_the_task_has_it(worker: Worker) -> None:
    await worker.report("heartbeat")
    assert await worker.next() == Assigned(over=True)


async def test_what_is_over_is_not_given(scene: Scene, worker: Worker) -> None:
    scene.change_task(deleting=True)
    assert await worker.next() == Assigned(over=True)


async def test_next_waits_for_the_job_to_be_loaded(scene: Scene, worker: Worker) -> None:
    scene.memory.forget()
    assert await worker.next() == Assigned()
    waiting = asyncio.ensure_future(worker.next(wait=60))
    await asyncio.sleep(0)
    scene.load()
    assert (await soon(waiting)).task is not None


async def test_who_asks_again_waits_no_longer_for_the_first_answer(
    scene: Scene, worker: Worker
) -> None:
    scene.memory.forget()
    *older, last = [asyncio.ensure_future(worker.next(wait=60)) for _ in range(3)]
    assert await soon(asyncio.gather(*older)) == [Assigned()] * 2
    scene.load()
    assert (await soon(last)).task is not None


async def test_who_is_not_meant_ends_nobodys_wait(scene: Scene, worker: Worker) -> None:
    scene.memory.forget()
    waiting = asyncio.ensure_future(worker.next(wait=60))
    await asyncio.sleep(0)
    with pytest.raises(CallRefusedError, match="StaleSession"):
        await worker.call("next", session="of another", wait=60)
    await asyncio.sleep(0)
    assert not waiting.done()
    scene.load()
    assert (await soon(waiting)).task is not None


async def test_whose_session_ends_while_it_waits_gets_nothing(scene: Scene, worker: Worker) -> None:
    scene.memory.forget()
    waiting = asyncio.ensure_future(worker.next(wait=60))
    await asyncio.sleep(0)
    await worker.call("register", process="1" * 32)
    scene.load()
    with pytest.raises(CallRefusedError, match="StaleSession"):
        await soon(waiting)


async def test_nobody_waits_once_the_operator_stops(scene: Scene, worker: Worker) -> None:
    scene.memory.forget()
    waiting = asyncio.ensure_future(worker.next(wait=60))
    await asyncio.sleep(0)
    worker.calls.stop()
    assert await soon(waiting) == Assigned()
    assert await soon(worker.next(wait=60)) == Assigned()


async def test_only_progress_and_activity_are_signs_of_progress(
    scene: Scene, worker: Worker
) -> None:
    pages = Progress(done=3, total=4, unit="pages")

    async def moved_by(call: str, **fields: Any) -> bool:
        scene.time += 10
        await worker.report(call, **fields)
        assert worker.seen is not None
        assert worker.seen.called == scene.time
        return worker.seen.moved == scene.time

    assert await moved_by("heartbeat", progress=pages)
    assert not await moved_by("heartbeat", progress=pages)
    assert not await moved_by("heartbeat"), "what is not told has not changed"
    assert await moved_by("heartbeat", activity=1)
    assert not await moved_by("log", text="")
    scene.time += 10
    await worker.register()
    assert not await moved_by("heartbeat", progress=pages, activity=1)
    assert await moved_by("heartbeat", progress=pages.model_copy(update={"done": 4}), activity=1)


async def test_what_an_earlier_attempt_told_is_not_this_ones(scene: Scene) -> None:
    earlier = replace(POD, uid="uid-of-an-earlier-pod")
    scene.cache.workers.note_call(earlier, 1, scene.time, Progress(done=3), 3)
    worker = Worker(scene)
    await worker.register()
    assert worker.seen == WorkerSeen(POD.uid, 1, called=scene.time, moved=scene.time)


@pytest.mark.parametrize(
    ("what", "directive"),
    [
        (lambda _: None, "continue"),
        (lambda s: s.memory.forget(), "continue"),
        (lambda s: s.change_pod(deleting=True), "abort"),
        (lambda s: s.change_pod(disrupted=True), "abort"),
        (lambda s: s.change_pod(stopped=Verdict(FailureClass.STUCK, "stuck")), "abort"),
        (lambda s: s.change_task(deleting=True), "abort"),
        (lambda s: s.change_job(deleting=True), "abort"),
        (lambda s: s.change_job(uid="uid-of-a-newer-one"), "abort"),
        (lambda s: s.cache.jobs.remove("texts", "ocr", "uid-job"), "abort"),
        (lambda s: s.finish_job(), "finish"),
        (lambda s: s.memory.ledger.settle(0, Outcome.SUCCEEDED), "finish"),
        (lambda s: s.memory.ledger.settle(0, Outcome.FAILED), "abort"),
        (lambda s: s.memory.ledger.settle(1, Outcome.FAILED), "continue"),
    ],
    ids=[
        "nothing",
        "job not loaded",
        "pod deleted",
        "pod disrupted",
        "pod stopped",
        "task deleted",
        "job deleted",
        "job made anew",
        "job gone",
        "job over",
        "done",
        "failed",
        "another volume failed",
    ],
)
async def test_a_heartbeat_is_told_what_to_do(
    scene: Scene, worker: Worker, what: Any, directive: str
) -> None:
    what(scene)
    answer: HeartbeatAnswer = await worker.report("heartbeat")
    assert answer.directive == directive
    assert bool(answer.reason) is (directive != "continue")


async def test_the_first_report_counts(scene: Scene, worker: Worker) -> None:
    said = Report(scene.time, FailureClass.RETRYABLE, "torn", 78)
    told = {"failure": "Retryable", "message": "torn", "exit_code": 78}
    assert await worker.report("failed", **told) == Accepted()
    scene.time += 1
    assert await worker.report("failed", failure="Retryable", message="later") == Accepted()
    assert await worker.report("done") == Accepted()
    await worker.report("heartbeat", activity=9)
    assert worker.seen is not None
    assert worker.seen.report == said


async def test_reports_that_are_not_its_own(worker: Worker) -> None:
    for call, fields in {
        "heartbeat": {},
        "done": {},
        "failed": {"failure": "Terminal"},
        "log": {"text": "x"},
    }.items():
        assert await worker.refusal(call, **fields, task_uid="another") == "Gone"
        assert await worker.refusal(call, **fields, attempt=2) == "Gone"
        assert await worker.refusal(call, **fields, session="another") == "StaleSession"
    assert worker.seen is not None
    assert worker.seen.report is None
    assert not worker.scene.stored


async def test_the_end_of_a_log_is_stored(scene: Scene, worker: Worker) -> None:
    await worker.report("log", text="page 1\n")
    assert scene.stored == {LOG: b"page 1\n"}
    await worker.report("log", text="ཀ" * (LOG_BYTES - 1) + "x")
    assert scene.stored[LOG].decode() == "ཀ" * ((LOG_BYTES - 1) // 3) + "x"


async def test_a_log_that_cannot_be_stored_is_to_be_sent_again(
    scene: Scene, worker: Worker
) -> None:
    scene.s3_error = StoreError("Unavailable", "S3 does not answer")
    assert await worker.refusal("log", text="x") == "Unavailable"
    scene.s3_error = None
    scene.memory.forget()
    assert await worker.refusal("log", text="x") == "Unavailable"
    scene.finish_job()
    assert await worker.refusal("log", text="x") == "Gone"


async def test_sessions_of_pods_that_are_gone_are_forgotten(scene: Scene, worker: Worker) -> None:
    caller = await find_caller(scene.ctx, IDENTITY)
    assert isinstance(caller, Caller)
    other = replace(caller, pod=replace(POD, name="other-1", uid="uid-other"))
    scene.cache.pods.put(other.pod)
    scene.cache.pods.remove(POD.namespace, POD.name, POD.uid)
    scene.time += PRUNE_EVERY
    await worker.calls.register(other, Register(process=PROCESS))
    with pytest.raises(CallRefusedError, match="UnknownSession"):
        await worker.calls.next(caller, Next(session=worker.session))
