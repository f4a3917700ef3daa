"""Reports of a worker from elsewhere: in a file, until the operator has taken them or never will.

A report belongs to the session of a seat and a process. The operator gives both the same session
again, whatever has been restarted meanwhile, so a later process can tell what an earlier one could
not, as long as it does so before it sits down in that seat itself.
"""

import json
import logging
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from bec_ops.contract.errors import MisconfiguredError
from bec_ops.link.redelivery import Report, Send, Undelivered
from bec_ops.outside.client import Seat

_PATIENCE = 10.0  # seconds for another process of this worker to have written
_logger = logging.getLogger(__name__)

_TABLES = """
CREATE TABLE IF NOT EXISTS reports (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  seat TEXT NOT NULL, process TEXT NOT NULL, kind TEXT NOT NULL, fields TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS hands (
  seat TEXT PRIMARY KEY, process TEXT NOT NULL, job TEXT NOT NULL, given TEXT
);
"""


class Records:
    """The file of a state folder that all processes of a worker share."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "worker.sqlite"
        try:
            self.path.touch(mode=0o600)
            with self.open() as records:
                records.executescript(_TABLES)
        except (OSError, sqlite3.Error) as error:
            raise MisconfiguredError(f"{self.path} cannot be used: {error}") from None

    @contextmanager
    def open(self) -> Iterator[sqlite3.Connection]:
        """Give a connection; what is done in here is kept as a whole, or not at all."""
        with closing(sqlite3.connect(self.path, timeout=_PATIENCE)) as connection, connection:
            yield connection

    def seats(self) -> list[Seat]:
        """Return whose reports wait, the oldest first."""
        with self.open() as records:
            found = records.execute(
                "SELECT seat, process FROM reports GROUP BY seat, process ORDER BY min(number)"
            )
            return [Seat(*row) for row in found]

    def count(self) -> dict[str, int]:
        """Return how many reports of each kind wait."""
        with self.open() as records:
            return dict(records.execute("SELECT kind, count(*) FROM reports GROUP BY kind"))


class KeptReports(Undelivered):
    """The reports of one seat and process, for any thread."""

    keeps_logs = True

    def __init__(self, records: Records, seat: Seat) -> None:
        super().__init__()
        self._records, self._seat = records, seat
        self._in_memory = Undelivered()  # where the file takes nothing: its disk may be full

    def add(self, kind: str, fields: dict[str, Any]) -> None:
        """Put a report at the end."""
        row = (self._seat.name, self._seat.process, kind, json.dumps(fields))
        try:
            with self._records.open() as records:
                records.execute(
                    "INSERT INTO reports (seat, process, kind, fields) VALUES (?, ?, ?, ?)", row
                )
        except sqlite3.Error as error:
            _logger.warning("%s takes no report: %s", self._records.path, error)
            self._in_memory.add(kind, fields)

    def deliver(self, send: Send, seconds: float = 0.0) -> bool:
        """Send what waits, as every such queue does; True if nothing is left."""
        deadline = time.monotonic() + seconds
        if not super().deliver(send, seconds):
            return False
        return self._in_memory.deliver(send, max(deadline - time.monotonic(), 0.0))

    def waiting(self) -> list[Report]:
        """Return what waits, in order."""
        with self._records.open() as records:
            found = records.execute(
                "SELECT number, kind, fields FROM reports WHERE seat = ? AND process = ? "
                "ORDER BY number",
                (self._seat.name, self._seat.process),
            )
            return [Report(number, kind, json.loads(fields)) for number, kind, fields in found]

    def _forget(self, report: Report) -> None:
        with self._records.open() as records:
            records.execute("DELETE FROM reports WHERE number = ?", (report.number,))


def deliver_left(
    records: Records, mine: Callable[[Seat], bool], sender: Callable[[Seat], Send]
) -> bool:
    """Tell what earlier processes could not, of seats that are `mine` to speak for.

    True if nothing of that is left; a report that the operator will never take is dropped.
    """
    seats = [seat for seat in records.seats() if mine(seat)]
    return all(KeptReports(records, seat).deliver(sender(seat)) for seat in seats)
