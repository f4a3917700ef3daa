"""Reports that the operator has not taken yet: in order, and for as long as the process lives.

A file would be of no use to the next process: a pod of its own has none, and in a pool it has
another session, from which the operator takes nothing about this one's attempts. A worker from
elsewhere can take up the session of an earlier process: `bec_ops.outside.reports` keeps a file.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from bec_ops.link.operator_client import RefusedError, UnreachableError

_PAUSE = 0.5  # seconds between two tries
_logger = logging.getLogger(__name__)

Send = Callable[[str, dict[str, Any]], None]


class Report(NamedTuple):
    """What is to be told, with a number of its own."""

    number: int
    kind: str
    fields: dict[str, Any]


class Undelivered:
    """A queue of reports, for any thread.

    It stays short: a worker of a pool asks for no other task while a report waits.
    """

    keeps_logs = False
    """Whether the log of an attempt waits as well; it is too big for a process to hold many."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reports: list[Report] = []
        self._added = 0

    def add(self, kind: str, fields: dict[str, Any]) -> None:
        """Put a report at the end."""
        with self._lock:
            self._added += 1
            self._reports.append(Report(self._added, kind, fields))

    def waiting(self) -> list[Report]:
        """Return what waits, in order."""
        with self._lock:
            return list(self._reports)

    def _forget(self, report: Report) -> None:
        """Drop what is told, or never will be; another thread may have done so."""
        with self._lock:
            self._reports = [other for other in self._reports if other.number != report.number]

    def deliver(self, send: Send, seconds: float = 0.0) -> bool:
        """Send what waits, in order, trying for at most so many seconds; True if nothing is left.

        A report that the operator will never take is dropped, with a warning.
        """
        deadline = time.monotonic() + seconds
        while not self._deliver_once(send):
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(_PAUSE, left))
        return True

    def _deliver_once(self, send: Send) -> bool:
        for (
            report
        ) in self.waiting():  # no lock meanwhile: a call may hang for longer than others can
            try:
                send(report.kind, report.fields)
            except UnreachableError:
                return False
            except RefusedError as refusal:
                if refusal.may_pass:
                    return False
                _logger.warning(
                    "the operator does not take the report %r: %s", report.kind, refusal
                )
            self._forget(report)  # another thread may have sent it, too: said twice, it counts once
        return True
