"""Reports that wait for the operator, in SQLite: in order, and across a restart of the process."""

import json
import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bec_ops.link.operator_client import RefusedError, UnreachableError

NAME = "spool.sqlite"
"""The file's name in the worker's folder."""

_PAUSE = 0.5  # seconds between two tries
_LOCK_SECONDS = 0.5  # for another process of the pod
_TABLE = (
    "CREATE TABLE IF NOT EXISTS reports"
    " (number INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, fields TEXT NOT NULL)"
)
_logger = logging.getLogger(__name__)

Send = Callable[[str, dict[str, Any]], None]


class Spool:
    """A queue of reports. A file that cannot be used is no reason to stop: memory does as well.

    `file` is None where nothing has to outlive the process.
    """

    def __init__(self, file: Path | None) -> None:
        self._lock = threading.Lock()
        self._database = _open(file)

    def add(self, kind: str, fields: dict[str, Any]) -> None:
        """Put a report at the end."""
        row = (kind, json.dumps(fields))
        with self._lock:
            try:
                self._insert(row)
            except sqlite3.Error as error:
                _logger.warning("the spool cannot be written (%s): it is kept in memory", error)
                waiting = self._rows_or_none()
                self._database = _open(None)
                for old in waiting:
                    self._insert(old)
                self._insert(row)

    def deliver(self, send: Send, seconds: float = 0.0) -> bool:
        """Send what waits, in order, trying for at most so many seconds; True if nothing is left.

        A report that the operator will never take is dropped, with a warning. If another process
        of the pod has taken over, it is its turn: raises the RefusedError that says so.
        """
        deadline = time.monotonic() + seconds
        while not self._try(send):
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(_PAUSE, left))
        return True

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._database.close()

    def _try(self, send: Send) -> bool:
        try:
            return self._deliver_once(send)
        except sqlite3.Error as error:
            _logger.warning("the spool cannot be used: %s", error)
            return False

    def _deliver_once(self, send: Send) -> bool:
        with self._lock:
            rows = self._database.execute(
                "SELECT number, kind, fields FROM reports ORDER BY number"
            ).fetchall()
        for number, kind, fields in rows:
            try:
                send(kind, json.loads(fields))
            except UnreachableError:
                return False
            except RefusedError as refusal:
                if refusal.error == "StaleSession":
                    raise
                if refusal.may_pass:
                    return False
                _logger.warning("the operator does not take the report %r: %s", kind, refusal)
            with self._lock, self._database:
                self._database.execute("DELETE FROM reports WHERE number = ?", (number,))
        return True

    def _insert(self, row: tuple[str, str]) -> None:
        with self._database:
            self._database.execute("INSERT INTO reports (kind, fields) VALUES (?, ?)", row)

    def _rows_or_none(self) -> list[tuple[str, str]]:
        try:
            return self._database.execute(
                "SELECT kind, fields FROM reports ORDER BY number"
            ).fetchall()
        except sqlite3.Error:
            return []


def _open(file: Path | None) -> sqlite3.Connection:
    """Open the queue; one that is broken is put aside, and a new one begun."""
    if file is None:
        return _connect(":memory:")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            return _connect(str(file))
        except sqlite3.DatabaseError as error:
            aside = file.with_suffix(".broken")
            _logger.warning("%s is broken (%s): put aside as %s", file, error, aside.name)
            file.replace(aside)
            return _connect(str(file))
    except (OSError, sqlite3.Error) as error:
        _logger.warning("%s cannot be used (%s): reports are kept in memory", file, error)
        return _connect(":memory:")


def _connect(name: str) -> sqlite3.Connection:
    database = sqlite3.connect(name, timeout=_LOCK_SECONDS, check_same_thread=False)
    try:
        with database:
            database.execute(_TABLE)
        database.execute("SELECT kind, fields FROM reports LIMIT 1").fetchall()
    except sqlite3.Error:
        database.close()
        raise
    return database
