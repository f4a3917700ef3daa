"""A scheduler as it calls `bec-worker serve`, and as it is called."""

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import grpc

from bec_ops.contract import jobscheduler_pb2 as wire
from tests.support.waiting import until

PATIENCE = 30.0  # seconds
_DEADLINE = 1.0  # which existing schedulers allow for connecting and answering


class SchedulerCalls:
    """Calls a worker as existing schedulers do: with a new connection, and a deadline of 1 s."""

    def __init__(self, address: str, credentials: grpc.ChannelCredentials | None = None) -> None:
        self._address = address
        self._credentials = credentials

    def start(self, command: str, path: str, deadline: float = _DEADLINE) -> str:
        request = wire.StartJobReq(command=command, path=path)
        answer: wire.StartJobRes = self._call("StartJob", request, wire.StartJobRes, deadline)
        return answer.jobID

    def stop(self, job_id: str) -> None:
        self._call("StopJob", wire.StopJobReq(jobID=job_id), wire.StopJobRes)

    def query(self, job_id: str) -> wire.QueryJobRes:
        answer: wire.QueryJobRes = self._call(
            "QueryJob", wire.QueryJobReq(jobID=job_id), wire.QueryJobRes
        )
        return answer

    def end(self, job_id: str) -> wire.QueryJobRes:
        """Wait until a job is done, and return what is said of it."""

        def done() -> wire.QueryJobRes | None:
            answer = self.query(job_id)
            return answer if answer.done else None

        return until(done, "the job is done", PATIENCE)  # type: ignore[return-value]

    def output(self, job_id: str) -> str:
        with self.stream(job_id) as texts:
            return "".join(texts)

    @contextmanager
    def stream(self, job_id: str) -> Iterator[Iterator[str]]:
        with self._channel() as channel:
            call = channel.unary_stream(
                "/jobscheduler.Worker/StreamJob",
                wire.StreamJobReq.SerializeToString,
                wire.StreamJobRes.FromString,
            )(wire.StreamJobReq(path=job_id), timeout=PATIENCE)
            yield (answer.output for answer in call)
            call.cancel()

    def _channel(self) -> grpc.Channel:
        if self._credentials:
            return grpc.secure_channel(self._address, self._credentials)
        return grpc.insecure_channel(self._address)

    def _call(self, name: str, request: Any, kind: Any, deadline: float = _DEADLINE) -> Any:
        with self._channel() as channel:
            call = channel.unary_unary(
                f"/jobscheduler.Worker/{name}", type(request).SerializeToString, kind.FromString
            )
            return call(request, timeout=deadline)


class PlayedScheduler:
    """A scheduler that knows what an existing one knows. As a context it listens."""

    def __init__(self, port: int) -> None:
        self.address = f"127.0.0.1:{port}"
        self.workers: dict[str, str] = {}  # their addresses by their ids
        self.gone: list[str] = []
        self.names: str | None = None  # what each is called, if not by an id of its own
        self.answers = threading.Event()
        self.answers.set()
        self.refused = 0  # calls that came while it did not answer
        unary = grpc.unary_unary_rpc_method_handler
        self._handler = grpc.method_handlers_generic_handler(
            "jobscheduler.Scheduler",
            {
                "RegisterWorker": unary(
                    self._register,
                    wire.RegisterReq.FromString,
                    wire.RegisterRes.SerializeToString,
                ),
                "DeregisterWorker": unary(
                    self._deregister,
                    wire.DeregisterReq.FromString,
                    wire.DeregisterRes.SerializeToString,
                ),
            },
        )

    def _register(self, request: wire.RegisterReq, _: grpc.ServicerContext) -> wire.RegisterRes:
        self._wait()
        worker_id = os.urandom(8).hex() if self.names is None else self.names
        self.workers[worker_id] = request.address
        return wire.RegisterRes(workerID=worker_id)  # success is left false, as theirs is

    def _deregister(
        self, request: wire.DeregisterReq, _: grpc.ServicerContext
    ) -> wire.DeregisterRes:
        self._wait()
        self.gone.append(request.workerID)
        return wire.DeregisterRes(success=True)

    def _wait(self) -> None:
        if not self.answers.is_set():
            self.refused += 1
            self.answers.wait(PATIENCE)

    def __enter__(self) -> Self:
        self._server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
        self._server.add_generic_rpc_handlers((self._handler,))
        self._server.add_insecure_port(self.address)
        self._server.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.stop(None).wait()
