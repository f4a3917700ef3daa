"""What one task writes: its artefacts, and last of all its marker."""

import logging
import mimetypes
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from bec_ops.contract.errors import (
    MisconfiguredError,
    MissingArtefactsError,
    RetryableError,
    TerminalError,
)
from bec_ops.contract.expected import look
from bec_ops.contract.location import LOG_FOLDER, is_under
from bec_ops.contract.marker import MARKER_NAME, MAX_MARKER_BYTES, InvalidMarker, Marker
from bec_ops.contract.patterns import unmatched
from bec_ops.contract.s3.places import Place
from bec_ops.contract.s3.store import TooLargeError
from bec_ops.contract.s3.transfers import Watch, ignore
from bec_ops.contract.task import Task
from bec_ops.runtime.snapshot import unchanged

_logger = logging.getLogger(__name__)


class TaskOutput:
    """What one task writes, from any thread, and last of all its marker.

    A write that failed and was not made good fails the task, even if nobody looked at the error.
    `watch` sees files move, and may give them up.
    """

    def __init__(self, place: Place, task: Task, watch: Watch = ignore) -> None:
        self._place, self._task, self._watch = place, task, watch
        self._changed = threading.Condition()
        self._under_way = 0
        self._failed: dict[str, BaseException] = {}
        self._sizes: dict[str, int] = {}  # of what is written
        self._sealed = self._given_up = False

    def write(self, name: str, data: bytes | str, content_type: str = "") -> None:
        """Write an artefact; a text is written in UTF-8."""

        def put() -> int:
            body = data.encode() if isinstance(data, str) else data
            self._place.put(name, body, content_type or _kind(name))
            return len(body)

        self._write(name, put)

    def upload(self, name: str, file: Path, content_type: str = "", watch: Watch = ignore) -> None:
        """Write an artefact from a file; raises RetryableError if it changes meanwhile.

        `watch` sees this one move, and may give it up.
        """

        def watched(moved: int) -> None:
            if self._given_up:
                raise RetryableError("given up, as its attempt has ended")
            self._watch(moved)
            watch(moved)

        def upload() -> int:
            size = file.stat().st_size
            with unchanged(file):
                self._place.upload(name, file, content_type or _kind(name), watched)
            return size

        self._write(name, upload)

    def seal(self) -> None:
        """Wait for the artefacts that are being written, and let no further ones begin.

        Raises RetryableError if any could not be written, and what stopped one that was stopped.
        """
        with self._changed:
            self._sealed = True
            self._changed.wait_for(lambda: not self._under_way)
            failed = dict(self._failed)
        for name, error in failed.items():
            if not isinstance(error, Exception):
                raise error
            raise RetryableError(
                f"{len(failed)} of the artefacts could not be written, such as {name}: {error}"
            ) from error

    def give_up(self) -> None:
        """Let no further artefacts begin, and have those end that are being uploaded.

        An attempt that has failed has this, and waits for nothing: threads that its handler has
        left behind would write beside the marker of a later one.
        """
        with self._changed:
            self._sealed = self._given_up = True

    @property
    def is_writing(self) -> bool:
        """Whether an artefact is being written at this moment."""
        return self._under_way > 0

    @property
    def sizes(self) -> Mapping[str, int]:
        """The bytes of each artefact that was written, by its name."""
        return self._sizes

    def check_expected(self) -> None:
        """Raise MissingArtefactsError if something is not there that the job expects.

        What was not written here is looked for in the place itself: an earlier attempt may have
        written it, or somebody else for this one.
        """
        task = self._task
        left = list(task.expect)
        for name in self._sizes:
            if not left:
                return
            left = unmatched(left, name)
        found = look(self._place, left, task.redo_at)
        if found.missing:
            raise MissingArtefactsError(f"{task.output_uri}: {found.sentence()}")
        if left and self._sizes:
            _logger.info("there already, and not written by this attempt: %s", ", ".join(left))

    def put_log(self, name: str, tail: bytes) -> None:
        """Write the attempt's log."""
        self._place.put(name, tail, "text/plain; charset=utf-8")

    def put_marker(self, marker: Marker) -> None:
        """Say that the task is done, once everything else is written."""
        body = marker.dump()
        if len(body) > MAX_MARKER_BYTES:
            raise TerminalError(
                f"the marker would have {len(body)} bytes, and what has more than "
                f"{MAX_MARKER_BYTES} is none: give less to task.details()"
            )
        self._place.put(MARKER_NAME, body, "application/json")

    def marker(self) -> Marker | None:
        """Return the task's marker; None if there is none, or none that is valid and counts.

        One that does not say that what is expected was found counts if it is there.
        """
        try:
            found = self._place.fetch(MARKER_NAME, MAX_MARKER_BYTES)
            if found is None:
                return None
            marker = Marker.parse(found.body, self._task.job_id, self._task.volume)
        except (InvalidMarker, TooLargeError):
            return None
        if not marker.counts(self._task.redo_at, found.last_modified):
            return None
        return marker if holds(marker, self._task, self._place) else None

    def _write(self, name: str, write: Callable[[], int]) -> None:
        """Do what writes an artefact and returns its bytes.

        Whatever keeps it from being written counts, a name that is refused and a stop included:
        in a thread nobody may look at it.
        """
        with self._writing():
            try:
                check_name(name)
                size = write()
            except BaseException as error:
                self._failed[name] = error
                raise
            self._failed.pop(name, None)
            self._sizes[name] = size

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._changed:
            if self._sealed:
                raise MisconfiguredError("the task has ended: write all artefacts before that")
            self._under_way += 1
        try:
            yield
        finally:
            with self._changed:
                self._under_way -= 1
                self._changed.notify_all()


def holds(marker: Marker, task: Task, place: Place) -> bool:
    """Whether what the task's job expects is at a place whose marker is valid, and in that."""
    try:
        marker.check_result(task.result_schema)
    except InvalidMarker:
        return False
    if marker.meets(task.expect):
        return True
    return not look(place, task.expect, task.redo_at).missing


def check_name(name: str) -> None:
    """Refuse what is no name of an artefact; raises ValueError that says what to write."""
    parts = PurePosixPath(name).parts
    if not name or name != "/".join(parts) or name.startswith("/") or ".." in parts:
        raise ValueError(f"{name!r} is no name of an artefact: write 'page-1.txt' or 'text/1.txt'")
    if "\\" in name:
        raise ValueError(f"{name!r}: some stores take a backslash for a slash; write another name")
    if is_under(MARKER_NAME, name):
        raise ValueError(
            f"{name!r}: {MARKER_NAME} is written for you, last of all; give your keys to "
            "task.details()"
        )
    if is_under(LOG_FOLDER, name):
        raise ValueError(f"{name!r}: {LOG_FOLDER} is the place of logs; choose another folder")


def _kind(name: str) -> str:
    guessed, encoding = mimetypes.guess_type(name)
    if guessed is None or encoding is not None:
        return "application/octet-stream"
    return f"{guessed}; charset=utf-8" if guessed.startswith("text/") else guessed
