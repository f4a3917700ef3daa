"""Lists of volumes as people write them: CSV or JSON Lines, gzipped or not.

A list is read as a whole or not at all: a line that is not understood would be a volume that is
never worked on, and nobody would know. What is no list is told at its first line that is none, and
without repeating what may be somebody's secret.
"""

from collections.abc import Iterable, Iterator
from itertools import chain

from bec_operator.decide.volumes.volume_list import VolumeList
from bec_operator.decide.volumes.volume_sites import SiteNotes
from bec_operator.sources.checking import Manner, Once, checked
from bec_operator.sources.garbled import is_sheet_error
from bec_operator.sources.headers import EXPECTED
from bec_operator.sources.rows import JSON_EXPECTED, csv_rows, json_rows
from bec_operator.sources.text_lines import Line, ListError, text_lines
from bec_operator.sources.unseen import BYTE_ORDER_MARK

MAX_VOLUMES = 1_000_000
"""Volumes of one list, where the operator is not set otherwise."""

_BYTES_A_VOLUME = 128  # its line, with room for comments
_LEAST_BYTES = 1024 * 1024
_LINES = Manner("line", "split the list into several jobs", "write each volume once")


def max_bytes(max_volumes: int) -> int:
    """Return how large a list may be, as it stands and unpacked."""
    return max(max_volumes * _BYTES_A_VOLUME, _LEAST_BYTES)


def parse_list(chunks: Iterable[bytes], name: str, max_volumes: int = MAX_VOLUMES) -> VolumeList:
    """Read a list of volumes, in its order.

    `name` is the list's file name or URI: it is part of every message, and the ending `.jsonl`
    or `.jsonl.gz` says that it is JSON Lines, as does a first line that begins with `{` or `[`.
    Blank lines and lines that begin with `#` are left out. Raises ListError.
    """
    lines = _kept(text_lines(chunks, name, max_bytes(max_volumes)), name)
    first = next(lines, (0, ""))
    begin = first[1].removeprefix(BYTE_ORDER_MARK).lstrip()
    is_json = name.endswith((".jsonl", ".jsonl.gz")) or begin.startswith(("{", "["))
    rows = (json_rows if is_json else csv_rows)(chain([first], lines) if first[0] else (), name)
    once, sites = Once(name, _LINES), SiteNotes()
    found = checked(rows, name, max_volumes, _LINES, sites)
    volumes = VolumeList.pack(once.noted(found)).sited(sites.all())
    if not volumes:
        raise ListError(f"{name} names no volume; {JSON_EXPECTED if is_json else EXPECTED}")
    once.check(volumes)
    return volumes


def _kept(lines: Iterable[Line], name: str) -> Iterator[Line]:
    """Yield the lines that are no comment and not blank, the first of each file with its mark.

    A file that was joined on has its byte order mark in the midst of the list.
    """
    mark = ""
    for number, line in lines:
        if line.startswith(BYTE_ORDER_MARK):
            mark = BYTE_ORDER_MARK
        text = line.lstrip(BYTE_ORDER_MARK) if mark else line
        begin = text.lstrip()
        if begin.startswith("#"):
            if is_sheet_error(begin):
                raise ListError(f"{name}, line {number}: it begins with an error of a spreadsheet")
        elif begin:
            yield number, mark + text
            mark = ""
