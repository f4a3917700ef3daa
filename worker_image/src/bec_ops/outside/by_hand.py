"""What a person, or a script, does with a task: takes it, keeps it, says what became of it."""

import logging
import random
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any

from pydantic import ValidationError

from bec_ops.contract.errors import Failure, MisconfiguredError, RetryableError, TerminalError
from bec_ops.contract.faults import explain
from bec_ops.contract.marker import InvalidMarker, Marker
from bec_ops.contract.protocol import Assigned, Directive, Held
from bec_ops.contract.s3.places import open_place
from bec_ops.contract.task import Task
from bec_ops.link.operator_client import WAIT_SECONDS, RefusedError, UnreachableError
from bec_ops.outside.client import Offer, OutsideClient, Seat
from bec_ops.outside.hands import Given, Hand, Hands
from bec_ops.outside.identity import StateFolder
from bec_ops.outside.keys import Keys
from bec_ops.outside.reports import KeptReports, Records
from bec_ops.outside.seated import identity_of
from bec_ops.outside.seats import sitting
from bec_ops.runtime.outputs import TaskOutput

_DELIVERY = 5.0  # seconds that a command tries to tell a report
_PAUSE = 1.0  # seconds, at most, between two questions to an operator that does not answer
_logger = logging.getLogger(__name__)


class Outcome(IntEnum):
    """What `bec-worker next` ends with. Of an error nobody can take the end of the Job."""

    TASK = 0
    ERROR = 1
    OVER = 3
    TIMEOUT = 4


class ByHand:
    """One worker, as the commands of a person use it; raises what its configuration lacks."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._folder = StateFolder(keys.state)
        self.identity = identity_of(keys, self._folder)
        self.records = Records(self._folder.path)
        self.hands = Hands(self.records, self._folder.path)

    def next(self, job: str, timeout: float) -> tuple[Outcome, Given | None]:
        """Take a task of a Job, waiting for so many seconds at most.

        Raises UnreachableError if the operator did not answer in the end, RefusedError if it
        refuses.
        """
        hand = self.hands.for_job(job)
        with sitting(self._folder.path, hand.seat.name) as free:
            if not free:  # another command was faster
                return self.next(job, timeout)
            self.hands.keep(hand)
            answer = self._ask(hand, time.monotonic() + timeout)
            if answer.task is None:
                self.hands.drop(hand)
                return Outcome.OVER if answer.over else Outcome.TIMEOUT, None
            hand = hand.with_task(answer.task, answer.job, answer.lease_seconds)
            self.hands.keep(hand)
            return Outcome.TASK, hand.given

    def _ask(self, hand: Hand, deadline: float) -> Assigned:
        """Ask for a task until there is one, or the Job is over, or the time is."""
        offer = Offer((hand.job,), self._keys.handlers, self._keys.site, beats=False)
        client = self._client(hand.seat, offer)
        while True:
            left = max(deadline - time.monotonic(), 0.0)
            begun = time.monotonic()
            try:
                answer = client.next_within(min(left, WAIT_SECONDS))
            except UnreachableError:
                if left <= 0:
                    raise
            else:
                if answer.task is not None or answer.over or left <= 0:
                    return answer
            if time.monotonic() - begun < _PAUSE:
                time.sleep(min(left, _PAUSE * random.uniform(0.5, 1.0)))  # noqa: S311 - no secret

    def done(self, name: str, *, marker: bool = True, result: dict[str, Any] | None = None) -> Task:
        """Write the marker of a task, unless it stands, and say that it is done.

        `result` is what stands in the marker as a handler's does that it returns.
        Without `marker` that is left to the operator, where the Job says so. Raises StoreError if
        S3 does not answer, MissingArtefactsError if something is not there that the Job expects;
        the task stays in hand then. Raises RefusedError if the operator does not know the worker.
        """
        hand, given = self.hands.find(name)
        if marker:
            output = TaskOutput(open_place(given.task.output_uri), given.task)
            if output.marker() is None:
                output.check_expected()
                output.put_marker(_marker(given, result))
        self._tell(hand, given.task, "done", {})
        return given.task

    def failed(self, name: str, *, final: bool, message: str) -> Task:
        """Say that a task has failed; unless that is final, it may be tried again."""
        hand, given = self.hands.find(name)
        said = message or "given up by hand"
        failure = Failure.of(TerminalError(said) if final else RetryableError(said))
        fields = {"failure": failure.failure, "message": failure.short_message}
        self._tell(hand, given.task, "failed", fields)
        return given.task

    def beat(self, task_uid: str = "") -> Iterator[tuple[Given, str]]:
        """Give a sign of life for one task, or for all; yield each, and why it is lost, if it is.

        Nothing is yielded for a task that is not in hand any more.
        Raises UnreachableError if the operator does not answer.
        """
        for hand in self.hands.all():
            if hand.given is not None and task_uid in ("", hand.given.task.task_uid):
                yield hand.given, self._beat(hand, hand.given.task)

    def held(self) -> list[tuple[Held, Given | None]]:
        """Return what the operator says the worker has, with what is known of it here.

        Hands are put right by it: a task whose answer was lost is found again, and one that is
        another's by now is put down, once the operator has said so of that very one.
        """
        holds = self._client(Seat("", "0" * 32)).mine().held
        by_seat = {held.seat: held for held in holds}
        for hand in self.hands.all():
            held = by_seat.get(hand.seat.name)
            if hand.given is None and held is not None:
                self.hands.keep(hand.with_task(held.task, held.job, None))
            if hand.given is not None and held is None:
                if why := self._beat(hand, hand.given.task):  # it is put down if it is another's
                    _logger.warning(
                        "%s is not this worker's any more: %s", hand.given.task.volume, why
                    )
            elif held is not None and hand.given is not None and _is_another(held, hand.given):
                _logger.warning("%s is not this worker's any more", hand.given.task.volume)
                self.hands.drop(hand)
        known = {hand.seat.name: hand.given for hand in self.hands.all()}
        return [(held, known.get(held.seat)) for held in holds]

    def tell_waiting(self) -> None:
        """Tell what earlier commands could not, if the operator answers now."""
        in_hand = {hand.seat.name for hand in self.hands.all()}
        for seat in self.records.seats():
            with sitting(self._folder.path, seat.name) as free:
                if free and seat.name not in in_hand:
                    KeptReports(self.records, seat).deliver(self._client(seat).report)

    def _beat(self, hand: Hand, task: Task) -> str:
        # Each is a sign of progress: a person need not say how far the work is.
        fields = {"task_uid": task.task_uid, "attempt": task.attempt, "activity": int(time.time())}
        try:
            answer = self._client(hand.seat).heartbeat(**fields)
        except RefusedError as refusal:
            if not refusal.is_over:
                raise
            self.hands.drop(hand)
            return str(refusal)
        if answer.directive is Directive.ABORT:
            return f"aborted by the operator: {answer.reason or 'no reason given'}"
        self.hands.keep(hand.heard_now())
        return ""

    def _tell(self, hand: Hand, task: Task, kind: str, fields: Mapping[str, object]) -> None:
        reports = KeptReports(self.records, hand.seat)
        reports.add(kind, {"task_uid": task.task_uid, "attempt": task.attempt, **fields})
        self.hands.drop(hand)
        client = self._client(hand.seat)
        if not reports.deliver(client.report, _DELIVERY):
            with suppress(UnreachableError):
                client.mine()  # refused, if the operator does not know us any more
            _logger.warning("the operator does not answer: that is kept, and told by the next call")

    def _client(self, seat: Seat, offer: Offer | None = None) -> OutsideClient:
        return OutsideClient(lambda: self.identity, seat, offer)


def _is_another(held: Held, given: Given) -> bool:
    return held.task.task_uid != given.task.task_uid


def _marker(given: Given, result: dict[str, Any] | None) -> Marker:
    """Return the marker of a task; raises MisconfiguredError if the result is not as demanded."""
    try:
        made = given.task.marker(**_details(given), result=result)
        made.check_result(given.task.result_schema)
    except ValidationError as error:
        raise MisconfiguredError(f"the result cannot be told: {explain(error)[:500]}") from None
    except InvalidMarker as error:
        raise MisconfiguredError(f"{error}; give it by --result FILE") from None
    return made


def _details(given: Given) -> dict[str, object]:
    """Return the marker's keys about the attempt; nobody knows what was written, and how."""
    started = datetime.fromtimestamp(given.since, UTC).isoformat(timespec="seconds")
    details: dict[str, object] = {
        "attempt": given.task.attempt,
        "started": started,
        "duration_seconds": round(time.time() - given.since, 1),
    }
    if given.task.expect:
        details["expect_met"] = given.task.expect
    return details
