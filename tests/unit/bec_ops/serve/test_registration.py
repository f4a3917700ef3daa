"""A scheduler that is there and answers nothing any more."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import pytest

from bec_ops.serve import registration
from bec_ops.serve.configuration import Scheduler
from bec_ops.serve.registration import Registration
from tests.support.ports import free_ports
from tests.support.schedulers import PlayedScheduler
from tests.support.waiting import until


@pytest.fixture
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registration, "_DEADLINE", 0.3)
    monkeypatch.setattr(registration, "_LOOK", 0.1)


async def soon(look: Callable[[], bool], what: str) -> None:
    await asyncio.to_thread(until, look, what)


@pytest.mark.usefixtures("short_times")
async def test_a_scheduler_that_falls_silent_gets_it_again_once_it_answers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    (port,) = free_ports(1)
    with PlayedScheduler(port) as scheduler:
        known = Registration(Scheduler(addr=scheduler.address), "127.0.0.1:1")
        keeping = asyncio.create_task(known.keep())
        await soon(lambda: scheduler.gone.count("") > 3, "it is looked after")
        (first,) = scheduler.workers  # while it answers, once is enough
        scheduler.answers.clear()
        await soon(lambda: scheduler.refused > 1, "it is called")
        scheduler.answers.set()
        await soon(lambda: caplog.text.count("we are worker") == 2, "it is registered again")
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping
        await known.leave()
        # Registrations to which it answered too late have names that we were never told.
        mine = set(scheduler.gone) - {""}
        assert first in mine
        assert len(mine) == 2
        assert mine <= scheduler.workers.keys()


async def test_a_scheduler_that_hangs_up_each_time_is_not_called_without_a_pause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def gone(_: Registration) -> None:
        """Find that the connection has ended."""

    monkeypatch.setattr(Registration, "_until_it_is_gone", gone)
    (port,) = free_ports(1)
    with PlayedScheduler(port) as scheduler:
        known = Registration(Scheduler(addr=scheduler.address), "127.0.0.1:1")
        with suppress(TimeoutError):
            async with asyncio.timeout(2):
                await known.keep()
        await known.leave()
        assert 1 <= len(scheduler.workers) <= 5


@pytest.mark.usefixtures("short_times")
@pytest.mark.parametrize("worker_id", ["", "x" * 10_000])
async def test_an_answer_without_a_name_is_none(
    worker_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    (port,) = free_ports(1)
    with PlayedScheduler(port) as scheduler:
        scheduler.names = worker_id
        known = Registration(Scheduler(addr=scheduler.address), "127.0.0.1:1")
        keeping = asyncio.create_task(known.keep())
        await soon(lambda: "no workerID, or one that is too long" in caplog.text, "it says so")
        keeping.cancel()
        await known.leave()
        assert scheduler.gone == []
