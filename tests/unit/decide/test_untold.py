"""Markers of which S3 does not tell: how often they are asked for, and what people are told."""

from bec_operator.decide.attempts.task import success_status
from bec_operator.decide.jobs.stalls import stall
from bec_operator.decide.jobs.tally import Tally
from bec_operator.decide.memory.marker_findings import (
    note_reading,
    note_reading_begun,
    note_reading_over,
)
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.failures import FailureClass
from bec_operator.decide.sight.refusals import MARKER_ARCHIVED, MARKER_UNANSWERED, STORAGE_FORBIDDEN
from bec_operator.decide.sight.seen import Fact, MarkerSeen, MarkerState, TaskSeen
from bec_operator.decide.volumes.frontier import VolumeState
from bec_operator.decide.volumes.ledger import Outcome
from bec_operator.decide.volumes.marker_retry_times import PutOff, Unread
from tests.unit.decide.steps import read
from tests.unit.decide.test_memory_books import _memory
from tests.unit.decide.views import task_view

HOUR = 3600.0


def _asked(memory: Memory, now: float) -> list[int]:
    found = read(memory, now)
    for index in found:
        note_reading_begun(memory, index)
    return found


def _archive(memory: Memory, indices: list[int], now: float) -> None:
    fact = Fact(now, MARKER_ARCHIVED, "s3://b/k is archived: restore it")
    for index in indices:
        note_reading(memory, index, MarkerSeen(MarkerState.ARCHIVED, now), fact)
        note_reading_over(memory, index)


def test_one_key_is_asked_for_ever_more_rarely() -> None:
    unread, now, waits = Unread(Fact(0.0, MARKER_UNANSWERED, "x")), 0.0, list[float]()
    for _ in range(14):
        before = now
        while not unread.is_due(now):
            now += 1.0
        waits.append(now - before)
        unread = unread.again(Fact(now, MARKER_UNANSWERED, "x"))
    assert waits[:4] == [5.0, 10.0, 20.0, 40.0]
    assert waits[-1] == HOUR


def test_what_is_forbidden_may_be_mended_in_a_moment() -> None:
    unread = Unread(Fact(0.0, STORAGE_FORBIDDEN, "x"), times=20)
    assert not unread.is_due(4.9)
    assert unread.is_due(5.0)


def test_archived_markers_are_asked_for_in_rounds_that_come_ever_later() -> None:
    """Yelp/mrjob#1887: however many there are, each is asked for once a round."""
    memory, now, rounds = _memory(100), 1000.0, list[float]()
    while memory.books.frontier.count(VolumeState.UNCHECKED):
        _archive(memory, _asked(memory, now), now)
    assert memory.books.frontier.count(VolumeState.ARCHIVED) == 100
    began = now
    while now < began + 12 * HOUR:
        now += 10.0
        found = list[int]()
        while batch := _asked(memory, now):
            found += batch
            _archive(memory, batch, now)
        if found:
            assert sorted(found) == list(range(100))
            rounds.append(now)
    gaps = [after - before for before, after in zip([began, *rounds], rounds, strict=False)]
    assert gaps[:3] == [60.0, 120.0, 240.0]
    assert max(gaps) == HOUR
    assert len(rounds) < 20


def test_what_is_archived_is_told_with_its_number_while_it_is_asked_for_too() -> None:
    memory = _memory(10)
    _archive(memory, [3, 5], 1000.0)
    told = stall(memory, Tally())
    assert told == (
        MARKER_ARCHIVED,
        "2 volumes with a marker that cannot be read: s3://b/k is archived: restore it",
    )
    memory.look_at_archived()
    assert stall(memory, Tally()) == told
    for index in range(10):
        note_reading(memory, index, MarkerSeen(MarkerState.VALID, 1100.0))
    assert stall(memory, Tally())[0] == ""
    assert memory.ledger
    assert memory.ledger.count(Outcome.SUCCEEDED) == 10


def test_a_job_that_is_changed_asks_at_once() -> None:
    memory = _memory(3)
    _archive(memory, [0, 1, 2], 1000.0)
    assert _asked(memory, 1001.0) == []
    memory.look_at_archived()
    assert _asked(memory, 1001.0) == [0, 1, 2]


def test_a_volume_that_cannot_be_held_has_failed_without_a_task() -> None:
    memory = _memory(2)
    note_reading(memory, 1, MarkerSeen(MarkerState.IMPOSSIBLE, 1000.0, "too long"))
    assert memory.ledger
    assert memory.ledger.classes(Outcome.FAILED) == {FailureClass.OUTPUT_IMPOSSIBLE: 1}
    assert memory.books.frontier[1] is VolumeState.SETTLED
    assert memory.books.report.unsaved[1].message == "too long"
    note_reading(memory, 1, MarkerSeen(MarkerState.IMPOSSIBLE, 1001.0, "again"))
    assert memory.books.report.unsaved[1].message == "too long"


def test_what_is_put_off_before_it_is_noted_never_ends() -> None:
    assert not PutOff().ends(1e12)


def test_a_success_names_no_log_of_another_attempt() -> None:
    """airbytehq/airbyte#4235: the marker may be one that another task has left."""
    uid = "1a2b3c4d-1111-4222-8333-444455556666"
    task = TaskSeen("ns", "task", uid, 1, "ocr", "job-uid", 0)
    for log, told in {
        "_logs/attempt-1-1a2b3c4d.log": "0_logs/attempt-1-1a2b3c4d.log",
        "my.log": "0my.log",
        "_logs/attempt-1-99999999.log": "none: another attempt has written the marker",
    }.items():
        reading = MarkerSeen(MarkerState.VALID, 1.0, log=log)
        [attempt] = success_status(task_view(task, reading=reading)).attempts
        assert attempt.log == told
