"""Tries a worker on one volume, with no cluster: for authors, at a terminal."""

import json
import logging
import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)

from bec_ops.contract import protocol
from bec_ops.contract.errors import Failure, MisconfiguredError
from bec_ops.contract.patterns import check_patterns
from bec_ops.contract.s3.places import Place, open_place
from bec_ops.contract.s3.store import READ_AT_MOST, Content
from bec_ops.contract.s3.transfers import Watch
from bec_ops.contract.task import FILE_SCHEME, Task, worker_id
from bec_ops.contract.volume import Volume, check_id, check_volume
from bec_ops.link.environment import Surroundings
from bec_ops.link.meter import Meter
from bec_ops.link.stopping import Stop, signals_stop
from bec_ops.runtime.attempt import Attempt
from bec_ops.runtime.running import Prepare, show_traceback

JOB_ID = "by-hand"
"""The job that a volume tried by hand belongs to, unless the author names one."""

_INTERRUPTED = 130  # as a shell says of a Ctrl-C


@dataclass(frozen=True)
class Wish:
    """What an author wants to try. `output` is ``s3://bucket/prefix/`` or a folder.

    So is each of `dependencies`, written ``job_id=place``: what that job wrote for the volume.
    `expect` are patterns of artefacts that must be there in the end.
    """

    volume: Volume
    output: str
    handler: str = ""
    parameters: str = "{}"
    job_id: str = JOB_ID
    dependencies: tuple[str, ...] = ()
    expect: tuple[str, ...] = ()

    def task(self) -> Task:
        """Make the task of it; raises MisconfiguredError with what is wrong."""
        try:
            check_volume(self.volume)
            check_id(self.job_id)
            check_patterns(self.expect)
        except ValueError as error:
            raise MisconfiguredError(str(error)) from None
        return Task(
            job_id=self.job_id,
            handler=self.handler,
            **self.volume._asdict(),
            output_uri=_uri(self.output),
            parameters=self._parameters(),
            expect=self.expect,
            worker_id=worker_id(),
        )

    def dependency_uris(self) -> dict[str, str]:
        """Return where the artefacts of other jobs are; raises MisconfiguredError likewise."""
        found = {}
        for text in self.dependencies:
            job_id, _, place = text.partition("=")
            if not job_id or not place:
                raise MisconfiguredError(
                    f"the dependency {text!r}: write job_id=s3://bucket/prefix/ or job_id=./folder"
                )
            found[job_id] = _uri(place)
        return found

    def _parameters(self) -> dict[str, Any]:
        try:
            found = json.loads(self.parameters)
        except ValueError as error:
            raise MisconfiguredError(f"the parameters are not JSON: {error}") from None
        if not isinstance(found, dict):
            raise MisconfiguredError(f'the parameters are {found!r}: write {{"name": value, …}}')
        return found


def _uri(place: str) -> str:
    if not place.startswith("s3://"):
        return f"{FILE_SCHEME}{Path(place).resolve()}/"
    bucket, _, prefix = place.removeprefix("s3://").strip("/").partition("/")
    if not bucket or not prefix:
        raise MisconfiguredError(f"the place {place!r}: write s3://bucket/prefix/")
    return f"s3://{bucket}/{prefix}/"


class NotingPlace:
    """A place that notes what is written to it, for the author to see."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.names: list[str] = []

    def put(self, name: str, body: bytes, content_type: str) -> None:
        """Write an object."""
        self._place.put(name, body, content_type)
        self.names.append(name)

    def upload(self, name: str, file: Path, content_type: str, watch: Watch) -> None:
        """Write an object from a file."""
        self._place.upload(name, file, content_type, watch)
        self.names.append(name)

    def fetch(self, name: str, limit: int = READ_AT_MOST) -> Content | None:
        """Return an object, or None if there is none."""
        return self._place.fetch(name, limit)

    def listed(self) -> Iterator[str]:
        """Yield the names of all objects."""
        return self._place.listed()

    def written(self, name: str) -> datetime | None:
        """Return when an object was last written; None if there is none."""
        return self._place.written(name)


def run_by_hand(wish: Wish, prepare: Prepare, console: Console) -> int:
    """Do the volume, done before or not, and show what comes of it; 0, 1, or 130 if stopped."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    stop = Stop()

    def at_once() -> None:
        console.show_cursor()
        os._exit(_INTERRUPTED)

    try:
        task = wish.task()
        with _bar(console) as bar, signals_stop(stop, at_once):
            place = NotingPlace(open_place(task.output_uri))
            attempt = Attempt(
                task,
                Surroundings(),
                stop,
                place=place,
                meter=_meter(bar),
                dependencies=wish.dependency_uris(),
            )
            with closing(attempt):
                prepare(task)(attempt)
                attempt.succeed()
    except BaseException as error:  # noqa: BLE001 - whatever ends the work is shown
        show_traceback(error)
        failure = Failure.of(error)
        console.print(f"[red]{failure.failure}[/]: {escape(failure.message)}")
        return _INTERRUPTED if failure.failure == "Interrupted" else 1
    _show(console, task, place, attempt)
    return 0


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}"),
        TimeElapsedColumn(),
        console=console,
    )


def _meter(bar: Progress) -> Meter:
    """Return a meter that moves the bar."""
    row = bar.add_task("working", total=None, unit="")

    def move(progress: protocol.Progress) -> None:
        bar.update(row, completed=progress.done, total=progress.total, unit=progress.unit)

    return Meter(on_change=move)


def _show(console: Console, task: Task, place: NotingPlace, attempt: Attempt) -> None:
    marker = attempt.output.marker()
    assert marker is not None
    for name in place.names:
        console.print(f"[green]wrote[/] {escape(task.output_uri + name)}")
    details: dict[str, Any] = json.loads(marker.dump())
    console.print_json(data=details)
