"""`bec-worker serve` as a process of its own."""

import json
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from bec_ops.serve.job_folder import MARK
from tests.support.ports import free_ports
from tests.support.schedulers import PATIENCE
from tests.support.waiting import until

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


def killed(process: psutil.Process) -> None:
    """Kill a process that is not our child, and wait for its end."""
    process.kill()
    until(lambda: not _runs(process), "it is dead", PATIENCE)


def _runs(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
