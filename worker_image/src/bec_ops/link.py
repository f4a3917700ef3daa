"""The attempt's link to the operator: signs of life from a thread, and the report at its end."""

import logging
import threading
import time
from typing import Any

from bec_ops.environment import Surroundings
from bec_ops.errors import Failure
from bec_ops.meter import Meter
from bec_ops.operator_client import OperatorClient, RefusedError, UnreachableError
from bec_ops.protocol import LOG_BYTES, Directive, HeartbeatAnswer
from bec_ops.spool import NAME, Spool
from bec_ops.stopping import Stop
from bec_ops.task import Task

DELIVERY_SECONDS = 10.0
"""How long the end of an attempt may be held up by an operator that does not answer."""

_logger = logging.getLogger(__name__)


class Link:
    """Tells the operator of one attempt, and hears from it whether to go on.

    The first call is made one heartbeat after `start`: a short task costs the operator nothing.
    Whatever goes wrong here never harms the work.
    """

    def __init__(
        self, client: OperatorClient, spool: Spool, task: Task, meter: Meter, stop: Stop
    ) -> None:
        self._client, self._spool = client, spool
        self._meter, self._stop = meter, stop
        self._about = {"task_uid": task.task_uid, "attempt": task.attempt}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeats", daemon=True)
        self._every = 0.0
        self._complained = False

    @classmethod
    def open(
        cls, surroundings: Surroundings, task: Task, meter: Meter, stop: Stop
    ) -> "Link | None":
        """Make the link of a task; None where there is no operator to tell of it."""
        if not surroundings.operator_url or not task.task_uid:
            return None
        folder = surroundings.work_dir
        client = OperatorClient(surroundings.operator_url, surroundings.token_file)
        link = cls(client, Spool(folder / NAME if folder else None), task, meter, stop)
        link._every = surroundings.heartbeat_seconds
        return link

    def start(self) -> None:
        """Begin to give signs of life."""
        self._thread.start()

    def register(self) -> None:
        """Make the worker known to the operator now; raises what the client raises."""
        self._every = self._client.register().heartbeat_seconds

    def end(self, failure: Failure | None) -> None:
        """Give no more signs of life; report the end if the operator knows of this attempt."""
        deadline = time.monotonic() + DELIVERY_SECONDS
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(DELIVERY_SECONDS)
        if not self._client.is_registered:
            return
        if failure is None:
            self._spool.add("done", dict(self._about))
        else:
            told = {"failure": failure.failure, "message": failure.short_message}
            self._spool.add("failed", self._about | told)
        # A call under way may take longer than there is time.
        thread = threading.Thread(target=self._deliver, args=(deadline,), daemon=True)
        thread.start()
        thread.join(max(deadline - time.monotonic(), 0))
        if thread.is_alive():
            _logger.warning("the report waits: the operator does not answer")

    def send_log(self, tail: bytes) -> None:
        """Give the end of the attempt's output to the operator, which stores it if it can."""
        text = tail.decode(errors="replace")[-LOG_BYTES:]
        try:
            self._client.report("log", {**self._about, "text": text})
        except (UnreachableError, RefusedError) as error:
            _logger.warning("the operator does not take the log: %s", error)

    def _run(self) -> None:
        while not self._ended.wait(self._every):
            try:
                self.register()
                self._obey(self._beat())
                if not self._ended.is_set():  # else the end delivers
                    self._spool.deliver(self._client.report)
                self._complained = False
            except UnreachableError as error:
                self._complain(error)
            except RefusedError as refusal:
                if refusal.is_over:
                    self._stop.request(f"the operator gives this attempt up ({refusal})")
                else:
                    self._complain(refusal)

    def _deliver(self, deadline: float) -> None:
        try:
            if not self._spool.deliver(self._client.report, deadline - time.monotonic()):
                _logger.warning("the report waits: the operator is away")
        except RefusedError as refusal:
            _logger.warning("the report waits: %s", refusal)

    def _beat(self) -> HeartbeatAnswer:
        fields: dict[str, Any] = {
            "progress": self._meter.progress,
            "activity": self._meter.activity,
        }
        return self._client.heartbeat(**self._about, **fields)

    def _obey(self, answer: HeartbeatAnswer) -> None:
        if answer.directive is Directive.ABORT and not self._ended.is_set():
            why = answer.reason or "no reason given"
            self._stop.request(f"aborted by the operator: {why}")

    def _complain(self, error: Exception) -> None:
        """Say once that it does not work, not every half minute."""
        if not self._complained:
            self._complained = True
            _logger.warning("no heartbeat: %s; the work goes on", error)
