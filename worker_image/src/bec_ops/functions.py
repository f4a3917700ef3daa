"""The BEC ops functions: a worker that keeps its own loop needs nothing else.

    while task := get_next_task(job_id):
        w_id, i_id, i_version = task
        bucket, prefix = get_output_info(job_id, *task)
        …
        task_done(job_id, *task, "done")

A process that has said `failed`, or that an exception ends, gets the exit code that belongs to it
whatever it ends with itself: the operator would take a 0 for a forgotten marker. When it is told
to stop (SIGTERM, or the operator), the next call of `heartbeat`, `item_done` or `set_total` raises
Interrupted, which no `except Exception` catches.
"""

from functools import cache

from bec_ops.contract.errors import RetryableError, TerminalError
from bec_ops.contract.marker import InvalidMarker
from bec_ops.contract.s3.places import S3Place
from bec_ops.contract.s3.store import Store
from bec_ops.contract.volume import Volume
from bec_ops.link.meter import DEFAULT_UNIT
from bec_ops.runtime.job_outputs import output_of
from bec_ops.runtime.outputs import holds
from bec_ops.runtime.worker_process import current

_STATUSES = {
    "done": ("done", "success", "succeeded", "successful", "successfully_done", "ok", "completed"),
    "failed": ("failed", "failure", "error", "retry", "retryable", "retryable_failed"),
    "terminal": ("terminal", "terminal_failed", "terminally_failed"),
}


def get_next_task(job_id: str) -> Volume | None:
    """Return the next volume to work on, `(w_id, i_id, i_version)`, or None if there is none.

    In a pod of its own that is the pod's volume, and None from the second call on, or if it is
    done already. In a pool it waits for one, and None comes when the worker is to go. Raises
    TaskError for the id of another job, StoreError if S3 does not answer.
    """
    return current().next_volume(job_id)


def get_output_info(job_id: str, w_id: str, i_id: str, i_version: str = "") -> tuple[str, str]:
    """Return bucket and key prefix of what a job writes for a volume; the prefix ends in ``/``.

    Known are the worker's own job and those that it depends on; raises MisconfiguredError for
    another one.
    """
    output = output_of(job_id, Volume(w_id, i_id, i_version or ""), current().task)
    return output.bucket, output.prefix


def is_successfully_done(job_id: str, w_id: str, i_id: str, i_version: str | None = None) -> bool:
    """Tell whether S3 has a valid marker of this job for a volume.

    Without `i_version` the version of the task at hand is meant, if it is of the same ids, else
    none. A marker from before the job's `redoAt` does not count, nor one of the worker's own job
    where something is missing of `output.expect` or `worker.result`. Raises StoreError where S3
    gives no answer: unknown is not False.
    """
    task = current().task
    if i_version is None:
        i_version = task.i_version if (task.w_id, task.i_id) == (w_id, i_id) else ""
    volume = Volume(w_id, i_id, i_version)
    output = output_of(job_id, volume, task)
    try:
        marker = _store().read_marker(output.bucket, output.prefix, job_id, volume, output.redo_at)
    except InvalidMarker:
        return False
    if marker is None or job_id != task.job_id:
        return marker is not None
    return holds(marker, task, S3Place(_store(), output.bucket, output.prefix))


def task_done(job_id: str, w_id: str, i_id: str, i_version: str, status: str) -> None:
    """Say how a task has ended: `done`, `failed` (it will be tried again), or `terminal`.

    With `done` the marker is written, unless you have; write everything else before. If something
    is missing then of `output.expect`, it is `failed`. Raises
    ValueError for an unknown status, TaskError if that is not the task at hand.
    """
    attempt = current().attempt_at(job_id, Volume(w_id, i_id, i_version or ""))
    meaning = _meaning(status)
    if meaning == "done":
        current().succeed(attempt)
    else:
        message = f"the worker says {status!r}"
        kind = RetryableError if meaning == "failed" else TerminalError
        current().fail(attempt, kind(message))


def register() -> str:
    """Make this worker known to the operator, if there is one, and return its id.

    Doing it again changes nothing, and it need not be done at all.
    """
    return current().register()


def get_worker_id() -> str:
    """Return the id of this worker, as it stands in its markers."""
    return current().worker_id


def heartbeat() -> None:
    """Say that the work goes on; it costs nothing. Raises Interrupted if it is to stop."""
    attempt = current().attempt
    attempt.meter.note_activity()
    attempt.stop.check()


def set_total(total: int, unit: str = DEFAULT_UNIT) -> None:
    """Say how many items the task has; they are counted from 0 then."""
    attempt = current().attempt
    attempt.meter.start(total, unit)
    attempt.stop.check()


def item_done(items: int = 1) -> None:
    """Say that one more item is done. Raises Interrupted if the work is to stop."""
    attempt = current().attempt
    attempt.meter.advance(items)
    attempt.stop.check()


def no_tasks_left(job_id: str = "") -> None:
    """Say that the loop is over; the operator itself tells people when the whole job is."""
    current().no_tasks_left(job_id)


@cache
def _store() -> Store:
    return Store()


def _meaning(status: str) -> str:
    word = status.strip().lower().replace("-", "_").replace(" ", "_")
    for meaning, words in _STATUSES.items():
        if word in words:
            return meaning
    allowed = "; ".join(f"{words[0]!r} (or {', '.join(words[1:])})" for words in _STATUSES.values())
    raise ValueError(f"the status {status!r} is not known; write {allowed}")
