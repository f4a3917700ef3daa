"""One line of a list, one volume: as comma-separated values, or as a JSON object."""

import csv
import json
from collections.abc import Iterable, Iterator
from typing import Any

from bec_operator.sources.text_lines import Line, ListError
from bec_ops.volume import Volume

_LAYOUTS = {
    2: ("w_id", "i_id"),
    3: ("w_id", "i_id", "i_version"),
    4: ("w_id", "i_id", "source", "i_version"),
}
_COLUMNS = _LAYOUTS[4]
EXPECTED = (
    "expected w_id,i_id or w_id,i_id,i_version or w_id,i_id,source,i_version, "
    "or a header line that names the columns"
)
_JSON_KEYS = {"wId", "iId", "iVersion"}
_AS_IN_JSON = {"wid": "w_id", "iid": "i_id", "iversion": "i_version"}
JSON_EXPECTED = 'expected {"wId": "…", "iId": "…", "iVersion": "…"}, iVersion being optional'

# What people call columns of such lists, without `_`, `-` and blanks.
_HEADINGS = {
    *("wid", "iid", "iversion", "version", "source", "id", "name"),
    *("work", "workid", "volume", "volumeid", "vol", "item", "itemid", "instance", "instanceid"),
    *("imagegroup", "imagegroupid", "imageinstance", "imageinstanceid"),
}
_SAID_AT_MOST = 40  # characters of what stands there
_KINDS: dict[type, str] = {
    dict: "an object",
    list: "a list",
    str: "a string",
    bool: "true or false",
    type(None): "null",
}

Row = tuple[int, Volume]


def csv_rows(lines: Iterable[Line], name: str) -> Iterator[Row]:
    """Yield volumes of lines of comma-separated values, by the columns of the first line."""
    columns: tuple[str, ...] = ()
    for number, line in lines:
        fields = _fields(line, number, name)
        if not columns:
            header = _names(fields)
            if {"w_id", "i_id"} <= set(header):
                columns = _header(header, number, name)
                continue
            columns = _layout(fields, number, name)
        elif _column(fields[0]) in _COLUMNS and {"w_id", "i_id"} <= set(_names(fields)):
            raise ListError(
                f"{name}, line {number}: here stands a header again, as where files were joined; "
                "leave it out"
            )
        if len(fields) != len(columns):
            raise ListError(
                f"{name}, line {number}: {len(fields)} column(s); "
                f"expected {','.join(columns)} as before"
            )
        row = dict(zip(columns, fields, strict=True))
        source = row.get("source", "")
        w_id = f"{source}:{row['w_id']}" if source else row["w_id"]
        yield number, Volume(w_id, row["i_id"], row.get("i_version", ""))


def _fields(line: str, number: int, name: str) -> list[str]:
    """Cut a line into its values; quotes and blanks around a value go."""
    if '"' not in line:
        return [field.strip() for field in line.split(",")]
    try:
        (fields,) = csv.reader([line], strict=True, skipinitialspace=True)
    except csv.Error as error:
        raise ListError(f"{name}, line {number}: {error}; {EXPECTED}") from None
    return [field.strip() for field in fields]


def _names(fields: list[str]) -> tuple[str, ...]:
    return tuple(map(_column, fields))


def _column(field: str) -> str:
    """Return the column that a field of a header names, be it as in JSON Lines."""
    low = field.lower()
    return _AS_IN_JSON.get(low, low)


def _header(header: tuple[str, ...], number: int, name: str) -> tuple[str, ...]:
    """Check the columns that a header line names."""
    wrong = [column for column in header if column not in _COLUMNS or header.count(column) > 1]
    if wrong:
        raise ListError(
            f"{name}, line {number}: the header has the column {_short(wrong[0])} which is "
            f"unknown or there twice; columns are {', '.join(_COLUMNS)}"
        )
    return header


def _layout(fields: list[str], number: int, name: str) -> tuple[str, ...]:
    """Return the columns of a list whose first line names none."""
    plain = [field.lower().translate({ord(char): None for char in "_- "}) for field in fields]
    if all(field in _HEADINGS for field in plain):
        raise ListError(
            f"{name}, line {number}: this looks like a header, and {_short(fields[0])} is no "
            f"column; name the columns {', '.join(_COLUMNS)}, or leave it out"
        )
    if len(fields) not in _LAYOUTS:
        raise ListError(f"{name}, line {number}: {len(fields)} column(s); {EXPECTED}")
    return _LAYOUTS[len(fields)]


def json_rows(lines: Iterable[Line], name: str) -> Iterator[Row]:
    """Yield volumes of lines of JSON objects."""
    for number, line in lines:
        try:
            row: Any = json.loads(line)
        except RecursionError:
            raise ListError(
                f"{name}, line {number}: a value within a value, too deep; {JSON_EXPECTED}"
            ) from None
        except ValueError as error:
            raise ListError(f"{name}, line {number}: {error}; {JSON_EXPECTED}") from None
        wrong = _json_fault(row)
        if wrong:
            raise ListError(f"{name}, line {number}: {wrong}; {JSON_EXPECTED}")
        yield number, Volume(row["wId"], row["iId"], row.get("iVersion") or "")


def _json_fault(row: Any) -> str | None:
    """Say what keeps a JSON value from naming a volume, and nothing of what it holds."""
    if not isinstance(row, dict):
        return f"not an object, but {_kind(row)}"
    unknown = row.keys() - _JSON_KEYS
    if unknown:
        return f"unknown key {_short(min(unknown))}"
    missing = {"wId", "iId"} - row.keys()
    if missing:
        return f"{min(missing)} is missing"
    for key, value in row.items():
        if not isinstance(value, str) and not (key == "iVersion" and value is None):
            return f"{key} must be a string, not {_kind(value)}"
    return None


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), "a number")


def _short(text: str) -> str:
    return repr(text) if len(text) <= _SAID_AT_MOST else f"{text[:_SAID_AT_MOST]!r}…"
