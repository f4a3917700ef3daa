"""Values as PostgreSQL takes them all: what it would refuse is mended, or becomes NULL."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import orjson

Fields = Mapping[str, object]

_LONGEST = 4000  # characters of a text
_BIGGEST = 2**63 - 1
_LAST = 253_402_300_799  # of the year 9999, in seconds since 1970
# U+0000, and half a character: a message may quote anything.
_REFUSED = re.compile("[\0\ud800-\udfff]")
_NOUGHT = re.compile(r"((?<!\\)(?:\\\\)*)\\u0000")  # as JSON writes U+0000; \\u0000 is another text


def text(value: str) -> str:
    """Return a text of bounded length."""
    return value if len(value) <= _LONGEST else f"{value[: _LONGEST - 1]}…"


def whole(value: int | None) -> int | None:
    """Return a number from 0 that a column holds, or None."""
    return value if value is not None and 0 <= value <= _BIGGEST else None


def signed(value: int | None) -> int | None:
    """Return a number that a column holds, or None."""
    return value if value is not None and -_BIGGEST <= value <= _BIGGEST else None


def moment(value: str | None) -> datetime | None:
    """Return the moment that a text with a zone means, or None."""
    if not value:
        return None
    try:
        found = datetime.fromisoformat(value)
        return None if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def instant(seconds: float | None) -> datetime | None:
    """Return the moment so many seconds after 1970, or None."""
    if seconds is None or not 0 <= seconds <= _LAST:
        return None
    return datetime.fromtimestamp(seconds, UTC)


def can_be_key(value: str) -> bool:
    """Return whether an id can stand in a table as it is; to mend it would make it another one."""
    return _REFUSED.search(value) is None


def mended(value: str) -> str:
    """Return a text without the characters that are refused."""
    return _REFUSED.sub("\ufffd", value)


def document(told: str | None) -> orjson.Fragment | None:
    """Return a JSON text as a column of JSON takes it: as it is, but for U+0000."""
    return None if told is None else orjson.Fragment(_NOUGHT.sub(r"\1\\ufffd", told))


def as_json(rows: Sequence[Fields]) -> str:
    """Return rows as one JSON text that PostgreSQL can read."""
    try:
        told = orjson.dumps(rows)
    except orjson.JSONEncodeError:  # half a character
        told = b"\\u0000"
    if b"\\u0000" in told:
        told = orjson.dumps([{k: _mended(v) for k, v in row.items()} for row in rows])
    return told.decode()


def _mended(value: object) -> object:
    return mended(value) if isinstance(value, str) else value
