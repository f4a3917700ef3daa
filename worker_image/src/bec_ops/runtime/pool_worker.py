"""A worker of a pool as its operator sees it: one process that takes task after task."""

import logging
import threading
import time
from collections.abc import Callable
from functools import cache, partial

from bec_ops.contract.protocol import Assigned
from bec_ops.contract.s3.store import Store
from bec_ops.contract.task import Task
from bec_ops.link.environment import Surroundings
from bec_ops.link.link import open_channel
from bec_ops.link.operator_client import OperatorClient, RefusedError, UnreachableError
from bec_ops.link.redelivery import Undelivered
from bec_ops.link.stopping import Stop
from bec_ops.processes.orphans import Orphans
from bec_ops.processes.output_log import OutputLog
from bec_ops.runtime.attempt import Attempt

_LOOK = 0.1  # seconds between two looks whether it is told to go
_AGAIN = 2.0  # seconds before an operator that did not answer is asked again

_logger = logging.getLogger(__name__)


class PoolWorker:
    """Asks for tasks, until `stop` is requested: a task under way may be finished then.

    The operator decides that: it asks workers to go that have nothing to do, and knows why the
    others are to. `channel` is there already where it is not the one of a pod.
    """

    def __init__(
        self,
        surroundings: Surroundings,
        stop: Stop,
        log: OutputLog | None,
        channel: tuple[OperatorClient, Undelivered] | None = None,
    ) -> None:
        self._surroundings, self._stop, self._log = surroundings, stop, log
        self._channel = channel or open_channel(surroundings)
        self._attempt: Attempt | None = None
        self._stores = 0
        self._open_store = self._new_store()
        self._orphans = Orphans()
        stop.on_request(self._leave)

    def register(self) -> None:
        """Make this process known, so that whatever the one before it had is tried again."""
        try:
            self._channel[0].register()
        except (UnreachableError, RefusedError) as error:
            _logger.warning("not registered: %s", error)

    def next_task(self) -> Task | None:
        """Wait for the next task, however long; None once the worker is to go."""
        self._orphans.look()
        while not self._stop.requested:
            found: list[Task] = []
            ask = threading.Thread(target=self._ask, args=(found.append,), daemon=True)
            ask.start()
            while ask.is_alive() and not self._stop.requested:
                ask.join(_LOOK)
            if found:
                return found[0]
        return None

    def begin(self, task: Task) -> Attempt:
        """Return the attempt at a task that was just given."""
        if self._log is not None:
            self._log.restart()
        if self._attempt is not None and self._attempt.output.is_writing:
            self._open_store = self._new_store()
        stop = Stop()
        self._attempt = Attempt(
            task,
            self._surroundings,
            stop,
            log=self._log,
            channel=self._channel,
            open_store=self._open_store,
        )
        if self._stop.requested:
            self._leave()
        return self._attempt

    def _new_store(self) -> Callable[[], Store]:
        """Make what opens the store of this attempt and, until one leaves writes behind, of others.

        The store before it, which only such writes still have, waits for S3 no more.
        """
        self._stores += 1
        return cache(partial(Store.of_worker, partial(self._is_stopping, self._stores)))

    def _is_stopping(self, store: int) -> bool:
        """Whether the task under way is given up: told to go, a worker may finish it."""
        stopped = self._attempt is not None and self._attempt.stop.requested
        return stopped or store != self._stores

    def _leave(self) -> None:
        """Have the operator asked what is to become of the attempt under way."""
        if self._attempt is not None and self._attempt.link is not None:
            self._attempt.link.leave()

    def _ask(self, take: Callable[[Task], None]) -> None:
        client, undelivered = self._channel
        try:
            # While a report waits the operator would give the task again that it is about.
            delivered = undelivered.deliver(client.report)
            given = client.next() if delivered else Assigned()
        except UnreachableError as error:
            _logger.warning("no task: %s", error)
            time.sleep(_AGAIN)
        except RefusedError as refusal:
            _logger.warning("no task: %s", refusal)
            time.sleep(_AGAIN)
        else:
            if given.task is not None:
                take(given.task)
            elif given.over:  # a SIGTERM that came before anybody listened is lost
                self._stop.request("the operator says that there is nothing more to do")
            elif not delivered:
                time.sleep(_AGAIN)
