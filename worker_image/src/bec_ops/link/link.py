"""The attempt's link to the operator: signs of life from a thread, and the report at its end."""

import logging
import threading
import time
from typing import Any

from bec_ops.contract.errors import Failure
from bec_ops.contract.protocol import LOG_BYTES, Directive, HeartbeatAnswer
from bec_ops.contract.task import Task
from bec_ops.link.environment import Surroundings
from bec_ops.link.meter import Meter
from bec_ops.link.operator_client import OperatorClient, RefusedError, UnreachableError
from bec_ops.link.redelivery import Undelivered
from bec_ops.link.stopping import Stop

DELIVERY_SECONDS = 10.0
"""How long the end of an attempt may be held up by an operator that does not answer."""

AWAY_SECONDS = 25.0
"""How long a worker that is told to go works on without a word of the operator."""
_LOOK = 0.5  # seconds between two looks whether it is told to go
_ASK_EVERY = 2.0  # seconds between two heartbeats of one that is

_logger = logging.getLogger(__name__)


class Link:
    """Tells the operator of one attempt, and hears from it whether to go on.

    The first call is made one heartbeat after `start`: a short task costs the operator nothing.
    Whatever goes wrong here never harms the work.
    """

    def __init__(
        self,
        client: OperatorClient,
        undelivered: Undelivered,
        task: Task,
        meter: Meter,
        stop: Stop,
    ) -> None:
        self._client, self._undelivered = client, undelivered
        self._meter, self._stop = meter, stop
        self._about = {"task_uid": task.task_uid, "attempt": task.attempt}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeats", daemon=True)
        self._every = 0.0
        self._complained = False
        self._heard = time.monotonic()  # when the operator last answered, or we were told to go
        self._leaving = False  # set in a signal handler, which must take no lock

    @classmethod
    def open(
        cls,
        surroundings: Surroundings,
        task: Task,
        meter: Meter,
        stop: Stop,
        channel: tuple[OperatorClient, Undelivered] | None = None,
    ) -> "Link | None":
        """Make the link of a task; None where there is no operator to tell of it.

        `channel` is there already in a worker of a pool.
        """
        if not surroundings.operator_url or not task.task_uid:
            return None
        link = cls(*(channel or open_channel(surroundings)), task, meter, stop)
        link._every = surroundings.heartbeat_seconds
        return link

    def leave(self) -> None:
        """Ask the operator at once whether to finish the task or to give it up.

        Whoever gets no answer gives it up, as long as there is time.
        """
        self._leaving = True

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
            self._undelivered.add("done", dict(self._about))
        else:
            told: dict[str, Any] = {
                "failure": failure.failure,
                "message": failure.short_message,
                "exit_code": failure.passed_on,
            }
            self._undelivered.add("failed", self._about | told)
        # A call under way may take longer than there is time.
        thread = threading.Thread(target=self._deliver, args=(deadline,), daemon=True)
        thread.start()
        thread.join(max(deadline - time.monotonic(), 0))
        if thread.is_alive():
            _logger.warning("the report is not delivered: the operator does not answer")

    def send_log(self, tail: bytes) -> None:
        """Give the end of the attempt's output to the operator, which stores it if it can."""
        said = {**self._about, "text": tail.decode(errors="replace")[-LOG_BYTES:]}
        try:
            self._client.report("log", said)
        except (UnreachableError, RefusedError) as error:
            _logger.warning("the operator does not take the log: %s", error)
            if self._undelivered.keeps_logs and isinstance(error, UnreachableError):
                self._undelivered.add("log", said)

    def _run(self) -> None:
        while self._pause():
            try:
                self.register()
                self._obey(self._beat())
                self._complained = False
                self._heard = time.monotonic()
            except UnreachableError as error:
                self._complain(error)
                self._give_up_alone()
            except RefusedError as refusal:
                if refusal.is_over:
                    self._stop.request(f"the operator gives this attempt up ({refusal})")
                else:
                    self._complain(refusal)

    def _pause(self) -> bool:
        """Wait until the next heartbeat is due; False if there is to be none."""
        if self._leaving:
            return not self._ended.wait(min(self._every, _ASK_EVERY))
        due = time.monotonic() + self._every
        while not self._leaving and (left := due - time.monotonic()) > 0:
            if self._ended.wait(min(left, _LOOK)):
                return False
        if self._leaving:
            self._heard = time.monotonic()
        return not self._ended.is_set()

    def _give_up_alone(self) -> None:
        if self._leaving and time.monotonic() - self._heard >= AWAY_SECONDS:
            self._stop.request("told to stop, and the operator does not answer")

    def _deliver(self, deadline: float) -> None:
        if not self._undelivered.deliver(self._client.report, deadline - time.monotonic()):
            _logger.warning("the report is not delivered: the operator is away")

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


def open_channel(surroundings: Surroundings) -> tuple[OperatorClient, Undelivered]:
    """Return what a process calls its operator with, and where its reports wait."""
    return OperatorClient(surroundings.operator_url, surroundings.token_file), Undelivered()
