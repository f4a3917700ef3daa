"""`bec-worker serve` as a process of its own, the calls of a scheduler, and a played scheduler."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc
import psutil

from bec_ops.serve import jobscheduler_pb2 as wire
from bec_ops.serve.job_folder import MARK
from tests.support.ports import free_ports
from tests.support.waiting import until

PATIENCE = 30.0  # seconds
_DEADLINE = 1.0  # which existing schedulers allow for connecting and answering
_COMMANDS = ["sh", "/nowhere", "/etc/passwd"]

Toml = Mapping[str, Mapping[str, object]]


class Served:
    """A worker in a folder of its own. As a context it runs, and nothing of it is left after."""

    def __init__(self, folder: Path, toml: Toml | None = None) -> None:
        self.folder = folder
        (port,) = free_ports(1)
        self.address = f"127.0.0.1:{port}"
        given = toml or {}
        self.write_toml(
            {
                "grpc_server": {"addr": self.address, **given.get("grpc_server", {})},
                "scheduler": given.get("scheduler", {}),
                "limits": {"commands": _COMMANDS, "grace_seconds": 1, **given.get("limits", {})},
            }
        )
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def jobs(self) -> Path:
        return self.folder / "worker/jobs"

    @property
    def log(self) -> str:
        """What it has said since it was started last."""
        return (self.folder / "log").read_text()

    def write_toml(self, toml: Toml) -> None:
        (self.folder / "worker").mkdir(parents=True, exist_ok=True)
        lines = []
        for name, values in toml.items():
            lines.append(f"[{name}]")
            lines += [f"{key} = {json.dumps(value)}" for key, value in values.items()]
        (self.folder / "worker/config.toml").write_text("\n".join(lines))

    def script(self, text: str) -> str:
        """Write a script for `sh`, and return its path."""
        file = self.folder / f"script-{len(list(self.folder.iterdir()))}.sh"
        file.write_text(text)
        return str(file)

    def start(self) -> Self:
        """Start it, and wait until it answers."""
        self.begin()
        until(self._listens, "the worker listens", PATIENCE)
        return self

    def begin(self) -> subprocess.Popen[bytes]:
        command = Path(sys.executable).with_name("bec-worker")
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [command, "serve"], cwd=self.folder, stdout=log, stderr=log
            )
        return self.process

    @property
    def runs(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        """End it as a crash does."""
        assert self.process
        self.process.kill()
        self.process.wait()

    def end(self) -> int:
        """End it as a machine that goes down does, and return its exit code."""
        assert self.process
        self.process.terminate()
        return self.process.wait(PATIENCE)

    def keeper(self, job_id: str) -> psutil.Process:
        """Return the process that keeps a job."""
        (found,) = processes_with(str(self.jobs / job_id))
        return found

    def _listens(self) -> bool:
        assert self.process
        assert self.process.poll() is None, self.log
        return f"listens at {self.address}" in self.log

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.runs:
            self.end()
        for left in [*processes_with(str(self.folder)), *self._of_jobs()]:
            with suppress(psutil.NoSuchProcess):
                left.kill()

    def _of_jobs(self) -> list[psutil.Process]:
        ids = {job.name for job in self.jobs.iterdir()} if self.jobs.exists() else set()
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get(MARK) in ids:
                    found.append(process)
        return found


def processes_with(text: str) -> list[psutil.Process]:
    """Return the processes whose command line has this text in it."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        seen = process.info
        if text in "\0".join(seen["cmdline"] or ()) and seen["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


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


def killed(process: psutil.Process) -> None:
    """Kill a process that is not our child, and wait for its end."""
    process.kill()
    until(lambda: not _runs(process), "it is dead", PATIENCE)


def _runs(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
