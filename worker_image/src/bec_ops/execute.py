"""Runs any program as the work on a volume: its output folder, its words, its exit code."""

import logging
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from bec_ops.attempt import Attempt
from bec_ops.errors import (
    Failure,
    Interrupted,
    MisconfiguredError,
    RetryableError,
    TerminalError,
)
from bec_ops.marker import MARKER_NAME
from bec_ops.progress_lines import parse_progress
from bec_ops.tee import write_all

GRACE = 15.0
"""Seconds that a program gets to end after SIGTERM: half of what a pod has by default."""

_UPLOADS = 8  # at once
_LOOK_EVERY = 1.0  # seconds, for the progress file
_PATIENCE = 5.0  # seconds for the program's last words
_LINE_BYTES = 4096  # longer ones are no progress

_ERRORS = {
    "Terminal": TerminalError,
    "Misconfigured": MisconfiguredError,
}
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Program:
    """A command, and how long its processes may take to end when they are told to."""

    command: tuple[str, ...]
    grace: float = GRACE

    def work(self, attempt: Attempt) -> None:
        """Run it on a volume, then upload its output folder."""
        folder = attempt.new_folder("output")
        progress_file = attempt.new_folder("progress") / "progress"
        child = self._start(attempt, folder, progress_file)
        with self._watched(child, attempt, progress_file):
            code = child.wait()
        attempt.stop.check()
        if code:
            raise _failure(self.command[0], code)
        upload_folder(attempt, folder)

    def _start(self, attempt: Attempt, folder: Path, progress: Path) -> subprocess.Popen[bytes]:
        own = {"BEC_OUTPUT_DIR": str(folder), "BEC_PROGRESS_FILE": str(progress)}
        try:
            return subprocess.Popen(  # noqa: S603 - running what it is given is what this is for
                self.command,
                env={**os.environ, **attempt.task.environment(), **own},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                process_group=0,
            )
        except OSError as error:
            raise MisconfiguredError(
                f"{self.command[0]!r} cannot be run: {error.strerror}; see that it is in the image "
                "and executable"
            ) from None

    @contextmanager
    def _watched(
        self, child: subprocess.Popen[bytes], attempt: Attempt, progress: Path
    ) -> Iterator[None]:
        """Pass on what the program says, and stop it when told to."""
        ended = threading.Event()
        threads = [
            threading.Thread(target=_pass_on, args=(child.stdout, 1, attempt), daemon=True),
            threading.Thread(target=_pass_on, args=(child.stderr, 2, attempt), daemon=True),
            threading.Thread(target=_follow, args=(progress, ended, attempt), daemon=True),
        ]
        for thread in threads:
            thread.start()
        killer = threading.Timer(self.grace, _signal_group, (child.pid, signal.SIGKILL))
        killer.daemon = True

        def stop() -> None:
            if ended.is_set():
                return
            _signal_group(child.pid, signal.SIGTERM)
            killer.start()

        attempt.stop.on_request(stop)
        try:
            yield
        finally:
            ended.set()
            killer.cancel()
            _signal_group(child.pid, signal.SIGKILL)  # what it has left behind
            for thread in threads:
                thread.join(_PATIENCE)  # a process that has left the group may hold the pipe


def upload_folder(attempt: Attempt, folder: Path) -> None:
    """Upload all files of a folder, by their paths in it; raises the first error."""
    files = _files_in(folder)
    if MARKER_NAME in files:
        raise MisconfiguredError(
            f"the program has written {MARKER_NAME} into its output folder: leave it out, it is "
            "written for you, last of all"
        )
    with ThreadPoolExecutor(_UPLOADS) as pool:
        done = [pool.submit(attempt.output.upload, name, file) for name, file in files.items()]
        try:
            for future in done:
                future.result()
                attempt.meter.note_activity()
                attempt.stop.check()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _files_in(folder: Path) -> dict[str, Path]:
    """Return the files by their names as artefacts; nothing that is there may be left out."""
    found: dict[str, Path] = {}
    for path, folders, files in os.walk(folder):
        for name in (*folders, *files):
            file = Path(path) / name
            if file.is_file():
                found[str(file.relative_to(folder))] = file
            elif name in files or file.is_symlink():
                raise MisconfiguredError(
                    f"{file} is neither a file nor a folder: write copies, no links to folders"
                )
    return found


def _failure(program: str, code: int) -> Exception | Interrupted:
    """Say why a program has failed; a negative code is the signal that ended it."""
    if code < 0:
        return RetryableError(f"{program} was ended by {signal.Signals(-code).name}")
    failure = Failure.of_exit(code, program)
    if failure.failure == "Interrupted":
        return Interrupted(failure.message)
    return _ERRORS.get(failure.failure, RetryableError)(failure.message)


def _pass_on(source: IO[bytes], target: int, attempt: Attempt) -> None:
    """Copy a program's words as they come; each is a sign that it works."""
    line = b""
    while data := source.read1(65536):  # type: ignore[attr-defined]
        attempt.meter.note_activity()
        write_all(target, data)
        *lines, line = (line + data).split(b"\n")
        line = line[-_LINE_BYTES:]
        for complete in lines:
            _note_progress(attempt, complete)


def _follow(file: Path, ended: threading.Event, attempt: Attempt) -> None:
    """Look at the progress file while the program runs; its last line counts."""
    seen = b""
    over = False
    while not over:
        over = ended.wait(_LOOK_EVERY)  # and one look after the end
        content = file.read_bytes() if file.exists() else b""
        if content != seen:
            seen = content
            _note_progress(attempt, content.strip().rpartition(b"\n")[2])


def _note_progress(attempt: Attempt, line: bytes) -> None:
    text = line.decode(errors="replace").strip()
    progress = parse_progress(text)
    if progress is not None:
        attempt.meter.show(progress)


def _signal_group(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        _logger.debug("no process is left in group %d", group)
