"""What the BEC ops functions share: the task of this process, and the end of the process."""

import atexit
import logging
import os
import sys
from functools import cache
from types import TracebackType

from bec_ops.contract.errors import Failure, Interrupted, MissingArtefactsError
from bec_ops.contract.task import Assignment, Task, TaskError, worker_id
from bec_ops.contract.volume import Volume
from bec_ops.link.environment import Surroundings
from bec_ops.link.operator_client import RefusedError, UnreachableError
from bec_ops.link.stopping import Stop, catch_signals
from bec_ops.processes.output_log import OutputLog
from bec_ops.runtime.attempt import Attempt, stopped_at_once, tell
from bec_ops.runtime.pool_worker import PoolWorker

_logger = logging.getLogger(__name__)


class WorkerProcess:
    """From the first call of a function on: keeps the output, catches signals, watches the end."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._log: OutputLog | None = None
        self._made: Attempt | None = None
        self._pool: PoolWorker | None = None
        self._given = self._ended = False
        self._failure: Failure | None = None
        self._uncaught: BaseException | None = None
        self._show = sys.excepthook
        sys.excepthook = self._note_uncaught
        atexit.register(self._at_exit)

    @property
    def worker_id(self) -> str:
        """The id of this worker."""
        return worker_id()

    @property
    def attempt(self) -> Attempt:
        """The attempt under way; raises TaskError if there is none."""
        if self._made is None or not self._given or self._ended:
            raise TaskError("there is no task at hand: call get_next_task first")
        return self._made

    def attempt_at(self, job_id: str, volume: Volume) -> Attempt:
        """Return the attempt under way if it is at this task; raises TaskError if not."""
        task = self.attempt.task
        if (task.job_id, task.volume) != (job_id, volume):
            raise TaskError(
                f"the task at hand is {task.job_id!r} of {task.volume}, not {job_id!r} of {volume}"
            )
        return self.attempt

    @property
    def task(self) -> Task:
        """The task under way, or the one of the pod; raises TaskError if there is none."""
        return self.attempt.task if self._in_pool else Task.from_environment()

    @property
    def _in_pool(self) -> bool:
        return Surroundings.from_environment().pool

    def next_volume(self, job_id: str) -> Volume | None:
        """Give the pod's volume, once, if it is not done; in a pool, the next one that is not."""
        if self._in_pool:
            return self._next_of_pool(job_id)
        attempt = self._open()
        task = attempt.task
        if task.job_id != job_id:
            raise TaskError(f"this worker is there for the job {task.job_id!r}, not for {job_id!r}")
        if self._given:
            return None
        self._given = True
        attempt.begin()
        self._ended = attempt.end_if_done()
        return None if self._ended else task.volume

    def _next_of_pool(self, job_id: str) -> Volume | None:
        assigned = Assignment.from_environment()
        if assigned.job_id != job_id:
            raise TaskError(f"this worker is there for the job {assigned.job_id!r}, not {job_id!r}")
        worker = self._open_pool()
        if self._made is not None and not self._ended:
            self._made.finished(None)  # it may have written its marker without a word
        while (task := worker.next_task()) is not None:
            self._made, self._given, self._ended = worker.begin(task), True, False
            self._made.begin()
            self._ended = self._made.end_if_done()
            if not self._ended:
                return task.volume
        self._ended = True
        return None

    def register(self) -> str:
        """Call the operator, if there is one and it answers."""
        if self._in_pool:
            self._open_pool().register()
            return self.worker_id
        link = self._open().link
        try:
            if link is not None:
                link.register()
        except (UnreachableError, RefusedError) as error:
            _logger.warning("not registered: %s", error)
        return self.worker_id

    def succeed(self, attempt: Attempt) -> None:
        """End the attempt with the marker, its author's or ours, if nothing is missing."""
        try:
            attempt.succeed(keep_marker=True)
        except MissingArtefactsError as error:
            self.fail(attempt, error)
        self._ended = True

    def fail(self, attempt: Attempt, error: BaseException) -> None:
        """End the attempt, and see to it that the process ends accordingly."""
        failure = attempt.fail(error)
        if not self._in_pool:  # where the process goes on
            self._failure = failure
        self._ended = True

    def no_tasks_left(self, job_id: str) -> None:
        """Say so where the worker's own words go."""
        _logger.info("%s: no tasks left", job_id or Assignment.from_environment().job_id)

    def _open(self) -> Attempt:
        if self._made is None:
            surroundings, task = Surroundings.from_environment(), Task.from_environment()
            stop = Stop()
            self._log = OutputLog()
            catch_signals(stop, stopped_at_once)
            self._made = Attempt(task, surroundings, stop, log=self._log)
        return self._made

    def _open_pool(self) -> PoolWorker:
        if self._pool is None:
            stop = Stop()
            self._log = OutputLog()
            catch_signals(stop, stopped_at_once)
            self._pool = PoolWorker(Surroundings.from_environment(), stop, self._log)
        return self._pool

    def _note_uncaught(
        self, kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        self._show(kind, error, trace)
        self._uncaught = error

    def _at_exit(self) -> None:
        """End an attempt that is still open; correct the exit code where a failure was told."""
        if os.getpid() != self._pid:  # a fork of the worker, which has its own end
            return
        self._end_open_attempt()
        if self._log is not None:
            self._log.close()
        if self._failure is not None:
            # What was registered to run at exit before this has no turn any more, but logging's.
            logging.shutdown()
            os._exit(self._failure.exit_code)

    def _end_open_attempt(self) -> None:
        error = self._uncaught
        if self._made is None:
            if error is not None:  # the environment is wrong, most likely
                self._failure = tell(Failure.of(error))
        elif not self._ended:
            if self._made.stop.seen:
                error = Interrupted(self._made.stop.reason)
            if error is not None:
                self._failure = self._made.fail(error)
            else:
                self._made.keep_log()


@cache
def current() -> WorkerProcess:
    """Return what this process's functions share."""
    return WorkerProcess()
