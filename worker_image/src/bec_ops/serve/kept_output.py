"""The output of a command on disk: no more than so many bytes of it, the oldest are cut.

It lies in pieces, files that are named after the place of their first byte in the whole output.
Whoever reads holds no file open: a piece that is cut gives its room back at once, however slow the
readers are.
"""

import os
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PIECES = 8
"""What is kept at most lies in so many files: an eighth is cut at a time."""

_NAME = "output-"
_CHUNK = 32 * 1024  # what one message of a stream carries


class OutputWriter:
    """Appends to the output, and cuts its oldest pieces. There is one for each job."""

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder = folder
        self._most = max(limit // PIECES, 1)  # bytes of a piece
        self._pieces: deque[Path] = deque()
        self._written = 0  # of the whole output
        self._room = 0  # in the newest piece
        self._file = -1

    def write(self, data: bytes) -> None:
        """Append; where the disk is full the oldest pieces go first, and then what is new."""
        while data:
            try:
                if not self._room:
                    self._open_next()
                count = os.write(self._file, data[: self._room])
            except OSError:
                if not self.make_room():
                    self._skip(len(data))
                    return
                continue
            data = data[count:]
            self._written += count
            self._room -= count

    def make_room(self) -> bool:
        """Cut the oldest piece; False if there is none but the newest."""
        if len(self._pieces) < 2:
            return False
        self._pieces.popleft().unlink(missing_ok=True)
        return True

    def close(self) -> None:
        """Write no more."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        self._room = 0

    def _open_next(self) -> None:
        self.close()
        while len(self._pieces) >= PIECES:
            self.make_room()
        piece = self._folder / f"{_NAME}{self._written:020d}"
        self._file = os.open(piece, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._pieces.append(piece)
        self._room = self._most

    def _skip(self, count: int) -> None:
        """Leave a gap: what comes next begins a piece of its own, behind it."""
        self.close()
        self._written += count


@dataclass(frozen=True)
class Read:
    """What one look at the output has found: so many bytes that are cut, then these."""

    cut: int
    data: bytes


class OutputReader:
    """Reads the output from its beginning, or from the oldest that is left, while it grows."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._place = 0

    def read(self) -> Read:
        """Return the next few bytes, or how many are missing; neither if nothing is there yet."""
        starts = self._starts()
        begun = [start for start in starts if start <= self._place]
        data = self._read_from(begun[-1]) if begun else b""
        if data:
            self._place += len(data)
            return Read(0, data)
        # Listed before that look: a piece that another one follows had all that it will ever have.
        later = [start for start in starts if start > self._place]
        if not later:
            return Read(0, b"")
        cut = later[0] - self._place
        self._place = later[0]
        return Read(cut, b"")

    def _read_from(self, start: int) -> bytes:
        with (
            suppress(FileNotFoundError),
            (self._folder / f"{_NAME}{start:020d}").open("rb") as file,
        ):
            file.seek(self._place - start)
            return file.read(_CHUNK)
        return b""

    def _starts(self) -> list[int]:
        with suppress(FileNotFoundError):
            names = [entry.name for entry in self._folder.iterdir()]
            return sorted(int(name[len(_NAME) :]) for name in names if name.startswith(_NAME))
        return []
