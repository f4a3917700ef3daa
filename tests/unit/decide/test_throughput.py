"""Items an hour, from what workers tell."""

from bec_operator.decide.attempts.record import Counted
from bec_operator.decide.memory.throughput import WINDOW, Throughput
from bec_ops.contract.protocol import Progress


def _at(done: int) -> Progress:
    return Progress(done=done, total=100, unit="pages")


def test_pages_of_all_workers_make_the_rate() -> None:
    rate, a, b = Throughput(), Counted(), Counted()
    assert rate.per_hour(0) is None
    rate.note(a, _at(0), 0)
    for second in range(10, 110, 10):
        rate.note(a, _at(second // 10), second)
        rate.note(b, _at(second // 5), second)
    assert rate.total == 30
    assert rate.per_hour(100) == 30 * 36


def test_an_attempt_that_begins_again_takes_nothing_away() -> None:
    rate, a = Throughput(), Counted()
    rate.note(a, _at(50), 0)
    a = Counted()
    rate.note(a, _at(20), 10)
    assert rate.total == 70


def test_the_marker_tells_what_no_heartbeat_did() -> None:
    rate, a, b = Throughput(), Counted(), Counted()
    rate.note(a, _at(90), 0)
    rate.note_done(a, 100, 10)
    rate.note_done(b, 7, 20)
    assert rate.total == 107


def test_what_was_long_ago_does_not_count() -> None:
    rate, a = Throughput(), Counted()
    rate.note(a, _at(0), 0)
    rate.note(a, _at(100), 10)
    for second in range(20, 2 * int(WINDOW), 20):
        rate.note(a, _at(100), second)
    assert rate.per_hour(2 * WINDOW) is None
