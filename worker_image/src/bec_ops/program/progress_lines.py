"""What a program in any language says of its progress: `bec-progress 12/480 pages`."""

import re
import threading
from pathlib import Path
from typing import IO

from bec_ops.contract.protocol import Progress
from bec_ops.link.meter import DEFAULT_UNIT, Meter
from bec_ops.processes.tee import write_all

_LOOK_EVERY = 1.0  # seconds, for the progress file
_LINE_BYTES = 4096  # longer ones are no progress
_CHUNK = 65536
_LINE = re.compile(r"bec-progress[ \t]+(\d{1,12})(?:[ \t]*/[ \t]*(\d{1,12}))?(?:[ \t]+(\S{1,32}))?")
# A bar at a terminal goes back to the begin of its line, and leaves it only at the end.
_END_OF_LINE = re.compile(rb"[\r\n]")


def parse_progress(line: str) -> Progress | None:
    """Read one line; None if it says nothing of progress. Total and unit may be left out."""
    found = _LINE.fullmatch(line.strip())
    if found is None:
        return None
    done, total, unit = found.groups()
    return Progress(
        done=int(done), total=None if total is None else int(total), unit=unit or DEFAULT_UNIT
    )


def pass_on(source: IO[bytes], target: int, meter: Meter) -> None:
    """Copy a program's words as they come; each is a sign that it works."""
    line = b""
    while data := source.read1(_CHUNK):  # type: ignore[attr-defined]
        meter.note_activity()
        write_all(target, data)
        *lines, line = _END_OF_LINE.split(line + data)
        line = line[-_LINE_BYTES:]
        for complete in lines:
            _note(meter, complete)
    _note(meter, line)


def follow(file: Path, ended: threading.Event, meter: Meter) -> None:
    """Look at a progress file while the program runs; its last line counts."""
    seen = b""
    over = False
    while not over:
        over = ended.wait(_LOOK_EVERY)  # and one look after the end
        line = _last_line(file)
        if line != seen:
            seen = line
            _note(meter, line)


def _last_line(file: Path) -> bytes:
    """Return the last line of a file that grows; nothing if there is none, or none that is read."""
    try:
        if not file.is_file():
            return b""
        with file.open("rb") as source:
            source.seek(max(file.stat().st_size - _LINE_BYTES, 0))
            return _END_OF_LINE.split(source.read(_LINE_BYTES).strip())[-1]
    except OSError:
        return b""


def _note(meter: Meter, line: bytes) -> None:
    progress = parse_progress(line.decode(errors="replace"))
    if progress is not None:
        meter.show(progress)
