"""The task as its handler sees it: what to work on, where to write, how far it is."""

from collections.abc import Iterable, Iterator, Sized
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from bec_ops.contract.volume import Volume
from bec_ops.dependency import Dependency
from bec_ops.link.meter import DEFAULT_UNIT
from bec_ops.runtime.attempt import Attempt

T = TypeVar("T")


class RunningTask:
    """One volume of a job. The marker is written for you when your handler returns."""

    def __init__(self, attempt: Attempt) -> None:
        task = attempt.task
        self._attempt = attempt
        self.job_id: str = task.job_id
        self.volume: Volume = task.volume
        self.attempt: int = task.attempt
        self.worker_id: str = task.worker_id

    @property
    def bucket(self) -> str:
        """The bucket of the output."""
        return self._attempt.task.bucket

    @property
    def prefix(self) -> str:
        """The key prefix of the output, ending in ``/``."""
        return self._attempt.task.prefix

    @cached_property
    def work_dir(self) -> Path:
        """An empty folder for files that nobody needs later."""
        return self._attempt.new_folder("task")

    def dependency(self, job_id: str) -> Dependency:
        """Return what a job that this one depends on has written for the same volume.

        Raises MisconfiguredError for a job that is not under `dependsOn`.
        """
        return self._attempt.dependency(job_id)

    def track(
        self, items: Iterable[T], total: int | None = None, unit: str = DEFAULT_UNIT
    ) -> Iterator[T]:
        """Yield the items, and count each as done when the next one is asked for.

        This is progress, sign of life and stop in one: between two items it raises Interrupted if
        the task is to stop. `total` is only needed where `items` has no length.
        """
        meter = self._attempt.meter
        meter.start(len(items) if total is None and isinstance(items, Sized) else total, unit)
        for item in items:
            self._attempt.stop.check()
            yield item
            meter.advance()

    @property
    def should_stop(self) -> bool:
        """Whether to stop soon. A handler that has seen True has not done its task."""
        return self._attempt.stop.look()

    def write(self, name: str, data: bytes | str, content_type: str = "") -> None:
        """Write an artefact; its type is guessed from its name. May be used from many threads."""
        self._attempt.output.write(name, data, content_type)

    def upload(self, file: Path, name: str = "", content_type: str = "") -> None:
        """Write an artefact from a file, by the file's name where no other is given."""
        self._attempt.output.upload(name or file.name, file, content_type)

    def note_error(self, item: object, message: object) -> None:
        """List an item that failed in the marker; the volume can succeed all the same."""
        self._attempt.note_error(str(item), str(message))

    def details(self, **details: Any) -> None:
        """Add keys to the marker."""
        self._attempt.add_details(details)
