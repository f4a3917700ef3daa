"""A worker that is not of the cluster: it takes task after task, and is its own master.

Nobody but itself can end it, watch its machine, or stop it once another has its volume.
"""

import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import Any

from bec_ops.contract.errors import Failure, Interrupted, MisconfiguredError
from bec_ops.contract.protocol import Assigned
from bec_ops.contract.task import FILE_SCHEME, Task
from bec_ops.link.environment import Surroundings
from bec_ops.link.link import DELIVERY_SECONDS
from bec_ops.link.operator_client import WAIT_SECONDS, RefusedError, UnreachableError
from bec_ops.link.signed_store import Dependencies, SignedStore
from bec_ops.link.stopping import Stop
from bec_ops.outside import checks
from bec_ops.outside.client import now
from bec_ops.outside.forced_end import ForcedEnd
from bec_ops.outside.lease import Lease
from bec_ops.outside.pace import Pace
from bec_ops.outside.rest import Rest
from bec_ops.outside.seated import Seated
from bec_ops.processes.output_log import OutputLog
from bec_ops.runtime.attempt import Attempt
from bec_ops.runtime.pool_worker import PoolWorker
from bec_ops.runtime.running import Prepare, do_attempt, show_traceback

LAST_SECONDS = 20.0
"""How long the end of the process may be held up by what is still to be told."""
_LOOK_AGAIN = 5.0  # seconds between two looks whether the hours of rest are over
_SOON = 1.0  # seconds: an answer without a task that came faster is not asked for again at once
_OUTLIVES = 10.0  # seconds after its grace in which work that is to stop may still end by itself

_logger = logging.getLogger(__name__)


class OutsideWorker(PoolWorker):
    """Asks for tasks until `stop` is requested, the Jobs are over, or it has been idle for long.

    `grace` is for how many seconds a program may go on once it is told to stop, `until_idle` for
    how many the worker waits for a task. Why it can never work is in `refused`.
    """

    def __init__(
        self,
        seated: Seated,
        stop: Stop,
        log: OutputLog | None,
        *,
        grace: float,
        until_idle: float | None = None,
    ) -> None:
        self.refused = ""
        self._seated, self._keys = seated, seated.keys
        self._grace, self._until_idle = grace, until_idle
        self._rest = Rest.parse(self._keys.rest)
        self._s3 = checks.S3Check(self._keys.s3_check)
        self._pace = Pace(_logger)
        self._idle_since = time.monotonic()
        self._given, self._asked = Assigned(), now()
        self._lease: Lease | None = None
        self._resting = self._asking = False
        surroundings = Surroundings(
            operator_url=seated.identity.url, pool=True, work_dir=self._keys.scratch
        )
        super().__init__(surroundings, stop, log, (seated.client, seated.reports))

    def do(self, task: Task, prepare: Prepare) -> Failure | None:
        """Do a task that was just given, and return why it failed; None if it is done."""
        attempt = self.begin(task)

        def work(attempt: Attempt) -> None:
            self._check_place(attempt.task)
            prepare(attempt.task)(attempt)

        forced = ForcedEnd(attempt, self._grace + _OUTLIVES, self._seated.reports, self.tell_rest)
        try:
            return self._unreached(attempt) or do_attempt(attempt, work)
        finally:
            forced.cancel()
            if self._lease is not None:
                self._lease.end()
            self._seated.client.lease_seconds = self._lease = None
            self._idle_since = time.monotonic()

    def begin(self, task: Task) -> Attempt:
        """Return the attempt at a task; it has to stop before its lease is over."""
        seconds, client = self._given.lease_seconds, self._seated.client
        client.lease_seconds = seconds
        every = {"heartbeat_seconds": client.heartbeat_seconds}
        self._surroundings = self._surroundings.model_copy(update=every)
        attempt = super().begin(task)
        _logger.info("%s: %s, attempt %d", self._given.job, task.volume, task.attempt)
        if seconds is not None:
            self._be_heard(attempt)
            self._lease = Lease(seconds, self._keys.lease_margin, self._asked, attempt.stop)
            client.on_heard = self._lease.renew
        return attempt

    def _be_heard(self, attempt: Attempt) -> None:
        """Give a sign of life at once for a task that may have been given long ago.

        Its lease began while the answer was waited for, and nobody here knows when.
        """
        client, task = self._seated.client, attempt.task
        if now() - self._asked < client.heartbeat_seconds / 2:
            return
        client.on_heard = self._hear
        try:
            client.heartbeat(task_uid=task.task_uid, attempt=task.attempt)
        except UnreachableError as error:
            _logger.warning("no heartbeat: %s", error)
        except RefusedError as refusal:
            if refusal.is_over:
                attempt.stop.request(f"the operator gives this attempt up ({refusal})")

    def _hear(self, heard: float) -> None:
        self._asked = heard

    def _ways(self, task: Task, stop: Stop) -> dict[str, Any]:
        """By addresses that the operator signs, where the Job has it so; else by our own keys."""
        if not self._given.presigned:
            return super()._ways(task, stop)
        sign = self._seated.client.sign
        open_store = cache(lambda: SignedStore(sign, task, lambda: stop.requested))
        return {"open_store": open_store, "dependencies": Dependencies(open_store)}

    def hurry(self) -> None:
        """End what would outlive the process: safe in a signal handler."""
        if self._attempt is not None:
            self._attempt.stop.hurry()

    def tell_rest(self) -> None:
        """Tell what is still to be told, as long as there is time; the rest is kept."""

        def tell() -> None:
            if self._asking:
                self._seated.leave()
            self._seated.tell()

        deliver = threading.Thread(target=tell, daemon=True)
        deliver.start()
        deliver.join(LAST_SECONDS - DELIVERY_SECONDS)  # the end of the attempt has had its time
        if left := sum(self._seated.records.count().values()):
            _logger.warning("not told yet, and kept until a worker runs here again: %d", left)

    def _leave(self) -> None:
        """Stop the attempt under way: nobody else does."""
        if self._attempt is not None:
            self._attempt.stop.request(self._stop.reason)

    def _ask(self, take: Callable[[Task], None]) -> None:
        if self._rests():
            time.sleep(_LOOK_AGAIN)
            return
        try:
            if why := checks.missing(self._keys) or self._s3.missing():
                self._wait(why)
                return
            if not self._seated.tell():
                self._seated.client.mine()  # refused, if the operator does not know us any more
                self._wait("the operator does not answer, and has to be told something first")
                return
            begun = time.monotonic()
            self._asking, asked = True, now()
            self._given = given = self._seated.client.next_within(self._patience())
            self._asking, self._asked = False, asked
        except (UnreachableError, sqlite3.Error, OSError) as error:
            self._wait(str(error))
        except RefusedError as refusal:
            self._asking = False  # and the seat may be somebody else's
            self._be_refused(refusal)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is no reason to try at once
            show_traceback(error)
            self._wait(f"{type(error).__name__}: {error}")
        else:
            self._take(given, time.monotonic() - begun, take)

    def _take(self, given: Assigned, took: float, take: Callable[[Task], None]) -> None:
        self._pace.reset()
        if given.task is not None:
            take(given.task)
        elif given.over:
            self._stop.request("all Jobs that this worker is for are over")
        elif not self._is_idle_for_long() and took < _SOON:
            time.sleep(_SOON)

    def _patience(self) -> float:
        """Return how long the operator may look for a task: no longer than is waited for one."""
        if self._until_idle is None:
            return WAIT_SECONDS
        left = self._idle_since + self._until_idle - time.monotonic()
        return min(max(left, 0.0), WAIT_SECONDS)

    def _is_idle_for_long(self) -> bool:
        """End where no task has come for as long as the worker is to wait for one; True if so."""
        most = self._until_idle
        if most is None or time.monotonic() - self._idle_since < most:
            return False
        self._stop.request(f"there was no task for {most:g} s")
        return True

    def _rests(self) -> bool:
        """Whether these are hours of rest; their begin and end are told."""
        rests = self._rest.holds(datetime.now(UTC).astimezone())
        if rests != self._resting:
            _logger.info("hours of rest begin" if rests else "the hours of rest are over")
        if rests or self._resting:
            self._idle_since = time.monotonic()
        self._resting = rests
        return rests

    def _wait(self, why: str) -> None:
        """Ask again after a while; what keeps the worker from asking is not idleness."""
        time.sleep(self._pace.pause(why))
        self._idle_since = time.monotonic()

    def _be_refused(self, refusal: RefusedError) -> None:
        """Register again once where the operator does not know the worker; else end, in the end."""
        if refusal.error == "Unauthenticated":
            try:
                if self._seated.register_again():
                    return
            except UnreachableError as error:
                self._wait(str(error))
                return
            except (RefusedError, MisconfiguredError) as error:
                _logger.warning("not registered again: %s", error)
        elif refusal.may_pass:
            self._wait(str(refusal))
            return
        elif refusal.error == "Forbidden":  # until the Job is made, or gives its volumes away
            if not self._is_idle_for_long():
                time.sleep(self._pace.pause(str(refusal)))
            return
        self.refused = _what_to_do(refusal)
        self._stop.request(self.refused)

    def _check_place(self, task: Task) -> None:
        """Refuse to write to a folder of this machine, unless the operator is of it as well."""
        if task.output_uri.startswith(FILE_SCHEME) and self._seated.identity.url[:5] == "https":
            raise MisconfiguredError(f"the output {task.output_uri} is not in S3")

    def _unreached(self, attempt: Attempt) -> Failure | None:
        """Give a task back, at no cost to it, that writes to where this machine cannot."""
        task = attempt.task
        if task.output_uri.startswith(FILE_SCHEME) or self._given.presigned:
            return None
        why = self._s3.reach(task.bucket, task.prefix)
        if not why:
            return None
        attempt.stop.request(f"this machine cannot write its output: {why}")
        failure = attempt.fail(Interrupted(attempt.stop.reason))
        attempt.close()
        return failure


def _what_to_do(refusal: RefusedError) -> str:
    """Say what somebody has to do before this worker can work."""
    match refusal.error:
        case "StaleSession":
            return (
                f"{refusal}; somebody else works as this very worker: has its state folder been "
                "copied? bec-worker register --again, on one of the machines"
            )
        case "Unauthenticated":
            return f"{refusal}; bec-worker register --again, with a token of the administrator"
    return f"{refusal}; correct the configuration: bec-worker config shows it"
