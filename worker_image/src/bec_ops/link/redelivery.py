"""Reports that the operator has not taken yet: in order, and for as long as the process lives.

A file would be of no use to the next process: a pod of its own has none, and in a pool it has
another session, from which the operator takes nothing about this one's attempts.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from bec_ops.link.operator_client import RefusedError, UnreachableError

_PAUSE = 0.5  # seconds between two tries
_logger = logging.getLogger(__name__)

Send = Callable[[str, dict[str, Any]], None]


class Undelivered:
    """A queue of reports, for any thread.

    It stays short: a worker of a pool asks for no other task while a report waits.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reports: list[tuple[str, dict[str, Any]]] = []

    def add(self, kind: str, fields: dict[str, Any]) -> None:
        """Put a report at the end."""
        with self._lock:
            self._reports.append((kind, fields))

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
        with self._lock:  # not while sending: a call may hang for longer than others can wait
            waiting = list(self._reports)
        for report in waiting:
            try:
                send(*report)
            except UnreachableError:
                return False
            except RefusedError as refusal:
                if refusal.may_pass:
                    return False
                _logger.warning("the operator does not take the report %r: %s", report[0], refusal)
            # Another thread may have sent it meanwhile: said twice, it counts once.
            with self._lock:
                self._reports = [other for other in self._reports if other is not report]
        return True
