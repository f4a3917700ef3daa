"""Lists of volumes as people write them: CSV or JSON Lines, gzipped or not.

A list is read as a whole or not at all: a line that is not understood would be a volume that is
never worked on, and nobody would know. What is no list is told at its first line that is none, and
without repeating what may be somebody's secret.
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain

from bec_operator.decide.volumes.volume_list import VolumeList, row_of
from bec_operator.sources.garbled import is_sheet_error
from bec_operator.sources.headers import EXPECTED
from bec_operator.sources.rows import JSON_EXPECTED, Row, csv_rows, json_rows
from bec_operator.sources.text_lines import Line, ListError, text_lines
from bec_operator.sources.unseen import BYTE_ORDER_MARK, unseen
from bec_ops.contract.volume import check_volume

MAX_VOLUMES = 1_000_000
"""Volumes of one list, where the operator is not set otherwise."""

_BYTES_A_VOLUME = 128  # its line, with room for comments
_LEAST_BYTES = 1024 * 1024


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
    once = _Once(name)
    volumes = VolumeList.pack(once.noted(_checked(rows, name, max_volumes)))
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


def _checked(rows: Iterable[Row], name: str, max_volumes: int) -> Iterator[tuple[int, str]]:
    """Yield the lines' numbers and what is kept of their volumes."""
    for count, (number, volume) in enumerate(rows):
        if count == max_volumes:
            raise ListError(
                f"{name}, line {number}: more than {max_volumes:,} volumes; split the list into "
                "several jobs, or have maxVolumes of the operator's chart raised"
            )
        try:
            check_volume(volume)
        except ValueError as error:
            raise ListError(f"{name}, line {number}: {error}") from None
        row = row_of(volume)
        if (" " in row or not row.isascii()) and (said := unseen(volume)):
            raise ListError(f"{name}, line {number}: {said}")
        yield number, row


class _Once:
    """Finds a volume that is there twice, at eight bytes a volume: only hashes are kept.

    Where two are alike, the volumes themselves are compared. In buckets, so that no step is long.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._hashes = [array("q") for _ in range(64)]
        self._numbers = array("L")

    def noted(self, rows: Iterable[tuple[int, str]]) -> Iterator[str]:
        """Pass on what is kept of the volumes, having noted it."""
        for number, row in rows:
            hashed = hash(row)
            self._hashes[hashed & 63].append(hashed)
            self._numbers.append(number)
            yield row

    def check(self, volumes: VolumeList) -> None:
        """Refuse a list that has a volume twice, by both lines."""
        twice = {
            hashed
            for bucket in self._hashes
            if len(set(bucket)) < len(bucket)
            for hashed, count in Counter(bucket).items()
            if count > 1
        }
        seen: dict[str, int] = {}
        for number, packed in zip(self._numbers, volumes.rows() if twice else (), strict=False):
            row = packed.decode()
            if hash(row) in twice and (first := seen.setdefault(row, number)) != number:
                volume = volumes[self._numbers.index(number)]
                raise ListError(
                    f"{self._name}, line {number}: the volume {volume} stands in line {first} "
                    "already; write each volume once"
                )
