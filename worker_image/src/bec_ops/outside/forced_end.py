"""The end of a process whose work does not look whether it is to stop: nobody else ends it."""

import logging
import os
import threading
from collections.abc import Callable

from bec_ops.contract.errors import Failure
from bec_ops.contract.exit_codes import ExitCode
from bec_ops.link.redelivery import Undelivered
from bec_ops.runtime.attempt import Attempt

_LOOK = 0.5  # seconds between two looks whether the work is to stop
_logger = logging.getLogger(__name__)


class ForcedEnd:
    """Ends the process so many seconds after an attempt was told to stop, unless that has ended.

    The attempt is reported as interrupted; `tell` tells that, as long as there is time. Its thread
    is there from the begin: it may be a signal handler that asks for the stop.
    """

    def __init__(
        self, attempt: Attempt, seconds: float, reports: Undelivered, tell: Callable[[], None]
    ) -> None:
        self._attempt, self._reports, self._tell = attempt, reports, tell
        self._seconds = seconds
        self._ended = threading.Event()
        threading.Thread(target=self._watch, name="forced-end", daemon=True).start()

    def cancel(self) -> None:
        """Let the process go on: the attempt has ended by itself."""
        self._ended.set()

    def _watch(self) -> None:
        while not self._attempt.stop.requested:
            if self._ended.wait(_LOOK):
                return
        if not self._ended.wait(self._seconds):
            self._end()

    def _end(self) -> None:
        reason = self._attempt.stop.reason
        _logger.error("the work does not stop: the process ends (%s)", reason)
        failure = Failure("Interrupted", f"{reason}, and the work did not stop by itself")
        about = {"task_uid": self._attempt.task.task_uid, "attempt": self._attempt.task.attempt}
        told = {"failure": failure.failure, "message": failure.short_message}
        self._reports.add("failed", about | told)
        self._tell()
        self._attempt.stop.hurry()
        logging.shutdown()
        os._exit(ExitCode.INTERRUPTED)
