"""Serves both services of the protocol on one port: workers register, scheduler clients ask."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from bec_operator.gateway.faces.grpc.asking import Asking
from bec_operator.gateway.faces.grpc.workers import Workers
from bec_operator.gateway.gateway import Gateway
from bec_operator.gateway.tls import Certificate
from bec_operator.metrics import WORKER_CALL_SECONDS, WORKER_CALLS
from bec_operator.settings import FaceSettings
from bec_operator.worker_api.callers.refusals import CallRefusedError, Word
from bec_operator.worker_api.callers.refused_log import RefusedLog
from bec_operator.worker_api.serving import STOP_SECONDS
from bec_ops.contract import jobscheduler_pb2 as wire

_MOST_AT_ONCE = 100  # calls
_OPTIONS = [
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", 64 * 1024),
    ("grpc.max_concurrent_streams", _MOST_AT_ONCE),
    ("grpc.max_metadata_size", 16 * 1024),
]
_CODES: dict[Word, grpc.StatusCode] = {
    "Unauthenticated": grpc.StatusCode.UNAUTHENTICATED,
    "Forbidden": grpc.StatusCode.PERMISSION_DENIED,
    "Gone": grpc.StatusCode.UNKNOWN,
    "UnknownSession": grpc.StatusCode.UNAVAILABLE,
    "StaleSession": grpc.StatusCode.ABORTED,
    "Invalid": grpc.StatusCode.INVALID_ARGUMENT,
    "TooMany": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "Unavailable": grpc.StatusCode.UNAVAILABLE,
}

Context = grpc.aio.ServicerContext[Any, Any]
Do = Callable[[Any], Awaitable[Any]]


class GrpcFace:
    """The services `jobscheduler.Scheduler` and `jobscheduler.Worker`."""

    def __init__(
        self, gateway: Gateway, settings: FaceSettings, certificate: Certificate | None
    ) -> None:
        self._port = settings.port
        self._certificate = certificate
        self._clock = gateway.ctx.clock
        self._workers = Workers(gateway, settings, certificate)
        self._asking = Asking(gateway)
        self._log = RefusedLog()
        self._server: grpc.aio.Server | None = None

    async def start(self) -> None:
        """Listen; raises OSError if somebody has the port."""
        self._server = grpc.aio.server(options=_OPTIONS, maximum_concurrent_rpcs=_MOST_AT_ONCE)
        self._server.add_generic_rpc_handlers((self._scheduler(), self._worker()))
        where = f"[::]:{self._port}"
        try:
            if self._certificate is None:
                self._server.add_insecure_port(where)
            else:
                self._server.add_secure_port(where, _credentials(self._certificate))
        except RuntimeError:
            raise OSError(f"port {self._port} of the face grpc is somebody else's") from None
        await self._server.start()

    async def stop(self) -> None:
        """Let calls under way come to their end, and listen no more."""
        await self._workers.stop()
        if self._server is not None:
            await self._server.stop(STOP_SECONDS)

    def _scheduler(self) -> grpc.GenericRpcHandler:
        return grpc.method_handlers_generic_handler(
            "jobscheduler.Scheduler",
            {
                "RegisterWorker": self._unary("register", self._register, wire.RegisterReq),
                "DeregisterWorker": self._unary("deregister", self._deregister, wire.DeregisterReq),
            },
        )

    def _worker(self) -> grpc.GenericRpcHandler:
        return grpc.method_handlers_generic_handler(
            "jobscheduler.Worker",
            {
                "StartJob": self._unary("start", self._start, wire.StartJobReq),
                "StopJob": self._unary("stop", self._stop, wire.StopJobReq),
                "QueryJob": self._unary("query", self._query, wire.QueryJobReq),
            },
        )

    async def _register(self, request: wire.RegisterReq) -> wire.RegisterRes:
        return wire.RegisterRes(success=True, workerID=self._workers.register(request.address))

    async def _deregister(self, request: wire.DeregisterReq) -> wire.DeregisterRes:
        await self._workers.deregister(request.workerID)
        return wire.DeregisterRes(success=True)

    async def _start(self, request: wire.StartJobReq) -> wire.StartJobRes:
        scope = self._workers.enrolment().scope
        return wire.StartJobRes(jobID=self._asking.start(scope, request.command, request.path))

    async def _stop(self, request: wire.StopJobReq) -> wire.StopJobRes:
        self._asking.stop(self._workers.enrolment().scope, request.jobID)
        return wire.StopJobRes()

    async def _query(self, request: wire.QueryJobReq) -> wire.QueryJobRes:
        return self._asking.query(self._workers.enrolment().scope, request.jobID)

    def _unary(self, name: str, do: Do, kind: Any) -> "grpc.RpcMethodHandler[Any, Any]":
        async def answer(request: Any, context: Context) -> Any:
            began, outcome = time.monotonic(), "broken"
            try:
                given = await do(request)
                outcome = "ok"
            except CallRefusedError as refused:
                outcome = refused.word
                who = f"address {_host(context.peer())}"
                self._log.refused(f"grpc.{name}", who, refused.word, self._clock.now())
                await context.abort(_CODES[refused.word], refused.message)
            except asyncio.CancelledError:
                outcome = "Gone"
                raise
            else:
                return given
            finally:
                WORKER_CALLS.labels(f"grpc.{name}", outcome).inc()
                WORKER_CALL_SECONDS.labels(f"grpc.{name}").observe(time.monotonic() - began)

        return grpc.unary_unary_rpc_method_handler(
            answer, kind.FromString, lambda given: given.SerializeToString()
        )


def _host(peer: str) -> str:
    """Return the address of a caller without its port."""
    return peer.rpartition(":")[0]


def _credentials(certificate: Certificate) -> grpc.ServerCredentials:
    """Return credentials that are read anew for each connection, as certificates are renewed."""

    def read() -> grpc.ServerCertificateConfiguration:
        chain, key, _ = certificate.pem()
        return grpc.ssl_server_certificate_configuration([(key, chain)])

    return grpc.dynamic_ssl_server_credentials(read(), read)
