"""One attempt at one task, whoever does the work: its begin, its success, its failure."""

import logging
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from bec_ops.contract.errors import Failure, MisconfiguredError, TerminalError, in_utf8
from bec_ops.contract.location import log_key
from bec_ops.contract.returned import as_text, json_of
from bec_ops.contract.returned_schema import fault_of
from bec_ops.contract.s3.places import Place, open_place
from bec_ops.contract.s3.store import Store, StoreError
from bec_ops.contract.task import Task
from bec_ops.dependency import Dependency
from bec_ops.link.environment import Surroundings, write_termination_message
from bec_ops.link.link import DELIVERY_SECONDS, Link
from bec_ops.link.meter import Meter
from bec_ops.link.operator_client import OperatorClient
from bec_ops.link.redelivery import Undelivered
from bec_ops.link.stopping import Stop
from bec_ops.processes.output_log import OutputLog
from bec_ops.runtime.job_outputs import output_of_dependency
from bec_ops.runtime.memory import oom_kills
from bec_ops.runtime.outputs import TaskOutput

LISTED_ERRORS = 100
"""How many errors of single items a marker lists."""

_logger = logging.getLogger(__name__)


class Attempt:
    """Holds what an attempt needs, and does what its end asks for, in the right order.

    `log` is None where nobody keeps what is printed, `place` where the task says it.
    `channel` and `open_store` are those of a worker of a pool, whose process goes on after the
    attempt: to begin with S3 takes longer than many a volume does. `dependencies`
    are the places of other jobs' artefacts, by job id, that the surroundings do not
    tell.
    """

    def __init__(
        self,
        task: Task,
        surroundings: Surroundings,
        stop: Stop,
        *,
        log: OutputLog | None = None,
        place: Place | None = None,
        meter: Meter | None = None,
        dependencies: Mapping[str, str] | None = None,
        channel: tuple[OperatorClient, Undelivered] | None = None,
        open_store: Callable[[], Store] | None = None,
    ) -> None:
        self.task, self.surroundings, self.stop = task, surroundings, stop
        self._open_store = open_store or cache(partial(Store.of_worker, lambda: stop.requested))
        self.meter = meter or Meter()
        self.output = TaskOutput(
            place or open_place(task.output_uri, self._open_store), task, self._see_moving
        )
        self._pooled = channel is not None
        self.link = Link.open(surroundings, task, self.meter, stop, channel)
        self._log = log
        self._dependencies = dependencies or {}
        self._details: dict[str, Any] = {}
        self._errors: list[dict[str, str]] = []
        self._error_count = 0
        self._folders: list[Path] = []
        self._begun = time.monotonic()
        self._started = datetime.now(UTC).isoformat(timespec="seconds")
        self._oom_kills = oom_kills()

    def _see_moving(self, moved: int) -> None:
        """Take what is uploaded for a sign of activity, and heed a stop meanwhile."""
        if moved > 0:
            self.meter.note_activity()
        self.stop.check()

    def begin(self) -> None:
        """Begin to give signs of life."""
        if self.link is not None:
            self.link.start()

    def end_if_done(self) -> bool:
        """Where the marker stands already, end with that; True if so."""
        if self.output.marker() is None:
            return False
        _logger.info("%s: %s is done already", self.task.job_id, self.task.volume)
        self.finished(None)
        return True

    def dependency(self, job_id: str) -> Dependency:
        """Return what a job that this one depends on has written for the volume.

        Raises MisconfiguredError for any other job.
        """
        volume = self.task.volume
        uri = self._dependencies.get(job_id)
        if uri is None:
            uri = output_of_dependency(job_id, volume, self.task, self.surroundings).uri
        return Dependency(job_id, volume, uri, open_place(uri, self._open_store))

    def new_folder(self, name: str) -> Path:
        """Make an empty folder, which goes with the attempt."""
        parent = self.surroundings.work_dir
        if parent is not None:
            parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=parent))
        self._folders.append(folder)
        return folder

    def close(self) -> None:
        """Remove the folders that were made for it."""
        for folder in self._folders:
            shutil.rmtree(folder, ignore_errors=True)

    def add_details(self, details: dict[str, Any]) -> None:
        """Add keys of the author's own to the marker; raises ValueError for one that is not."""
        reserved = self._own_details().keys() | self.task.marker().model_dump().keys()
        if taken := sorted(details.keys() & (reserved - {"total_images"})):
            raise ValueError(f"the marker's {', '.join(taken)} is not for you: take other names")
        self.task.marker(**details).dump()  # what is no JSON is refused while its author looks
        self._details |= details

    def add_result(self, returned: BaseModel) -> None:
        """Take in what the handler has returned, for the marker.

        Raises TerminalError for what cannot stand there or is not what the job demands: another
        attempt would bring the same.
        """
        try:
            found = json_of(returned)
            text = as_text(found)
        except ValueError as error:
            raise TerminalError(f"the result cannot be told: {error}") from None
        schema = self.task.result_schema
        if schema is not None and (fault := fault_of(text, schema)):
            raise TerminalError(f"the result does not fit spec.worker.result: {fault}")
        self._details["result"] = found

    def note_error(self, item: str, message: str) -> None:
        """Count an item that failed, without the task failing for it."""
        self._error_count += 1
        if len(self._errors) < LISTED_ERRORS:
            self._errors.append({"item": in_utf8(item), "message": in_utf8(message)})

    def succeed(self, *, keep_marker: bool = False) -> None:
        """Write the log, then the marker, then say so; raises what keeps the marker away.

        With `keep_marker` one that stands already is good enough, and artefacts may have been
        written by other means, so that nobody knows how many there are.
        """
        self.output.seal()
        kept = keep_marker and self.output.marker() is not None
        if not kept:
            self._check_result()
            self.output.check_expected()
        details = self._own_details() | self._details
        if not keep_marker:
            details |= self._contents()
        self.keep_log()
        if not kept:
            self.output.put_marker(self.task.marker(**details))
        self.finished(None)

    def _check_result(self) -> None:
        """Raise MisconfiguredError if the job demands a result, and this worker has none."""
        if self.task.result_schema is not None and "result" not in self._details:
            raise MisconfiguredError(
                "spec.worker.result demands a result, and there is none: return a pydantic model "
                "from the handler, or leave worker.result out of the Job"
            )

    def _contents(self) -> dict[str, Any]:
        """Return how much was written; a success without anything is told to people."""
        sizes = self.output.sizes
        if not sizes:
            _logger.warning(
                "%s is done, and no artefact was written; a program writes to the folder "
                "BEC_OUTPUT_DIR, a handler with task.write; spec.output.expect can demand some",
                self.task.volume,
            )
        return {"nb_artefacts": len(sizes), "artefact_bytes": sum(sizes.values())}

    def finished(self, failure: Failure | None) -> None:
        """Tell the operator of the end, if it knows of the attempt."""
        if self.link is not None:
            self.link.end(failure)

    def fail(self, error: BaseException) -> Failure:
        """Say everywhere why the attempt has failed, and return it. Raises nothing.

        All of it takes at most ten seconds: after a SIGTERM there are not many more.
        """
        self.output.give_up()
        failure = self._judge(error)
        tell(failure, last_words=not self._pooled)
        log = threading.Thread(target=self.keep_log, daemon=True)
        log.start()
        deadline = time.monotonic() + DELIVERY_SECONDS
        self.finished(failure)
        log.join(max(deadline - time.monotonic(), 0))
        return failure

    def _judge(self, error: BaseException) -> Failure:
        """See the kernel's hand in what nobody understands; tell what no retry can help."""
        failure, of_store = Failure.of(error), _of_store(error)
        if failure.failure != "Retryable":
            return failure
        if of_store is not None and of_store.reason == "KeyRefused":
            return Failure("Terminal", failure.message)
        if of_store is not None and self.stop.requested:
            return Failure("Interrupted", f"{self.stop.reason}, while {failure.message}")
        if oom_kills() > self._oom_kills:
            return Failure("OutOfMemory", f"a process was killed for its memory; {failure.message}")
        return failure

    def _own_details(self) -> dict[str, Any]:
        """Return the marker's keys that are this class's."""
        details: dict[str, Any] = {
            "attempt": self.task.attempt,
            "started": self._started,
            "duration_seconds": round(time.monotonic() - self._begun, 1),
            "nb_errors": self._error_count,
            "errors": self._errors,
        }
        if self.task.expect:
            details["expect_met"] = self.task.expect
        if self._log is not None:
            details["log"] = log_key("", self.task.attempt, self.task.task_uid)
        if (progress := self.meter.progress) is not None:
            details |= {"total_images": progress.done, "unit": progress.unit}
        return details

    def keep_log(self) -> None:
        """Store the log; without it an attempt is as good as with it."""
        if self._log is None:
            return
        tail = self._log.tail()
        try:
            self.output.put_log(log_key("", self.task.attempt, self.task.task_uid), tail)
        except Exception as error:  # noqa: BLE001 - of whatever kind: the task matters more
            _logger.warning("the log cannot be stored: %s", error)
            if self.link is not None:
                self.link.send_log(tail)


def _of_store(error: BaseException) -> StoreError | None:
    """Return what S3 has to do with an error, if it has."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, StoreError):
        cause = cause.__cause__
    return cause


def tell(failure: Failure, *, last_words: bool = True) -> Failure:
    """Leave the reason of a failure to people and, as last words, to the kubelet; return it."""
    _logger.error("%s: %s", failure.failure, failure.message)
    try:
        if last_words:
            write_termination_message(failure.termination_message())
    except OSError as error:
        _logger.warning("no termination message: %s", error)
    return failure


def stopped_at_once() -> None:
    """Do what is to be done before the second signal ends the process."""
    tell(Failure("Interrupted", "told to stop twice"))
