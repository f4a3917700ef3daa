"""The process of a worker that has one task: from the environment to the exit code."""

import logging
import sys
import traceback
from collections.abc import Callable

from bec_ops.attempt import Attempt, stopped_at_once, tell
from bec_ops.environment import Surroundings
from bec_ops.errors import Failure, WorkerError
from bec_ops.exit_codes import ExitCode
from bec_ops.output_log import OutputLog, output_kept
from bec_ops.stopping import Stop, signals_stop
from bec_ops.store import StoreError
from bec_ops.task import Task, TaskError

Work = Callable[[Attempt], None]
Prepare = Callable[[Task], Work]
"""Makes ready what is needed for any volume; raises MisconfiguredError if it never will be."""

_PLAIN = (WorkerError, TaskError, StoreError)  # their messages say it all

_logger = logging.getLogger(__name__)


def run_task(prepare: Prepare) -> int:
    """Do the task that the environment describes, and return the exit code."""
    # For the library's own words; a worker that has set up logging itself keeps that.
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("botocore").setLevel(logging.WARNING)
    try:
        surroundings = Surroundings.from_environment()
        task = Task.from_environment()
    except (WorkerError, TaskError) as error:
        return tell(Failure.of(error)).exit_code
    stop = Stop()
    with output_kept() as log, signals_stop(stop, stopped_at_once):
        return _run(task, surroundings, stop, log, prepare)


def _run(
    task: Task, surroundings: Surroundings, stop: Stop, log: OutputLog, prepare: Prepare
) -> int:
    attempt = Attempt(task, surroundings, stop, log=log)
    try:
        work = prepare(task)
        if attempt.output.marker() is not None:
            _logger.info("%s: %s is done already", task.job_id, task.volume)
            return ExitCode.DONE
        attempt.stop.check()  # making ready may have taken long
        attempt.begin()
        work(attempt)
        attempt.succeed()
    except BaseException as error:  # noqa: BLE001 - whatever ends the work, its end is told
        show_traceback(error)
        return attempt.fail(error).exit_code
    finally:
        attempt.close()
    return ExitCode.DONE


def show_traceback(error: BaseException) -> None:
    """Print where an error came from, unless it was meant to be told or to end the work."""
    if isinstance(error, Exception) and not isinstance(error, _PLAIN):
        traceback.print_exception(error, file=sys.stderr)
