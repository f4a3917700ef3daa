"""Workers from elsewhere that behave as `bec-worker` does, and now and then as badly as they can.

Each is a thread: an identity whose processes come and go. What it does is decided by its seed.
"""

import json
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import urllib3
from botocore.exceptions import ClientError
from mypy_boto3_s3 import S3Client

from bec_ops.contract.marker import MARKER_NAME
from bec_ops.contract.task import Task
from tests.support.callers import Answer
from tests.support.outsiders import Outsider

PATIENCE = 4.0  # seconds for an answer
WAIT = 2.0  # seconds for which the operator looks for a task
BEAT = 0.8  # seconds between two signs of life
ACTS = {"well": 78, "fails": 4, "vanishes": 5, "sleeps": 4, "twice": 5, "steals": 4}
WRITES = "writes"  # in the parameters of a Job: whether its workers write the marker


class OverError(Exception):
    """The process has nothing more to do here: another one has taken over, or it was told so."""


@dataclass
class Run:
    """A task as one process had it. `finished`: all its work was done; `said`: what was heard."""

    who: str
    session: str
    task: Task
    finished: bool = False
    said: list[tuple[str, int]] = field(default_factory=list)


@dataclass
class Notes:
    """What all workers have done and seen, which is what the judge goes by."""

    runs: list[Run] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    acts: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)


class Worker(threading.Thread):
    """One identity, until `end`."""

    def __init__(
        self, number: int, seed: int, url: str, ca: Path, s3: S3Client, notes: Notes
    ) -> None:
        super().__init__(name=f"worker-{number}", daemon=True)
        self._chance = random.Random(f"{seed}/{number}")
        self._clock = timedelta(hours=self._chance.choice([0, 0, -1, 1]))
        self._notes, self._s3 = notes, s3
        self._me = Outsider(url, ca, self.name)
        self._me.patience = PATIENCE + WAIT
        self._end = threading.Event()
        self.broke: str = ""

    def enrol(self, token: str) -> None:
        """Come in, however often that takes."""
        self._insist(lambda: self._me.enrol(token))

    def end(self) -> None:
        """Let it end, once it has no task."""
        self._end.set()

    def run(self) -> None:
        """Be one process after the other."""
        try:
            while not self._end.is_set():
                try:
                    self._live()
                except OverError:
                    self._me.process = uuid4().hex
        except Exception as error:  # noqa: BLE001 - the judge is to hear of it
            self.broke = f"{self.name}: {error!r}"

    # --- calls

    def _insist(self, call: Any) -> Answer:
        """Make a call until it is answered, and not to wait; raises OverError."""
        while True:
            try:
                answer: Answer = call()
            except (urllib3.exceptions.HTTPError, ValueError):
                answer = Answer(0, {})
            word = answer.body.get("error", "")
            self._notes.answers[f"{answer.status} {word}".strip()] += 1
            if answer.status == 200 or word in {"Gone", "Forbidden", "Invalid"}:
                return answer
            if word == "StaleSession":
                raise OverError
            if word == "UnknownSession":
                self._insist(self._me.register)
                continue
            if word == "Unauthenticated":
                self._notes.wrong.append(f"{self.name} is not known: {answer.body}")
            time.sleep(self._chance.uniform(0.1, 0.6))

    def _live(self) -> None:
        """Be a process that takes task after task."""
        self._insist(self._me.register)
        while not self._end.is_set():
            answer = self._insist(lambda: self._me.next(WAIT))
            if answer.status != 200:
                raise AssertionError(f"`next` is answered with {answer}")
            if given := answer.body["task"]:
                self._do(Task.model_validate(given), answer.body["lease_seconds"])

    # --- tasks

    def _do(self, task: Task, lease: float) -> None:
        act = self._chance.choices(list(ACTS), list(ACTS.values()))[0]
        self._notes.acts[act] += 1
        run = Run(self._me.worker_id, self._me.session, task)
        self._notes.runs.append(run)
        if act == "vanishes":
            time.sleep(self._chance.uniform(0, 2 * lease))
            raise OverError
        if act == "sleeps":
            time.sleep(1.6 * lease)
        elif not self._work(run, lease):
            return
        if act == "twice":
            self._come_twice(run)
        if act == "steals":
            self._steal()
        self._tell(run, fails=act == "fails")

    def _work(self, run: Run, lease: float) -> bool:
        """Work, and give signs of life; return whether it came to the end."""
        until = time.monotonic() + self._chance.choice([0.2, 1.0, 2.5, 7.0])
        heard = time.monotonic()
        while time.monotonic() < until:
            time.sleep(BEAT)
            try:
                answer = self._me.report("heartbeat", activity=1)
            except (urllib3.exceptions.HTTPError, ValueError):
                answer = Answer(0, {})
            word = answer.body.get("error", "")
            run.said.append((f"heartbeat {word}", answer.status))
            if word == "UnknownSession":
                self._insist(self._me.register)
            elif word == "StaleSession":
                raise OverError
            elif word == "Gone":
                return False
            elif answer.status == 200:
                heard = time.monotonic()
                if answer.body["directive"] == "abort":
                    return self._give_back(run)
            if time.monotonic() - heard > lease:
                return False
        return True

    def _give_back(self, run: Run) -> bool:
        self._report(run, "failed", failure="Interrupted", message="told to stop")
        return False

    def _tell(self, run: Run, *, fails: bool) -> None:
        """Say how it went, the marker first where it is ours to write."""
        if fails:
            self._report(run, "failed", failure="Retryable", message="by chance")
            return
        if run.task.parameters[WRITES]:
            self._write(run)
        run.finished = True
        self._report(run, "done")

    def _report(self, run: Run, call: str, **fields: Any) -> None:
        answer = self._insist(lambda: self._me.report(call, **fields))
        run.said.append((call, answer.status))

    def _write(self, run: Run) -> None:
        """Write an artefact, then the marker unless one stands, by our own clock."""
        task = run.task
        at = (datetime.now(UTC) + self._clock).isoformat(timespec="milliseconds")
        marker = task.marker(task_uid=task.task_uid, attempt=task.attempt, session=run.session)
        body = marker.model_copy(update={"success_timestamp": at}).dump()
        name = f"{task.prefix}page-{task.attempt}.txt"
        self._s3.put_object(Bucket=task.bucket, Key=name, Body=json.dumps(run.who).encode())
        try:
            self._s3.put_object(
                Bucket=task.bucket, Key=task.prefix + MARKER_NAME, Body=body, IfNoneMatch="*"
            )
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != 412:
                raise

    # --- what nobody should do

    def _come_twice(self, run: Run) -> None:
        """Let another process come in beside this one; this one goes on as if it had not."""
        first = self._me.process
        self._me.process, run.finished = uuid4().hex, False
        self._insist(self._me.register)
        self._me.process, other = first, (self._me.process, self._me.session)
        self._me.session = run.session
        try:
            self._tell(run, fails=False)
        except OverError:
            self._notes.acts["one of two was told to end"] += 1
        self._me.process, self._me.session = other

    def _steal(self) -> None:
        """Report the task of somebody else, as ourselves and in the other's session."""
        run = self._chance.choice(self._notes.runs[-40:])
        mine = (self._me.about, self._me.session)
        if run.who == self._me.worker_id:
            return
        self._me.about = {"task_uid": run.task.task_uid, "attempt": run.task.attempt}
        for session in (mine[1], run.session):
            self._me.session = session
            call = self._chance.choice(["done", "failed"])
            fields = {"failure": "Terminal"} if call == "failed" else {}
            try:
                answer = self._me.report(call, **fields)
            except (urllib3.exceptions.HTTPError, ValueError):
                continue
            if answer.status == 200:
                self._notes.wrong.append(f"{self.name} could report {replace(run, said=[])}")
        self._me.about, self._me.session = mine
