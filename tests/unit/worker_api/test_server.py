"""The worker API on real sockets: what is answered to many calls, and to wrong ones."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator

import pytest

from bec_operator.act.ground.api_server import ApiError
from bec_operator.worker_api.callers.call_rates import CALLS, LOGS
from bec_operator.worker_api.callers.refused_log import EVERY
from tests.unit.worker_api.made_tokens import SIGNATURE
from tests.unit.worker_api.scene import POD
from tests.unit.worker_api.served import HERE, Connection, ServedScene

HUGE = "9" * 400


@pytest.fixture
async def scene() -> AsyncIterator[ServedScene]:
    async with ServedScene().served() as scene:
        yield scene


@pytest.fixture
async def worker(scene: ServedScene) -> AsyncIterator[Connection]:
    connection = await scene.connect(HERE)
    yield connection
    connection.close()


@pytest.mark.parametrize(
    "body",
    [
        f'{{"session": "s", "task_uid": "u", "attempt": 1, "activity": {HUGE}}}',
        f'{{"session": "s", "task_uid": "u", "attempt": {HUGE}}}',
        f'{{"session": "s", "task_uid": "u", "attempt": 1, "progress": {{"done": {HUGE}}}}}',
        f'{{"session": "s", "task_uid": "u", "attempt": {"9" * 5000}}}',
        '{"session": "s", "task_uid": "u", "attempt": NaN}',
        '{"session": "s", "task_uid": "u", "attempt": 1e999}',
        '{"a":' * 20_000,
        "[" * 100_000,
    ],
    ids=lambda body: body[-20:],
)
async def test_a_body_out_of_all_bounds(scene: ServedScene, worker: Connection, body: str) -> None:
    answer = await worker.call("heartbeat", scene.token(), body.encode())
    assert answer.refused == (400, "Invalid")
    assert len(answer.body["message"]) < 300


async def test_a_pod_that_calls_too_often_waits_and_no_other(
    scene: ServedScene, worker: Connection
) -> None:
    token, at_once = scene.token(), int(CALLS[1])
    session = (await worker.register(token)).body["session"]
    for _ in range(at_once - 1):
        assert (await worker.report("heartbeat", token, session)).status == 200
    answer = await worker.report("heartbeat", token, session)
    assert answer.refused == (429, "TooMany")
    assert answer.headers["retry-after"] == "1"
    scene.time += 1
    assert (await worker.report("heartbeat", token, session)).status == 200
    assert not scene.cache.workers.turned_away, "that is its own fault"


async def test_logs_are_rarer(scene: ServedScene, worker: Connection) -> None:
    token = scene.token()
    session = (await worker.register(token)).body["session"]
    for _ in range(int(LOGS[1])):
        assert (await worker.report("log", token, session, text="x")).status == 200
    answer = await worker.report("log", token, session, text="x")
    assert answer.refused == (429, "TooMany")
    assert (await worker.report("heartbeat", token, session)).status == 200


async def test_one_call_of_a_pod_waits(scene: ServedScene) -> None:
    scene.memory.forget()
    connections = [await scene.connect(HERE) for _ in range(20)]
    token = scene.token()
    session = (await connections[0].register(token)).body["session"]
    body = json.dumps({"session": session, "wait": 60}).encode()
    calls = [asyncio.create_task(each.call("next", token, body)) for each in connections]
    done, waiting = await asyncio.wait(calls, timeout=1)
    assert len(waiting) == 1
    assert {(await call).status for call in done} == {200}
    scene.load()
    (last,) = waiting
    assert (await last).body["task"]["task_uid"] == POD.owner_uid
    for connection in connections:
        connection.close()


async def test_nobody_is_silent_who_is_not_heard(scene: ServedScene, worker: Connection) -> None:
    scene.reviews_error = ApiError(500, "Internal", "")
    assert (await worker.register(scene.token())).refused == (503, "Unavailable")
    assert scene.cache.workers.turned_away == scene.time
    scene.reviews_error = None
    scene.time += 10
    assert (await worker.register("garbage")).refused == (401, "Unauthenticated")
    assert (await worker.call("register", scene.token(), b"{}")).refused == (400, "Invalid")
    assert scene.cache.workers.turned_away == scene.time - 10, "those are faults of their own"


async def test_a_pod_that_nobody_can_ask_for_is_not_heard(
    scene: ServedScene, worker: Connection
) -> None:
    scene.cache.pods.remove(POD.namespace, POD.name, POD.uid)
    scene.api_error = ApiError(500, "Internal", "")
    assert (await worker.register(scene.token())).refused == (503, "Unavailable")
    assert scene.cache.workers.turned_away == scene.time


async def test_refused_calls_are_logged_once_a_minute(
    scene: ServedScene, worker: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    token = scene.token()
    for _ in range(5):
        await worker.call("heartbeat", token, b"{}")
        await worker.register("garbage")
    said = f"the call heartbeat of texts/{POD.name} is refused: Invalid"
    stranger = "the call register of address 127.0.0.1 is refused: Unauthenticated"
    assert [record.getMessage() for record in caplog.records] == [said, stranger]
    scene.time += EVERY
    await worker.call("heartbeat", token, b"{}")
    assert caplog.text.count(said) == 2
    assert SIGNATURE not in caplog.text
    assert "garbage" not in caplog.text


async def test_a_call_that_breaks_is_an_error_of_ours(
    scene: ServedScene,
    worker: Connection,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scene.cache.workers, "note_call", None)
    for _ in range(3):
        assert (await worker.register(scene.token())).refused == (500, "Unavailable")
    assert caplog.text.count("the call register broke") == 1
    assert not scene.cache.workers.turned_away


async def test_who_is_refused_before_all_has_come_is_told_to_hang_up(worker: Connection) -> None:
    """What is still to come would be taken for the begin of the next request."""
    head = b"POST /v1/register HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n"
    worker.writer.write(head)
    answer = await worker.answer()
    assert (answer.status, answer.headers["connection"]) == (401, "close")
    worker.writer.write(b"{}")
    assert await worker.is_closed()


async def test_a_path_that_is_no_call(worker: Connection) -> None:
    answer = await worker.call("x" * 5000, "garbage", b"")
    assert answer.refused == (404, "Invalid")
    assert len(answer.body["message"]) < 300
