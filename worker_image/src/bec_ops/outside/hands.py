"""Tasks that a person, or a script, takes by hand: each in a seat of its own, kept in the file.

A task is theirs as long as the Job's lease, which each sign of life renews.
"""

import json
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from pydantic import BaseModel, ConfigDict

from bec_ops.contract.errors import MisconfiguredError
from bec_ops.contract.task import Task
from bec_ops.outside.client import Seat
from bec_ops.outside.reports import Records
from bec_ops.outside.seats import sitting

KIND = "hand"
"""How the seats begin that are taken by hand."""


class Given(BaseModel):
    """A task in a hand: whose Job it is of, since when, and until when without a sign of life."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    task: Task
    job: str
    lease_seconds: float | None = None
    since: float  # in seconds since 1970, as is `heard`
    heard: float

    @property
    def until(self) -> str:
        """When it is another's, by the clock on the wall; empty if never."""
        if self.lease_seconds is None:
            return ""
        moment = datetime.fromtimestamp(self.heard + self.lease_seconds, UTC).astimezone()
        return moment.strftime("%Y-%m-%d %H:%M:%S %Z")


@dataclass(frozen=True)
class Hand:
    """A seat that was taken for a Job, and the task in it; None while one is asked for."""

    seat: Seat
    job: str
    given: Given | None = None

    def with_task(self, task: Task, job: str, lease_seconds: float | None) -> "Hand":
        """Return it with a task that has just been given."""
        at = time.time()
        given = Given(task=task, job=job, lease_seconds=lease_seconds, since=at, heard=at)
        return replace(self, given=given)

    def heard_now(self) -> "Hand":
        """Return it with a lease that begins now."""
        if self.given is None:
            return self
        return replace(self, given=self.given.model_copy(update={"heard": time.time()}))


class Hands:
    """All hands of a worker, in the file that its processes share."""

    def __init__(self, records: Records, folder: Path) -> None:
        self._records, self._folder = records, folder

    def all(self) -> list[Hand]:
        """Return the hands, the oldest first."""
        with self._records.open() as records:
            found = records.execute("SELECT seat, process, job, given FROM hands ORDER BY rowid")
            return [
                Hand(Seat(name, process), job, _read(given)) for name, process, job, given in found
            ]

    def keep(self, hand: Hand) -> None:
        """Write a hand down: before it asks, so that what it is given is found again."""
        given = None if hand.given is None else hand.given.model_dump_json()
        with self._records.open() as records:
            records.execute(
                "INSERT INTO hands (seat, process, job, given) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (seat) DO UPDATE SET given = excluded.given",
                (hand.seat.name, hand.seat.process, hand.job, given),
            )

    def drop(self, hand: Hand) -> None:
        """Forget a hand that is empty."""
        with self._records.open() as records:
            records.execute("DELETE FROM hands WHERE seat = ?", (hand.seat.name,))

    def for_job(self, job: str) -> Hand:
        """Return a hand that may ask for a task of a Job.

        One that never heard an answer, as its process was ended, has the first turn: the operator
        may have given it a task, and gives it again.
        """
        for hand in self.all():
            if hand.given is None and hand.job == job:
                with sitting(self._folder, hand.seat.name) as free:
                    if free:
                        return hand
        return Hand(Seat.new(f"{KIND}-{uuid4().hex[:12]}"), job)

    def find(self, name: str) -> tuple[Hand, Given]:
        """Return the hand that has a task, by the begin of its UID or its volume, or the only one.

        Raises MisconfiguredError if none is meant, or more than one.
        """
        held = [(hand, hand.given) for hand in self.all() if hand.given is not None]
        meant = [(hand, given) for hand, given in held if _is_meant(given, name)]
        if len(meant) == 1:
            return meant[0]
        if not held:
            raise MisconfiguredError("no task is in hand: bec-worker next JOB takes one")
        there = ", ".join(given.task.task_uid for _, given in held)
        if not meant:
            raise MisconfiguredError(f"no task {name!r} is in hand; there are {there}")
        raise MisconfiguredError(f"which task is meant? Write one of {there}")


def _is_meant(given: Given, name: str) -> bool:
    return given.task.task_uid.startswith(name) or str(given.task.volume) == name


def _read(text: str | None) -> Given | None:
    return None if text is None else Given.model_validate(json.loads(text))
