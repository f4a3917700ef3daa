"""What a program in any language says of its progress: `bec-progress 12/480 pages`."""

import re

from bec_ops.meter import DEFAULT_UNIT
from bec_ops.protocol import Progress

_LINE = re.compile(r"bec-progress[ \t]+(\d{1,12})(?:[ \t]*/[ \t]*(\d{1,12}))?(?:[ \t]+(\S{1,32}))?")


def parse_progress(line: str) -> Progress | None:
    """Read one line; None if it says nothing of progress. Total and unit may be left out."""
    found = _LINE.fullmatch(line.strip())
    if found is None:
        return None
    done, total, unit = found.groups()
    return Progress(
        done=int(done), total=None if total is None else int(total), unit=unit or DEFAULT_UNIT
    )
