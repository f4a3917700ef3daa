"""Calls a worker as existing schedulers do: each time anew, and with a deadline of a second."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc

from bec_operator.gateway.faces.grpc.addresses import Address
from bec_operator.gateway.tls import Certificate
from bec_ops.contract import jobscheduler_pb2 as wire
from bec_ops.contract.protocol import LOG_BYTES

_DEADLINE = 1.0  # seconds for connecting and answering
_READING = 10.0  # seconds for all output of a job
_TOLD = 500  # characters of what a worker says
_OPTIONS = [
    ("grpc.max_receive_message_length", 256 * 1024),
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),  # a machine that is back is not waited for
]


class SilentError(Exception):
    """Nobody has answered; a job that was to start may have begun."""


class NoError(Exception):
    """The worker has refused; the text says why, in its own words."""


class Peer:
    """A worker that listens at an address."""

    def __init__(self, address: Address, certificate: Certificate | None) -> None:
        self._address = address
        self._certificate = certificate

    async def start(self, command: str, path: str) -> str:
        """Start a command, and return the id of the job that it is now."""
        request = wire.StartJobReq(command=command, path=path)
        answer: wire.StartJobRes = await self._call("StartJob", request, wire.StartJobRes)
        return answer.jobID

    async def query(self, job_id: str) -> wire.QueryJobRes:
        """Return how it stands with a job."""
        answer: wire.QueryJobRes = await self._call(
            "QueryJob", wire.QueryJobReq(jobID=job_id), wire.QueryJobRes
        )
        return answer

    async def stop(self, job_id: str) -> None:
        """Let a job be stopped."""
        await self._call("StopJob", wire.StopJobReq(jobID=job_id), wire.StopJobRes)

    async def answers(self) -> bool:
        """Whether anybody is there: a job of no id is known to none, who says so."""
        try:
            await self.query("")
        except NoError:
            return True
        except SilentError:
            return False
        return True

    async def output(self, job_id: str) -> str:
        """Return the end of what a job has printed; empty where the worker tells nothing of it."""
        end = ""
        try:
            async with self._channel() as channel:
                stream = channel.unary_stream(
                    "/jobscheduler.Worker/StreamJob",
                    wire.StreamJobReq.SerializeToString,
                    wire.StreamJobRes.FromString,
                )(wire.StreamJobReq(path=job_id), timeout=_READING)
                async for piece in stream:
                    end = (end + piece.output)[-LOG_BYTES:]
        except grpc.aio.AioRpcError:
            pass  # old workers know no such call
        return end

    async def _call(self, name: str, request: Any, kind: Any) -> Any:
        try:
            async with self._channel() as channel:
                call = channel.unary_unary(
                    f"/jobscheduler.Worker/{name}", type(request).SerializeToString, kind.FromString
                )
                return await call(request, timeout=_DEADLINE)
        except grpc.aio.AioRpcError as error:
            if error.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}:
                raise SilentError from None
            raise NoError((error.details() or error.code().name)[:_TOLD]) from None

    @asynccontextmanager
    async def _channel(self) -> AsyncIterator[grpc.aio.Channel]:
        target = self._address.target
        if self._certificate is None:
            made = grpc.aio.insecure_channel(target, _OPTIONS)
        else:
            chain, key, authority = self._certificate.pem()
            credentials = grpc.ssl_channel_credentials(authority, key, chain)
            made = grpc.aio.secure_channel(target, credentials, _OPTIONS)
        async with made as channel:
            yield channel
