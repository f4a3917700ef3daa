"""Connections that say nothing, or are too many: they are closed, and others are served."""

import asyncio
import resource
import time
from contextlib import suppress
from typing import Any, cast

import pytest
from prometheus_client import REGISTRY

from bec_operator.worker_api.connections import OTHER_FILES, allow_files
from tests.unit.worker_api.served import HERE, THERE, Connection, ServedScene

HALF = b"POST /v1/register HTTP/1.1\r\nHost: x\r\n"


async def half_sent(scene: ServedScene, address: str) -> Connection | None:
    """Return a connection with half a request; None if it was closed at once."""
    try:
        connection = await scene.connect(address)
        connection.writer.write(HALF)
        await connection.writer.drain()
    except ConnectionError:
        return None
    return connection


async def flood(scene: ServedScene, address: str, number: int) -> list[Connection]:
    """Send half a request on so many connections, and return those that are not closed."""
    left: list[Connection] = []
    for _ in range(number // 100):
        found = await asyncio.gather(*(half_sent(scene, address) for _ in range(100)))
        await asyncio.sleep(0.05)
        for connection in found:
            if connection is None or await connection.is_closed(0):
                if connection is not None:
                    connection.close()
            else:
                left.append(connection)
    return left


async def serves(scene: ServedScene, address: str) -> bool:
    """Whether a worker at an address is served."""
    connection = await scene.connect(address)
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        try:
            return (await connection.register(scene.token())).status == 200
        finally:
            connection.close()
    return False


def opened() -> float:
    """Return how many connections are served."""
    return REGISTRY.get_sample_value("bec_worker_connections") or 0.0


async def test_thousands_of_half_requests_leave_others_served() -> None:
    limits: dict[str, Any] = {"worker_connections": 300, "worker_connections_of_address": 200}
    limits["worker_request_seconds"] = 60.0
    async with ServedScene(**limits).served() as scene:
        before = await scene.connect(HERE)
        assert (await before.register(scene.token())).status == 200
        left = await flood(scene, THERE, 3000)
        assert opened() == 201
        began = time.monotonic()
        assert await serves(scene, HERE)
        assert (await before.register(scene.token())).status == 200
        assert time.monotonic() - began < 1
        assert not await serves(scene, THERE)
        assert not scene.cache.workers.turned_away, "nobody else is kept out"
        for connection in (before, *left):
            connection.close()


async def test_where_all_are_taken_nobody_is_silent() -> None:
    limits: dict[str, Any] = {"worker_connections": 50, "worker_connections_of_address": 50}
    async with ServedScene(**limits, worker_request_seconds=1.0).served() as scene:
        before = await scene.connect(HERE)
        assert (await before.register(scene.token())).status == 200
        left = await flood(scene, THERE, 100)
        assert not await serves(scene, HERE)
        assert scene.cache.workers.turned_away == scene.time
        assert (await before.register(scene.token())).status == 200, "who is served stays"
        closed = await asyncio.gather(*(connection.is_closed() for connection in left))
        assert all(closed), "none of them lasts"
        assert await serves(scene, HERE)
        before.close()


async def test_a_request_that_comes_bit_by_bit_is_not_waited_for() -> None:
    async with ServedScene(worker_request_seconds=0.3).served() as scene:
        silent, slow, second = [await scene.connect(HERE) for _ in range(3)]
        assert (await second.register(scene.token())).status == 200
        began = time.monotonic()
        for connection in (slow, second):
            connection.writer.write(HALF)
        while True:
            for connection in (slow, second):
                connection.writer.write(b"x")
            if await slow.is_closed(0.05):
                break
        assert time.monotonic() - began < 2
        assert await second.is_closed(1)
        assert await silent.is_closed(1)


async def test_a_call_that_takes_long_and_one_that_is_idle_are_no_slow_requests() -> None:
    async with ServedScene(worker_request_seconds=0.2, worker_idle_seconds=1.0).served() as scene:
        scene.memory.forget()
        connection = await scene.connect(HERE)
        token = scene.token()
        session = (await connection.register(token)).body["session"]
        answer = asyncio.create_task(
            connection.call("next", token, b'{"session": "%s", "wait": 60}' % session.encode())
        )
        await asyncio.sleep(0.6)
        scene.load()
        assert (await answer).body["task"]
        await asyncio.sleep(0.6)
        assert (await connection.register(token)).status == 200
        assert not await connection.is_closed(0.6)
        assert await connection.is_closed(3), "an idle one is closed in the end"


async def test_who_does_not_read_what_it_asked_for() -> None:
    async with ServedScene(worker_request_seconds=0.5).served() as scene:
        connection = await scene.connect(HERE)
        transport = cast("asyncio.Transport", connection.writer.transport)
        transport.pause_reading()
        with suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(5):
                while opened():
                    connection.writer.write(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 50)
                    await asyncio.sleep(0.02)
        assert opened() == 0


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[int, int]]:
    """Return the limits of a process, which are `now` a soft and a hard one."""
    limits: dict[str, tuple[int, int]] = {"now": (1024, 5000)}
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits["now"])
    monkeypatch.setattr(resource, "setrlimit", lambda _, new: limits.update(now=new))
    return limits


def test_files_are_allowed_as_far_as_they_may_be(files: dict[str, tuple[int, int]]) -> None:
    assert allow_files(100) == 100
    assert files["now"] == (100 + OTHER_FILES, 5000)
    assert allow_files(10) == 10
    assert files["now"] == (100 + OTHER_FILES, 5000), "never fewer"
    assert allow_files(10_000) == 5000 - OTHER_FILES
    assert files["now"] == (5000, 5000)
    files["now"] = (1024, 1024)
    assert allow_files(10_000) == 512
    files["now"] = (1024, resource.RLIM_INFINITY)
    assert allow_files(10_000) == 10_000
    assert files["now"][0] == 10_000 + OTHER_FILES


async def test_with_few_files_fewer_connections_are_served(
    files: dict[str, tuple[int, int]], caplog: pytest.LogCaptureFixture
) -> None:
    files["now"] = (10, 10)
    async with ServedScene().served() as scene:
        assert "5 connections of workers are served at once, not 10000" in caplog.text
        left = await flood(scene, THERE, 100)
        assert opened() == 5
        for connection in left:
            connection.close()
