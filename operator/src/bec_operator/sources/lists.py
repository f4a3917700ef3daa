"""Lists of volumes as people write them: CSV or JSON Lines, gzipped or not.

A list is read as a whole or not at all: a line that is not understood would be a volume that is
never worked on, and nobody would know.
"""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

from bec_ops.volume import Volume, check_volume

MAX_UNPACKED_BYTES = 256 * 1024 * 1024
"""Upper limit of a gzipped list once unpacked."""

_LAYOUTS = {
    2: ("w_id", "i_id"),
    3: ("w_id", "i_id", "i_version"),
    4: ("w_id", "i_id", "source", "i_version"),
}
_EXPECTED = (
    "expected w_id,i_id or w_id,i_id,i_version or w_id,i_id,source,i_version, "
    "or a header line that names the columns"
)
_JSON_KEYS = {"wId", "iId", "iVersion"}
_JSON_EXPECTED = 'expected {"wId": "…", "iId": "…", "iVersion": "…"}, iVersion being optional'

_Line = tuple[int, str]


class ListError(ValueError):
    """A list that cannot be used; the message has the list's name and the line's number."""


def parse_list(data: bytes, name: str) -> list[Volume]:
    """Read a list of volumes, in its order.

    `name` is the list's file name or URI: it is part of every message, and the ending `.jsonl`
    or `.jsonl.gz` says that it is JSON Lines, as does a first line that begins with `{`. Blank
    lines and lines that begin with `#` are left out. Raises ListError.
    """
    lines = [
        (number, line)
        for number, line in enumerate(_text(data, name).split("\n"), start=1)
        if (start := line.lstrip()[:1]) and start != "#"
    ]
    is_json = name.endswith((".jsonl", ".jsonl.gz")) or _begins_with_brace(lines)
    rows = _json_rows(lines, name) if is_json else _csv_rows(lines, name)
    seen: dict[Volume, int] = {}
    for number, volume in rows:
        try:
            check_volume(volume)
        except ValueError as error:
            raise ListError(f"{name}, line {number}: {error}") from None
        first = seen.setdefault(volume, number)
        if first != number:
            raise ListError(
                f"{name}, line {number}: the volume {volume} stands in line {first} already; "
                "write each volume once"
            )
    if not seen:
        raise ListError(f"{name} names no volume; {_JSON_EXPECTED if is_json else _EXPECTED}")
    return list(seen)


def _begins_with_brace(lines: Sequence[_Line]) -> bool:
    return bool(lines) and lines[0][1].lstrip().startswith("{")


def _text(data: bytes, name: str) -> str:
    """Unpack where needed, and decode."""
    if data.startswith(b"\x1f\x8b"):
        try:
            with gzip.open(io.BytesIO(data)) as file:
                data = file.read(MAX_UNPACKED_BYTES + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise ListError(f"{name} begins like gzip, but cannot be unpacked: {error}") from None
        if len(data) > MAX_UNPACKED_BYTES:
            raise ListError(
                f"{name} is larger than {MAX_UNPACKED_BYTES // 2**20} MiB when unpacked; "
                "split it into several jobs"
            )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        raise ListError(f"{name}, line {number}: not text in UTF-8 ({error.reason})") from None
    if "\0" in text:
        number = text.count("\n", 0, text.index("\0")) + 1
        raise ListError(f"{name}, line {number}: not text (a zero byte); {_EXPECTED}")
    return text


def _csv_rows(lines: Sequence[_Line], name: str) -> Iterator[tuple[int, Volume]]:
    """Read volumes from lines of comma-separated values, by the first line's columns."""
    columns: tuple[str, ...] = ()
    for number, fields in _csv_fields(lines, name):
        if not columns:
            header = tuple(field.lower() for field in fields)
            if {"w_id", "i_id"} <= set(header):
                columns = _header(header, number, name)
                continue
            columns = _LAYOUTS.get(len(fields), ())
        if len(fields) != len(columns):
            expected = f"expected {','.join(columns)} as before" if columns else _EXPECTED
            raise ListError(f"{name}, line {number}: {len(fields)} column(s); {expected}")
        row = dict(zip(columns, fields, strict=True))
        source = row.get("source", "")
        w_id = f"{source}:{row['w_id']}" if source else row["w_id"]
        yield number, Volume(w_id, row["i_id"], row.get("i_version", ""))


def _csv_fields(lines: Sequence[_Line], name: str) -> Iterator[tuple[int, list[str]]]:
    """Cut each line into its values; quotes and blanks around a value go."""
    reader = csv.reader((line for _, line in lines), strict=True, skipinitialspace=True)
    for position, (number, _) in enumerate(lines, start=1):
        try:
            fields = next(reader)
        except csv.Error as error:
            raise ListError(f"{name}, line {number}: {error}; {_EXPECTED}") from None
        if reader.line_num != position:
            raise ListError(f"{name}, line {number}: a quote is not closed; {_EXPECTED}")
        yield number, [field.strip() for field in fields]


def _header(header: tuple[str, ...], number: int, name: str) -> tuple[str, ...]:
    """Check the columns that a header line names."""
    known = _LAYOUTS[4]
    wrong = [column for column in header if column not in known or header.count(column) > 1]
    if wrong:
        raise ListError(
            f"{name}, line {number}: the header has the column {wrong[0]!r} which is unknown or "
            f"there twice; columns are {', '.join(known)}"
        )
    return header


def _json_rows(lines: Sequence[_Line], name: str) -> Iterator[tuple[int, Volume]]:
    """Read volumes from lines of JSON objects."""
    for number, line in lines:
        try:
            row: Any = json.loads(line)
        except ValueError as error:
            raise ListError(f"{name}, line {number}: {error}; {_JSON_EXPECTED}") from None
        wrong = _json_fault(row)
        if wrong:
            raise ListError(f"{name}, line {number}: {wrong}; {_JSON_EXPECTED}")
        yield number, Volume(row["wId"], row["iId"], row.get("iVersion") or "")


def _json_fault(row: Any) -> str | None:
    """Say what keeps a JSON value from naming a volume."""
    if not isinstance(row, dict):
        return f"not an object: {repr(row)[:80]}"
    unknown = row.keys() - _JSON_KEYS
    if unknown:
        return f"unknown key {min(unknown)!r}"
    missing = {"wId", "iId"} - row.keys()
    if missing:
        return f"{min(missing)} is missing"
    for key, value in row.items():
        if not isinstance(value, str) and not (key == "iVersion" and value is None):
            return f"{key} must be a string, not {repr(value)[:80]}"
    return None
