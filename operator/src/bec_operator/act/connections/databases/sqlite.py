"""SQLite: a file that the operator's pod has, opened for reading."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bec_operator.act.connections.databases.database import (
    CONNECT_SECONDS,
    Fault,
    Opened,
    Told,
    of_python,
    one_line,
)
from bec_operator.act.connections.databases.places import by_colon
from bec_operator.act.connections.databases.urls import UrlError, parsed

# Its codes: an error in the query, text where a number must be, a write, too large, out of range.
_OF_QUERY = {1, 8, 18, 20, 25}
_LOCKED = {5, 6}
_INTERRUPTED = 9
_MOST = 1024 * 1024  # bytes of a value; the query may be written by anybody


class Sqlite:
    """Has no server, no roles and no certificate."""

    rows_at_once = 16  # each of which may have a megabyte
    place = staticmethod(by_colon)

    def open(self, url: str, authority: Path | None) -> Opened:
        """Open the file, which is there already."""
        import sqlite3  # noqa: PLC0415 - who asks no database does not pay for it

        del authority
        path = parsed(url).database
        if not path or path == ":memory:":
            raise UrlError("it names no file; write sqlite:////folder/file")
        raw = sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True, timeout=CONNECT_SECONDS)
        raw.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MOST)

        def cut() -> None:
            with suppress(sqlite3.Error):  # it is closed
                raw.interrupt()

        return Opened(raw, cut, raw.close)

    def cursor(self, raw: Any) -> Any:
        """Return a cursor, which reads as it is fetched from."""
        return raw.cursor()

    def begin(self, seconds: float) -> Sequence[str]:
        """Refuse to write; a query that takes too long is interrupted from outside."""
        del seconds
        return ("PRAGMA query_only = ON",)

    def not_opened(self, error: Exception) -> Told:
        """Say why it could not be opened."""
        return Told(Fault.AWAY, one_line(str(error)))

    def told(self, error: Exception) -> Told:
        """Say what an error means, by its code; an extended code has more in its upper bytes."""
        import sqlite3  # noqa: PLC0415

        if not isinstance(error, sqlite3.Error):
            return of_python(error)
        said, extended = one_line(str(error)), getattr(error, "sqlite_errorcode", None)
        code = extended & 0xFF if isinstance(extended, int) else None
        if code is None or code in _OF_QUERY:  # without one it is Python's: no text, two queries
            return Told(Fault.QUERY, said)
        if code == _INTERRUPTED:
            return Told(Fault.LATE, said)
        return Told(Fault.LOCKED if code in _LOCKED else Fault.AWAY, said)
