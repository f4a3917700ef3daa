"""What is on disk of a job: how it was started, whether somebody keeps it, how it has ended.

start.json   what is to be run
control      a pipe with a name. Who keeps the job has it open: if nobody does, nobody keeps it
begun        whoever made this file decides whether the command is run
end.json     how it has ended; there is one if, and only if, it has
output-…     what it has printed
"""

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

STOP = b"s"
"""What is written to `control` to have the command stopped."""

MARK = "BEC_SERVE_JOB"
"""The variable by which processes of a job are known that nobody keeps any more."""


@dataclass(frozen=True)
class Start:
    """What is to be run: `command` with the one argument `path`."""

    command: str
    path: str
    output_bytes: int
    grace: float


@dataclass(frozen=True)
class End:
    """How a job has ended. A negative code is the signal that ended the command.

    `stopped`: it was told to, before it had ended. `lost`: nobody has seen its end.
    """

    code: int
    stopped: bool = False
    lost: bool = False


class JobFolder:
    """The folder of one job."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._end = folder / "end.json"
        self._start = folder / "start.json"
        self._control = folder / "control"
        self._begun = folder / "begun"

    @classmethod
    def make(cls, folder: Path, start: Start) -> Self:
        """Make the folder of a job that is to be run."""
        folder.mkdir(mode=0o700)
        made = cls(folder)
        os.mkfifo(made._control, 0o600)
        _write(made._start, asdict(start))
        return made

    def start(self) -> Start:
        """Return what is to be run."""
        return Start(**json.loads(self._start.read_bytes()))

    def end(self) -> End | None:
        """Return how it has ended, None if it has not."""
        try:
            return End(**json.loads(self._end.read_bytes()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):  # the disk was full, or somebody has meddled
            return End(0, lost=True)

    def ended_at(self) -> float:
        """Return when it ended, in seconds since 1970; infinity if it has not."""
        with suppress(FileNotFoundError):
            return self._end.stat().st_mtime
        return float("inf")

    def write_end(self, end: End) -> None:
        """Note how it has ended."""
        _write(self._end, asdict(end))

    def open_control(self) -> int:
        """Keep the job, as long as what this returns is open; it is where STOP comes."""
        return os.open(self._control, os.O_RDWR)  # a reader alone would see an end at each writer's

    def begin(self) -> bool:
        """Decide whether the command is run: who is told True decides it, and only one is."""
        try:
            os.close(os.open(self._begun, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            return False
        return True

    def stop(self) -> bool:
        """Have the command stopped; False if nobody keeps it."""
        return self._tell(STOP)

    def is_kept(self) -> bool:
        """Whether somebody keeps the job."""
        return self._tell(b"")

    def _tell(self, what: bytes) -> bool:
        try:
            control = os.open(self._control, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # no reader
            return False
        try:
            with suppress(BlockingIOError):  # it has been told often enough
                os.write(control, what)
        finally:
            os.close(control)
        return True


def _write(file: Path, data: dict[str, object]) -> None:
    """Write a file at once or not at all."""
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps(data))
    partial.rename(file)
