"""Workers as their authors write them, run as a process of their own, as in a pod."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bec_ops.contract.exit_codes import ExitCode

PATIENCE = 90.0  # seconds: a worker that starts loads much, and the machine may be busy
POD = ("BEC_JOB_ID", "BEC_W_ID", "BEC_I_ID", "BEC_I_VERSION", "BEC_OUTPUT_URI", "BEC_TASK_UID")
"""The variables by which a worker in a pod knows its task."""
_started: list[subprocess.Popen[str]] = []
_COMPILED = Path(tempfile.gettempdir()) / "bec-worker-runs"


@dataclass
class WorkerRun:
    """One attempt at a volume, with what it needs in `folder`, and its output there too.

    `environment` replaces what would be set otherwise; an empty value leaves a variable out.
    `under` is a command that runs the worker, as its last arguments say.
    """

    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    under: tuple[str, ...] = ()

    @property
    def output(self) -> Path:
        return self.folder / "output"

    def start_script(self, script: str) -> subprocess.Popen[str]:
        """Start a worker that keeps its own loop or calls `worker.main()`."""
        return self.start(sys.executable, str(self.write(script)))

    def start_command(self, *arguments: str) -> subprocess.Popen[str]:
        """Start `bec-worker`."""
        return self.start(str(Path(sys.executable).with_name("bec-worker")), *arguments)

    def start(self, *command: str) -> subprocess.Popen[str]:
        self.folder.mkdir(parents=True, exist_ok=True)
        process = subprocess.Popen(
            (*self.under, *command),
            env=self._all_variables(),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        _started.append(process)
        return process

    def write(self, script: str) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / "worker.py"
        file.write_text(script)
        return file

    @property
    def marker(self) -> dict[str, Any] | None:
        file = self.output / "success.json"
        return json.loads(file.read_text()) if file.exists() else None

    @property
    def log(self) -> str:
        file = self.output / "_logs/attempt-1-task-uid.log"
        return file.read_text() if file.exists() else ""

    @property
    def told(self) -> dict[str, str]:
        """The termination message."""
        file = self.folder / "termination-log"
        return json.loads(file.read_text()) if file.exists() else {}

    def _all_variables(self) -> dict[str, str]:
        own = {
            "BEC_JOB_ID": "ocr",
            "BEC_W_ID": "W1",
            "BEC_I_ID": "I1",
            "BEC_I_VERSION": "v1",
            "BEC_OUTPUT_URI": f"file://{self.output}/",
            "BEC_WORKER_ID": "pod-1/uid-1",
            "BEC_TASK_UID": "task-uid",
            "BEC_WORK_DIR": str(self.folder / "work"),
            "BEC_TERMINATION_LOG": str(self.folder / "termination-log"),
            "BEC_HEARTBEAT_SECONDS": "0.05",
            "COLUMNS": "300",  # for what is shown at a terminal: no path is broken in two
            # Most of a short run is the compiling of what it imports: once is enough.
            "PYTHONDONTWRITEBYTECODE": "",
            "PYTHONPYCACHEPREFIX": str(_COMPILED),
        }
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith("BEC_")
        }
        wanted = {**inherited, **own, **self.environment}
        return {name: value for name, value in wanted.items() if value}


@dataclass(frozen=True)
class Ended:
    """How a worker ended."""

    code: int
    out: str
    err: str


def wait_ended(process: subprocess.Popen[str]) -> Ended:
    """Wait for a worker's end, and return how it was."""
    out, err = process.communicate(timeout=PATIENCE)
    return Ended(process.returncode, out, err)


def wait_done(process: subprocess.Popen[str]) -> Ended:
    """Wait for a worker's end, which must be a good one."""
    ended = wait_ended(process)
    assert ended.code == ExitCode.DONE, ended
    return ended


def end_started() -> None:
    """End the workers that a test has left running, as one that fails does.

    Else they go on for ever, and call the operator of another test that gets the same port.
    """
    while _started:
        process = _started.pop()
        if process.poll() is None:
            process.kill()
            process.communicate()
