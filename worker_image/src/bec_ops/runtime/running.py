"""The process of a worker that is given its tasks: from the environment to the exit code."""

import logging
import os
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

from bec_ops.contract.errors import Failure, WorkerError
from bec_ops.contract.exit_codes import ExitCode
from bec_ops.contract.s3.store import StoreError, StoreSettings
from bec_ops.contract.task import Assignment, Task, TaskError
from bec_ops.link.environment import Surroundings
from bec_ops.link.stopping import Stop, signals_stop
from bec_ops.processes.output_log import OutputLog, output_kept
from bec_ops.runtime.attempt import Attempt, stopped_at_once, tell
from bec_ops.runtime.pool_worker import PoolWorker

DoVolume = Callable[[Attempt], None]
"""Does one volume: what an author's handler or program comes to."""
Prepare = Callable[[Assignment], DoVolume]
"""Makes ready what is needed for any volume; raises MisconfiguredError if it never will be."""

_PLAIN = (WorkerError, TaskError, StoreError)  # their messages say it all


def run_tasks(prepare: Prepare) -> int:
    """Do the task that the environment describes, or all that come, and return the exit code."""
    set_up_logging()
    try:
        surroundings = Surroundings.from_environment()
        StoreSettings.from_environment()  # nobody would tell well what is wrong with them later
        kind = Assignment if surroundings.pool else Task
        assignment = kind.from_environment()
    except (WorkerError, TaskError) as error:
        return tell(Failure.of(error)).exit_code
    stop = Stop()
    with output_kept() as log, signals_stop(stop, stopped_at_once):
        if isinstance(assignment, Task):
            return _run(assignment, surroundings, stop, log, prepare)
        return _run_pool(assignment, surroundings, stop, log, prepare)


def _run_pool(
    assignment: Assignment, surroundings: Surroundings, stop: Stop, log: OutputLog, prepare: Prepare
) -> int:
    """Make ready once, then do task after task; whatever one does, the next one is asked for."""
    worker = PoolWorker(surroundings, stop, log)
    worker.register()
    try:
        do_volume = prepare(assignment)
    except BaseException as error:  # noqa: BLE001 - whatever it is, no task would fare better
        show_traceback(error)
        return tell(Failure.of(error)).exit_code
    while (task := worker.next_task()) is not None:
        do_attempt(worker.begin(task), do_volume)
    return ExitCode.DONE


def do_attempt(attempt: Attempt, do_volume: DoVolume) -> Failure | None:
    """Do one attempt from its begin to its end, and return why it failed; None if it is done."""
    try:
        attempt.begin()  # before all that S3 may take its time for
        if not attempt.end_if_done():
            do_volume(attempt)
            attempt.succeed()
    except BaseException as error:  # noqa: BLE001 - whatever ends the work, its end is told
        show_traceback(error)
        return attempt.fail(error)
    finally:
        attempt.close()
    return None


def _run(
    task: Task, surroundings: Surroundings, stop: Stop, log: OutputLog, prepare: Prepare
) -> int:
    attempt = Attempt(task, surroundings, stop, log=log)
    try:
        do_volume = prepare(task)
        attempt.begin()
        if attempt.end_if_done():
            return ExitCode.DONE
        attempt.stop.check()  # making ready may have taken long
        do_volume(attempt)
        attempt.succeed()
    except BaseException as error:  # noqa: BLE001 - whatever ends the work, its end is told
        show_traceback(error)
        return attempt.fail(error).exit_code
    finally:
        attempt.close()
    return ExitCode.DONE


def set_up_logging() -> None:
    """Let the library's own words be seen; a worker that has set up logging itself keeps that."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("botocore").setLevel(logging.WARNING)


def end_process(code: int) -> NoReturn:
    """End the process; one that was told to stop does not wait for what S3 never answers."""
    if code == ExitCode.INTERRUPTED:
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)
    sys.exit(code)


def show_traceback(error: BaseException) -> None:
    """Print where an error came from, unless it was meant to be told or to end the work."""
    if isinstance(error, Exception) and not isinstance(error, _PLAIN):
        traceback.print_exception(error, file=sys.stderr)
