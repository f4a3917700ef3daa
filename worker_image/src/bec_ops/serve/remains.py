"""Processes of a job that nobody keeps any more: known by a variable of their environment."""

import logging
import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from bec_ops.processes.proc import Process, processes
from bec_ops.serve.job_folder import MARK

_DEADLY = 5.0  # seconds in which SIGKILL does its work, or never will
_LOOK = 0.01  # seconds between two looks

_logger = logging.getLogger(__name__)


def kill_remains(job_id: str) -> None:
    """Kill all that runs of a job; where the kernel lists no processes nothing is found."""
    deadline = time.monotonic() + _DEADLY
    while left := list(_remains(f"{MARK}={job_id}".encode())):
        if time.monotonic() > deadline:
            _logger.warning("job %s: cannot be killed: %s", job_id, ", ".join(map(str, left)))
            return
        for process in left:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(process.pid, signal.SIGKILL)
        time.sleep(_LOOK)


def _remains(mark: bytes) -> Iterator[Process]:
    for process in processes():
        if process.dead or process.pid == os.getpid():
            continue
        with suppress(OSError):  # it has gone since, or is somebody else's
            if mark in Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0"):
                yield process
