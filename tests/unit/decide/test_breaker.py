"""The circuit breaker: five volumes in a row that fail in one way."""

import pytest

from bec_operator.decide.memory.breaker import Breaker
from bec_operator.decide.sight.failures import FailureClass

TERMINAL, MEMORY = FailureClass.TERMINAL, FailureClass.OUT_OF_MEMORY


def _after(*failures: tuple[int, FailureClass]) -> Breaker:
    breaker = Breaker()
    for index, failure in failures:
        breaker.note_failure(index, failure, "no model", 100.0)
    return breaker


def test_five_volumes_of_one_class_trip_it_and_a_success_mends_it() -> None:
    breaker = _after(*[(n, TERMINAL) for n in range(4)])
    assert not breaker.tripped
    breaker.note_failure(4, TERMINAL, "no model", 100.0)
    assert breaker.tripped
    assert "last 5 volumes" in breaker.sentence()
    assert "Terminal (no model)" in breaker.sentence()
    breaker.note_success()
    assert not breaker.tripped


@pytest.mark.parametrize(
    "failures",
    [
        [(0, TERMINAL)] * 9,  # one bad volume is no sign
        [(n, [TERMINAL, MEMORY][n % 2]) for n in range(9)],  # of several classes
        [(n, FailureClass.DISRUPTED) for n in range(9)],  # not the job's fault at all
        [(n, FailureClass.STOPPED) for n in range(9)],
    ],
)
def test_what_does_not_trip_it(failures: list[tuple[int, FailureClass]]) -> None:
    assert not _after(*failures).tripped


def test_probes_come_ever_more_rarely() -> None:
    breaker = _after(*[(n, TERMINAL) for n in range(5)])
    moments: list[float] = []
    now = 100.0
    while len(moments) < 6:
        now += 1.0
        if breaker.may_probe(now, 10.0, 60.0):
            moments.append(now)
            breaker.note_probe(now)
            breaker.note_failure(9 + len(moments), TERMINAL, "no model", now)
    assert [moment - 100 for moment in moments] == [10, 30, 70, 130, 190, 250]


def test_a_clock_that_is_set_back_does_not_stop_the_probes() -> None:
    breaker = _after(*[(n, TERMINAL) for n in range(5)])
    assert breaker.may_probe(3.0, 10.0, 60.0)


def test_volumes_that_are_disrupted_again_and_again_trip_it_and_a_lost_node_does_not() -> None:
    breaker = Breaker()
    for index in range(9):
        breaker.note_failure(index, FailureClass.DISRUPTED, "evicted", 100.0)
    assert not breaker.tripped
    for index in range(5):
        breaker.note_failure(index, FailureClass.DISRUPTED, "evicted", 100.0, repeated=True)
    assert breaker.tripped


def test_an_exit_code_is_believed_once_three_volumes_have_it_with_none_done_between() -> None:
    breaker = Breaker()
    assert not any(breaker.note_claim(index) for index in (0, 0, 0, 1))
    breaker.note_success()
    assert not any(breaker.note_claim(index) for index in (2, 3))
    assert breaker.note_claim(4)
    assert breaker.claimed
    breaker.note_success()
    assert not breaker.claimed


def test_ten_volumes_in_a_row_trip_it_in_whatever_way_they_fail() -> None:
    classes = [TERMINAL, MEMORY, FailureClass.NODE_REFUSED]
    breaker = _after(*[(n, classes[n % 3]) for n in range(9)])
    assert not breaker.tripped
    breaker.note_failure(9, TERMINAL, "no model", 100.0)
    assert breaker.tripped
    assert "the last 10 volumes to fail" in breaker.sentence()


def test_disruptions_are_of_one_kind() -> None:
    breaker = Breaker()
    for index, failure in enumerate([FailureClass.DISRUPTED, FailureClass.NODE_LOST] * 2):
        breaker.note_failure(index, failure, "gone", 100.0, repeated=True)
    breaker.note_failure(4, FailureClass.INTERRUPTED, "gone", 100.0, repeated=True)
    assert breaker.tripped
