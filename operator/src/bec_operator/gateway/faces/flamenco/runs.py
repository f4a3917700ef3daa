"""What is known of attempts in Flamenco Workers since this operator runs: logs, and how far."""

import asyncio
import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field

from bec_operator.gateway.faces.flamenco.commands import number_of_commands, task_id
from bec_operator.gateway.faces.flamenco.documents import Update
from bec_operator.gateway.holding import Holding
from bec_operator.worker_api.callers.refusals import CallRefusedError
from bec_ops.contract.protocol import LOG_BYTES, MESSAGE_CHARACTERS, Progress

OVERTAKEN = 20.0
"""Seconds for which a worker that asks for more gets nothing, if its last word may yet come."""
_REMEMBERED = 1000  # attempts; the one of which nothing was heard for longest is forgotten first
_LAST_LINES = 5  # of a log, in the message of a failure


@dataclass(slots=True)
class Run:
    """One attempt. Of its log the end is kept; `saved` is when that was stored last.

    `earlier`: some of it may be stored that is not here. `heard`: the worker has it, as it has
    told. `ending` takes in how it ended, which was told first at `end_told`; `ended`: that is done.
    """

    holding: Holding
    earlier: bool
    heard: bool
    log: str = ""
    unsaved: bool = False
    saved: float = 0.0
    activity: int = 0
    progress: Progress | None = None
    ending: "asyncio.Task[CallRefusedError | None] | None" = None
    end_told: float | None = None
    ended: bool = False
    saving: asyncio.Lock = field(default_factory=asyncio.Lock)
    _last: bytes = b""
    _asked: float | None = field(default=None)

    def take(self, update: Update) -> None:
        """Take in an update. What comes twice, as its answer was late, counts once."""
        self.heard, self._asked = True, None
        self.take_log(update.log)
        if progress := self._progress_of(update):
            self.activity += progress != self.progress
            self.progress = progress

    def take_log(self, text: str) -> None:
        """Take in lines of the log, each of which has its time."""
        digest = hashlib.sha256(text.encode()).digest()
        if not text or digest == self._last:
            return
        self._last, self.unsaved = digest, True
        self.activity += 1
        self.log = _end_of(f"{self.log}\n{text}" if self.log else text)

    def end(self) -> None:
        """Take in that it has ended, and that this is stored."""
        self.ended = True
        self.let_go()

    def let_go(self) -> None:
        """Forget the log of an attempt that has ended, once it is stored."""
        if self.ended and self.log and not self.unsaved and not self.saving.locked():
            self.log, self.earlier = "", True

    def put_before(self, earlier: str) -> None:
        """Take in what is stored of the log and is not here."""
        self.earlier = False
        if earlier:
            self.log = _end_of(f"{earlier}\n{self.log}" if self.log else earlier)

    def may_be_over(self, now: float) -> bool:
        """Whether the worker, which asks for more, may have said how it ended: it is on its way.

        After a while it is not, and the worker has to do it again.
        """
        if not self.heard:
            return False
        if self._asked is None:
            self._asked = now
        if now - self._asked < OVERTAKEN:
            return True
        self.heard, self._asked = False, None
        return False

    def message(self, update: Update) -> str:
        """Return why it has failed: what the worker was about, and the last lines of its log."""
        lines = "\n".join(self.log.splitlines()[-_LAST_LINES:])
        told = "\n".join(part for part in (update.activity, lines) if part)
        return told[-MESSAGE_CHARACTERS:] or "the worker said that it failed, and not why"

    def _progress_of(self, update: Update) -> Progress | None:
        if update.task_progress_percentage:
            done = int(update.task_progress_percentage)
            return Progress(done=done, total=100, unit="percent")
        total = number_of_commands(self.holding.task)
        if total is None or update.task_status != "active":
            return None
        done = update.current_command_idx + (update.command_progress_percentage >= 100)
        return Progress(done=min(done, total), total=total, unit="commands")


class Runs:
    """All of them, by the id of the task as its worker knows it."""

    def __init__(self) -> None:
        self._runs: OrderedDict[str, Run] = OrderedDict()

    def get(self, known_as: str, worker_id: str) -> Run | None:
        """Return what is known of a task that a worker has, or had."""
        run = self._runs.get(known_as)
        return run if run is not None and run.holding.seat.worker.id == worker_id else None

    def of(self, holding: Holding, *, given: bool = False, adopted: bool = False) -> Run:
        """Return what is known of a task; `given`: just now, `adopted`: by another operator."""
        known_as = id_of(holding)
        run = self._runs.get(known_as)
        if run is None:
            run = self._runs[known_as] = Run(holding, earlier=not given, heard=adopted)
            if len(self._runs) > _REMEMBERED:
                self._runs.popitem(last=False)
        run.holding = holding
        self._runs.move_to_end(known_as)
        return run

    def all(self) -> list[Run]:
        """Return all of which something is known."""
        return list(self._runs.values())


def id_of(holding: Holding) -> str:
    """Return the id of the task that a worker has."""
    return task_id(holding.task.task_uid, holding.task.attempt)


def _end_of(text: str) -> str:
    return text.encode()[-LOG_BYTES:].decode(errors="ignore")
