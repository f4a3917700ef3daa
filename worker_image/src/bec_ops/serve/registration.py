"""Tells a scheduler that we are there, again whenever it seems to be a new one.

An existing scheduler remembers its workers in memory alone, looks after none of them, and cannot be
asked whom it knows. But when it ends, so does the connection to it, which is kept open for this.
"""

import asyncio
import logging
import random
import time
from pathlib import Path

import grpc

from bec_ops.contract import jobscheduler_pb2 as wire
from bec_ops.contract.errors import MisconfiguredError
from bec_ops.serve.configuration import Scheduler

_DEADLINE = 5.0  # seconds for a call
_LAST_WORDS = 1.0  # seconds for one as we end
_PAUSES = (0.5, 30.0)  # seconds between two tries: the first, and the longest
_LOOK = 60.0  # seconds between two looks whether the scheduler answers
_TELL = 60.0  # seconds between two words that it does not
_IDS = 8  # so many of one scheduler are ours at most
_ID_CHARACTERS = 256
_TOLD_CHARACTERS = 200  # of why a call has failed
_OPTIONS = [
    ("grpc.client_idle_timeout_ms", 2**31 - 1),  # never: its end is what we wait for
    ("grpc.max_receive_message_length", 64 * 1024),
    ("grpc.max_reconnect_backoff_ms", 10_000),
]
_SILENT = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}

_logger = logging.getLogger(__name__)


class Registration:
    """Our place at a scheduler. `address` is where it is to call us."""

    def __init__(self, scheduler: Scheduler, address: str) -> None:
        self._scheduler = scheduler
        self._address = address
        self._channel = _channel(scheduler)
        self._register = self._channel.unary_unary(
            "/jobscheduler.Scheduler/RegisterWorker",
            wire.RegisterReq.SerializeToString,
            wire.RegisterRes.FromString,
        )
        self._deregister = self._channel.unary_unary(
            "/jobscheduler.Scheduler/DeregisterWorker",
            wire.DeregisterReq.SerializeToString,
            wire.DeregisterRes.FromString,
        )
        self._ids: list[str] = []

    async def keep(self) -> None:
        """Register until the scheduler has taken us in, and again when it is gone; for ever."""
        while True:
            await self._get_in()
            await self._until_it_is_gone()
            await asyncio.sleep(_PAUSES[0])  # one that takes us in may hang up each time

    async def leave(self) -> None:
        """Take our names from the scheduler's list, as well as that goes."""
        await asyncio.gather(*(self._take_back(each, _LAST_WORDS) for each in self._ids))
        await self._channel.close()

    async def _get_in(self) -> None:
        pause, longest = _PAUSES
        told = -_TELL
        while True:
            try:
                answer = await self._register(
                    wire.RegisterReq(address=self._address), timeout=_DEADLINE
                )
                if 0 < len(answer.workerID) <= _ID_CHARACTERS:
                    break
                why = "its answer has no workerID, or one that is too long"
            except grpc.aio.AioRpcError as error:
                why = f"{error.code().name}: {(error.details() or '')[:_TOLD_CHARACTERS]!r}"
            if time.monotonic() - told >= _TELL:
                told = time.monotonic()
                _logger.warning("scheduler %s: %s; trying again", self._scheduler.addr, why)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
            pause = min(2 * pause, longest)
        _logger.info("scheduler %s: we are worker %r there", self._scheduler.addr, answer.workerID)
        await self._remember(answer.workerID)

    async def _remember(self, worker_id: str) -> None:
        """Keep our older names, too: if it was but the connection that broke, they are in use."""
        if worker_id in self._ids:
            return
        self._ids.append(worker_id)
        while len(self._ids) > _IDS:
            await self._take_back(self._ids.pop(0), _DEADLINE)

    async def _until_it_is_gone(self) -> None:
        """Wait for the end of the connection, or until it is time to register all the same."""
        again = self._scheduler.again_seconds
        deadline = time.monotonic() + again if again else float("inf")
        ready = grpc.ChannelConnectivity.READY
        while self._channel.get_state() == ready and (left := deadline - time.monotonic()) > 0:
            try:
                async with asyncio.timeout(min(_LOOK, left)):
                    await self._channel.wait_for_state_change(ready)
            except TimeoutError:
                if time.monotonic() < deadline and not await self._answers():
                    return

    async def _answers(self) -> bool:
        """Whether anybody is at the other end: nobody's name is taken back, which changes nothing.

        A machine that is gone closes no connection, and more pings than a call each minute are
        taken for an attack by servers.
        """
        return await self._take_back("", _DEADLINE) not in _SILENT

    async def _take_back(self, worker_id: str, seconds: float) -> grpc.StatusCode:
        try:
            await self._deregister(wire.DeregisterReq(workerID=worker_id), timeout=seconds)
        except grpc.aio.AioRpcError as error:
            return error.code()
        return grpc.StatusCode.OK


def _channel(scheduler: Scheduler) -> grpc.aio.Channel:
    if not scheduler.ca_file:
        return grpc.aio.insecure_channel(scheduler.addr, _OPTIONS)
    try:
        authority = Path(scheduler.ca_file).read_bytes()
    except OSError as error:
        raise MisconfiguredError(
            f"[scheduler] ca_file {scheduler.ca_file}: {error.strerror}"
        ) from None
    credentials = grpc.ssl_channel_credentials(authority)
    return grpc.aio.secure_channel(scheduler.addr, credentials, _OPTIONS)
