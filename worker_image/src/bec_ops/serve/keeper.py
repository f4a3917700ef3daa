"""A program of its own: runs the command of one job, keeps its output, and notes how it ends.

    python -m bec_ops.serve.keeper FOLDER

It outlives the server that has started it. One line on stdout says whether the command runs.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from bec_ops.processes.family import Family, named
from bec_ops.serve.job_folder import MARK, End, JobFolder
from bec_ops.serve.kept_output import OutputWriter

RUNS = "runs"
"""What is said once the command runs; anything else is why it does not."""

_CHUNK = 64 * 1024
_PATIENCE = 5.0  # seconds for the last words of what cannot be killed
_AGAIN = 0.5  # seconds between two tries to note the end, on a disk that is full


class _TimeUpError(Exception):
    """It was told to stop, and its time is up."""


class Keeper:
    """Runs one command to the end of all its processes."""

    def __init__(self, job: JobFolder) -> None:
        self._job = job
        self._start = job.start()
        self._output = OutputWriter(job.folder, self._start.output_bytes)
        self._read, self._write = os.pipe()
        self._stopped_at: float | None = None
        self._ended = False  # of the command itself
        self._left_told: set[tuple[int, int]] = set()  # of what it has left behind: to end
        self._family = self._begin()

    def run(self, control: int) -> None:
        """See the command through to its end."""
        signal.signal(signal.SIGTERM, lambda *_: self._stop())
        os.close(self._write)
        pump = threading.Thread(target=self._pump, daemon=True)
        pump.start()
        threading.Thread(target=self._listen, args=(control,), daemon=True).start()
        code = self._family.wait()
        self._ended = True
        left = self._wait_for_left()
        self._family.kill()
        pump.join(_PATIENCE)
        if not pump.is_alive():
            self._output.write(left)
            self._output.close()
        self._note(End(code, stopped=self._stopped_at is not None))

    def _begin(self) -> Family:
        start = self._start
        return Family(
            lambda: subprocess.Popen(  # noqa: S603 - running what is allowed is what this is for
                [start.command, start.path],
                env={**os.environ, MARK: self._job.folder.name},
                stdin=subprocess.DEVNULL,
                stdout=self._write,
                stderr=self._write,
                process_group=0,
            )
        )

    def _stop(self) -> None:
        """Ask all of it to end, and end it when its time is up; the first word counts."""
        if self._stopped_at is not None:
            return
        self._stopped_at = time.monotonic()
        killer = threading.Timer(self._start.grace, self._kill)
        killer.daemon = True
        killer.start()
        if self._start.grace and not self._ended:
            self._family.signal(signal.SIGTERM)

    def _kill(self) -> None:
        """End the command; what is left of it then is seen to by who waits for that."""
        if self._ended:
            return
        self._family.signal(signal.SIGKILL)
        with suppress(ProcessLookupError):  # not Popen's kill, which may wait for it first
            os.kill(self._family.command.pid, signal.SIGKILL)  # it may have left its group

    def _wait_for_left(self) -> bytes:
        """Give processes that the command has left behind their time; tell of those that stay."""
        grace = self._start.grace
        try:
            left = self._family.wait_for_left(grace, self._check)
        except _TimeUpError:
            return b""
        if not left or self._stopped_at is not None:
            return b""
        said = (
            "\n[bec-worker: the command has ended and left processes behind, which are killed "
            f"{grace:g} s later: {named(left)}]\n"
        )
        return said.encode()

    def _check(self) -> None:
        if self._stopped_at is None:
            return
        self._tell_left()
        if time.monotonic() > self._stopped_at + self._start.grace:
            raise _TimeUpError

    def _tell_left(self) -> None:
        """Ask those to end, once each, who were in another group as the command's was asked."""
        for process in self._family.left():
            known = process.pid, process.started
            if known not in self._left_told:
                self._left_told.add(known)
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(process.pid, signal.SIGTERM)

    def _pump(self) -> None:
        while data := os.read(self._read, _CHUNK):
            self._output.write(data)

    def _listen(self, control: int) -> None:
        while os.read(control, 1):
            self._stop()

    def _note(self, end: End) -> None:
        """Note the end: it matters more than the output, which gives way on a full disk."""
        while True:
            try:
                self._job.write_end(end)
            except FileNotFoundError:  # somebody has removed the folder
                return
            except OSError:
                if not self._output.make_room():
                    time.sleep(_AGAIN)
            else:
                return


def main(folder: str) -> None:
    """Run the command of a job, unless somebody has decided that it is not."""
    job = JobFolder(Path(folder))
    control = job.open_control()
    if not job.begin():
        return
    try:
        keeper = Keeper(job)
    except OSError as error:
        _say(error.strerror or type(error).__name__)
        return
    _say(RUNS)
    keeper.run(control)


def _say(word: str) -> None:
    with suppress(OSError):  # the server has gone since
        os.write(sys.stdout.fileno(), f"{word}\n".encode())
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


if __name__ == "__main__":
    main(sys.argv[1])
