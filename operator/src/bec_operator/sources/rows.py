"""One line of a list, one volume: as comma-separated values, or as a JSON object.

A line that begins with a byte order mark is the first one of another file that was joined on.
"""

import csv
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from bec_operator.decide.volumes.volume_sites import SitedVolume
from bec_operator.sources.doubts import DoubtError, Doubts
from bec_operator.sources.garbled import garbled, no_row
from bec_operator.sources.headers import (
    EXPECTED,
    LAYOUTS,
    begins_like_heading,
    meant_column,
    named_columns,
    short,
)
from bec_operator.sources.text_lines import Line, ListError
from bec_operator.sources.unseen import BYTE_ORDER_MARK
from bec_ops.contract.volume import Volume

# Ids with a digit and nothing odd, as nearly all are: such a line needs no second look.
_ID = r"[A-Za-z_:.-]*+[0-9][A-Za-z0-9_:.-]*+"
_PLAIN = re.compile(rf"{_ID},{_ID}(?:,(?:{_ID})?){{0,2}}\r?")
_JSON_KEYS = {"w_id": "wId", "i_id": "iId", "i_version": "iVersion", "site": "site"}
_MAY_BE_NULL = {"iVersion", "site"}
JSON_EXPECTED = (
    'expected {"wId": "…", "iId": "…", "iVersion": "…"}, iVersion being optional, as is a site'
)
_KINDS: dict[type, str] = {
    dict: "an object",
    list: "a list",
    str: "a string",
    bool: "true or false",
    type(None): "null",
}

Row = tuple[int, Volume]


def csv_rows(lines: Iterable[Line], name: str) -> Iterator[Row]:
    """Yield volumes of lines of comma-separated values, by the header before them or by the layout.

    A header that stands again, as where files were joined, names the columns from there on.
    """
    columns: tuple[str, ...] = ()
    doubts = Doubts()
    for number, line in lines:
        if doubts.has_usual and _PLAIN.fullmatch(line) and not begins_like_heading(line):
            fields = line.rstrip().split(",")
        else:
            try:
                fields = _fields(line.removeprefix(BYTE_ORDER_MARK))
                header = named_columns(fields)
                if header is not None:
                    columns, doubts = header, Doubts()
                    continue
                _check_values(fields, line)
                is_first = not columns or line.startswith(BYTE_ORDER_MARK)
                if is_first:
                    columns = _begun(columns, fields)
                works = fields[columns.index("w_id") :][:1]  # none where columns are missing
                doubts.check(number, fields, "".join(works), is_first=is_first)
            except DoubtError as error:
                raise ListError(f"{name}, line {error.number}: {error}") from None
            except ValueError as error:
                raise ListError(f"{name}, line {number}: {error}") from None
        if len(fields) != len(columns):
            raise ListError(
                f"{name}, line {number}: {len(fields)} column(s); "
                f"expected {','.join(columns)} as before"
            )
        row = dict(zip(columns, fields, strict=True))
        w_id, source = row["w_id"], row.get("source", "")
        if w_id and source:
            w_id = f"{source}:{w_id}"
        volume = Volume(w_id, row["i_id"], row.get("i_version", ""))
        yield number, SitedVolume.at(volume, row.get("site", ""))


def _fields(line: str) -> list[str]:
    """Cut a line into its values; quotes and blanks around a value go."""
    if '"' not in line:
        return [field.strip() for field in line.split(",")]
    try:
        (fields,) = csv.reader([line], strict=True, skipinitialspace=True)
    except csv.Error as error:
        raise ValueError(f"{error}; {EXPECTED}") from None
    return [field.strip() for field in fields]


def _begun(before: tuple[str, ...], fields: list[str]) -> tuple[str, ...]:
    """Return the columns of a file whose first line names none."""
    layout = LAYOUTS.get(len(fields))
    if before and layout != before:
        raise ValueError(
            "a byte order mark: here begins another file, and it is not clear whether its columns "
            f"are {','.join(before)} as before; put a header line there, or take the mark out"
        )
    if layout is None:
        raise ValueError(f"{len(fields)} column(s); {EXPECTED}")
    return layout


def _check_values(fields: list[str], line: str) -> None:
    for said in (no_row(fields), *(garbled(field, line) for field in fields)):
        if said is not None:
            raise ValueError(said)


def json_rows(lines: Iterable[Line], name: str) -> Iterator[Row]:
    """Yield volumes of lines of JSON objects."""
    for number, line in lines:
        try:
            row: Any = JSON.decode(line.removeprefix(BYTE_ORDER_MARK))
            wrong = _json_fault(row)
        except RecursionError:
            wrong = "a value within a value, too deep"
        except json.JSONDecodeError as error:
            wrong = f"{error.msg.rstrip(': ')} at character {error.pos + 1}"
            if line.startswith("["):
                wrong += "; no brackets stand around the lines"
        except ValueError as error:
            wrong = str(error)
        if wrong:
            raise ListError(f"{name}, line {number}: {wrong}; {JSON_EXPECTED}")
        volume = Volume(row["wId"], row["iId"], row.get("iVersion") or "")
        yield number, SitedVolume.at(volume, row.get("site") or "")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of which each key stands there once; else it were two volumes in one."""
    row = dict(pairs)
    if len(row) < len(pairs):
        seen = set[str]()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {short(twice)} stands there twice")
    return row


# A number is refused, so none needs to be exact; an int of many digits were an error of its own.
JSON = json.JSONDecoder(object_pairs_hook=_once, parse_int=float)


def _json_fault(row: Any) -> str | None:
    """Say what keeps a JSON value from naming a volume, and nothing of what it holds."""
    if not isinstance(row, dict):
        return f"not an object, but {kind_of(row)}"
    unknown = row.keys() - _JSON_KEYS.values()
    if unknown:
        key = min(unknown)
        right = _JSON_KEYS.get(meant_column(key) or "")
        return f"unknown key {short(key)}" + (f", write {right} if that is meant" if right else "")
    missing = {"wId", "iId"} - row.keys()
    if missing:
        return f"{min(missing)} is missing"
    for key, value in row.items():
        if not isinstance(value, str) and not (key in _MAY_BE_NULL and value is None):
            return f"{key} must be a string, not {kind_of(value)}"
    return None


def kind_of(value: Any) -> str:
    """Say what kind of JSON value it is."""
    return _KINDS.get(type(value), "a number")
