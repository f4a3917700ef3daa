"""Runs any program as the work on a volume: its output folder, its words, its exit code."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bec_ops.contract.errors import (
    MisconfiguredError,
    ProgramError,
    RetryableError,
    TerminalError,
)
from bec_ops.contract.exit_codes import ExitCode
from bec_ops.processes.family import Family, named
from bec_ops.program.progress_lines import follow, pass_on
from bec_ops.program.uploads import upload_folder
from bec_ops.runtime.attempt import Attempt

GRACE = 15.0
"""Seconds that a program gets to end after SIGTERM: half of what a pod has by default."""

_PATIENCE = 5.0  # seconds for the program's last words


@dataclass(frozen=True)
class Program:
    """A command, and how long its processes may take to end: when told to, or when it has ended."""

    command: tuple[str, ...]
    grace: float = GRACE

    def work(self, attempt: Attempt) -> None:
        """Run it on a volume, then upload its output folder."""
        folder = attempt.new_folder("output")
        progress_file = attempt.new_folder("progress") / "progress"
        family = Family(lambda: self._start(attempt, folder, progress_file))
        with self._watched(family, attempt, progress_file):
            code = family.wait()
            attempt.stop.check()
            if code:
                raise _failure(self.command[0], code)
            self._wait_for_left(family, attempt)
            attempt.stop.check()  # which may be why they ended, before they had written all
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
    def _watched(self, family: Family, attempt: Attempt, progress: Path) -> Iterator[None]:
        """Pass on what the program says, stop it when told to, and leave nothing of it behind."""
        command, meter = family.command, attempt.meter
        assert command.stdout is not None
        assert command.stderr is not None
        ended = threading.Event()
        threads = [
            threading.Thread(target=pass_on, args=(command.stdout, 1, meter), daemon=True),
            threading.Thread(target=pass_on, args=(command.stderr, 2, meter), daemon=True),
            threading.Thread(target=follow, args=(progress, ended, meter), daemon=True),
        ]
        for thread in threads:
            thread.start()
        killer = threading.Timer(self.grace, family.signal, (signal.SIGKILL,))
        killer.daemon = True

        def stop() -> None:
            if ended.is_set():
                return
            family.signal(signal.SIGTERM)
            killer.start()

        attempt.stop.on_request(stop)
        attempt.stop.on_hurry(lambda: None if ended.is_set() else family.signal(signal.SIGKILL))
        try:
            yield
        finally:
            ended.set()
            killer.cancel()
            family.kill()
            for thread in threads:
                thread.join(_PATIENCE)  # what cannot be killed may hold the pipe

    def _wait_for_left(self, family: Family, attempt: Attempt) -> None:
        """Let processes end that the program has left behind: what they write is not whole yet."""
        if left := family.wait_for_left(self.grace, attempt.stop.check):
            raise RetryableError(
                f"{self.command[0]} has ended and left processes behind that had not ended "
                f"{self.grace:g} s later: {named(left)}; let it wait for them, or end them, before "
                "it ends"
            )


def _failure(program: str, code: int) -> Exception:
    """Say why a program has failed; a negative code is the signal that ended it.

    What it says of its volume counts. Being interrupted, and a job that is set up wrongly, are
    nothing that a program of others can say in our name.
    """
    if code < 0:
        return RetryableError(f"{program} was ended by {signal.Signals(-code).name}")
    message = f"{program} ended with exit code {code}"
    if code == ExitCode.TERMINAL:
        return TerminalError(message)
    if code in {ExitCode.USAGE, ExitCode.MISCONFIGURED}:
        return ProgramError(f"{message}, which says that it is set up wrongly", code)
    return RetryableError(message)
