"""What schedulers call: starting, stopping and asking about jobs, and reading their output."""

import asyncio
import codecs
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn, TypeVar

import grpc

from bec_ops.contract import jobscheduler_pb2 as wire
from bec_ops.serve.configuration import Limits
from bec_ops.serve.endings import error_text
from bec_ops.serve.jobs import JobError, Jobs, NoRoomError, NotAllowedError

_LOOKS = (0.02, 0.5)  # seconds between two looks for more output: the first, and the longest
_THREADS = 16  # for calls: they wait for keepers and the disk
_ENDING = "this worker is about to end: start the job elsewhere"

_T = TypeVar("_T")
_Context = grpc.aio.ServicerContext[object, object]


class Calls:
    """The service `jobscheduler.Worker`."""

    def __init__(self, jobs: Jobs, limits: Limits) -> None:
        self._jobs = jobs
        self._limits = limits
        self._threads = ThreadPoolExecutor(_THREADS, "calls")  # which streams never keep busy
        self._streams = 0
        self.ending = False
        """Whether no job may start any more."""

    def handler(self) -> grpc.GenericRpcHandler:
        """Return what gRPC calls."""
        unary = grpc.unary_unary_rpc_method_handler
        methods: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            "StartJob": unary(
                self._start_job,
                wire.StartJobReq.FromString,
                wire.StartJobRes.SerializeToString,
            ),
            "StopJob": unary(
                self._stop_job, wire.StopJobReq.FromString, wire.StopJobRes.SerializeToString
            ),
            "QueryJob": unary(
                self._query_job, wire.QueryJobReq.FromString, wire.QueryJobRes.SerializeToString
            ),
            "StreamJob": grpc.unary_stream_rpc_method_handler(
                self._stream_job, wire.StreamJobReq.FromString, wire.StreamJobRes.SerializeToString
            ),
        }
        return grpc.method_handlers_generic_handler("jobscheduler.Worker", methods)

    async def _start_job(self, request: wire.StartJobReq, context: _Context) -> wire.StartJobRes:
        if self.ending:
            await context.abort(grpc.StatusCode.UNAVAILABLE, _ENDING)
        starting = self._in_thread(lambda: self._jobs.start(request.command, request.path))
        try:
            job_id = await asyncio.shield(starting)
        except asyncio.CancelledError:
            starting.add_done_callback(self._undo)
            raise
        except JobError as error:
            await _refuse(context, error)
        return wire.StartJobRes(jobID=job_id)

    async def _stop_job(self, request: wire.StopJobReq, context: _Context) -> wire.StopJobRes:
        try:
            await self._in_thread(lambda: self._jobs.stop(request.jobID))
        except JobError as error:
            await _refuse(context, error)
        return wire.StopJobRes()

    async def _query_job(self, request: wire.QueryJobReq, context: _Context) -> wire.QueryJobRes:
        try:
            end = await self._in_thread(lambda: self._jobs.end(request.jobID))
        except JobError as error:
            await _refuse(context, error)
        if end is None:
            return wire.QueryJobRes()
        text = error_text(end)
        return wire.QueryJobRes(done=True, error=bool(text), errorText=text, stopped=end.stopped)

    async def _stream_job(
        self, request: wire.StreamJobReq, context: _Context
    ) -> AsyncIterator[wire.StreamJobRes]:
        if self._streams >= self._limits.streams:
            await context.abort(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"{self._streams} read output already, which is [limits] streams of this worker: "
                "try again later",
            )
        self._streams += 1
        try:
            # The next piece is read once this one has gone out: a slow reader costs no memory.
            async for text in self._follow(request.path):
                yield wire.StreamJobRes(output=text)
        except JobError as error:
            await _refuse(context, error)
        finally:
            self._streams -= 1

    async def _follow(self, job_id: str) -> AsyncIterator[str]:
        """Yield the output of a job until it has ended and all is told."""
        reader = self._jobs.output(job_id)
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        pause, longest = _LOOKS
        ended = False  # before the latest look: then that has found all there is
        while True:
            found = await asyncio.to_thread(reader.read)
            if found.cut:
                yield decoder.decode(b"", final=True) + self._told_cut(found.cut)
            elif found.data:
                pause = _LOOKS[0]
                if text := decoder.decode(found.data):
                    yield text
            elif ended:
                break
            elif not (ended := await asyncio.to_thread(self._jobs.end, job_id) is not None):
                await asyncio.sleep(pause)
                pause = min(2 * pause, longest)
        if rest := decoder.decode(b"", final=True):
            yield rest

    def _told_cut(self, count: int) -> str:
        return (
            f"\n[bec-worker: {count} bytes of output are missing here: [limits] output_bytes is "
            f"{self._limits.output_bytes}]\n"
        )

    def _in_thread(self, call: Callable[[], _T]) -> "asyncio.Future[_T]":
        return asyncio.get_running_loop().run_in_executor(self._threads, call)

    def _undo(self, starting: "asyncio.Future[str]") -> None:
        """Stop a job that was started too late for its caller, who will never know its id."""
        if not starting.cancelled() and starting.exception() is None:
            job_id = starting.result()
            self._threads.submit(self._jobs.stop, job_id)


async def _refuse(context: _Context, error: JobError) -> NoReturn:
    """Answer as existing workers do where they know the case."""
    match error:
        case NotAllowedError():
            code = grpc.StatusCode.PERMISSION_DENIED
        case NoRoomError():
            code = grpc.StatusCode.RESOURCE_EXHAUSTED
        case _:
            code = grpc.StatusCode.UNKNOWN
    await context.abort(code, str(error))
