"""What is left of kopf when the loop ends."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

import pytest
import uvloop

from bec_operator.observe.engine import on_loop_error


@contextlib.asynccontextmanager
async def _block() -> AsyncIterator[None]:
    try:
        yield
    finally:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0)


async def _watch() -> AsyncIterator[int]:
    async with _block():
        yield 1


def test_generators_that_are_left_at_the_end_are_no_error(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    left = []

    async def stop_within_a_watch() -> None:
        for _ in range(20):
            left.append(watch := _watch())
            await anext(watch)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.get_loop().set_exception_handler(on_loop_error)
        runner.run(stop_within_a_watch())
    assert any("closing of asynchronous generator" in record.message for record in caplog.records)
    assert not [record for record in caplog.records if record.levelno > logging.DEBUG]


def test_other_errors_are_told(caplog: pytest.LogCaptureFixture) -> None:
    async def leave() -> None:
        asyncio.get_running_loop().call_soon(lambda: 1 / 0)
        await asyncio.sleep(0)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.get_loop().set_exception_handler(on_loop_error)
        runner.run(leave())
    assert [record.levelno for record in caplog.records if record.exc_info] == [logging.ERROR]
