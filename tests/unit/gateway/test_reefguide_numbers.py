"""The numbers by which ReefGuide's workers know things."""

from hypothesis import given
from hypothesis import strategies as st

from bec_operator.decide.volumes.ledger import MAX_TOTAL
from bec_operator.gateway.faces.reefguide.numbers import (
    LARGEST,
    assignment_number,
    hash_in,
    hash_of,
    index_in,
    job_number,
)

INDICES = st.integers(0, MAX_TOTAL - 1)


@given(st.text(), INDICES)
def test_javascript_can_hold_them_and_none_is_nothing(uid: str, index: int) -> None:
    for number in (job_number(uid, index), assignment_number(uid, 1, index)):
        assert 0 < number <= LARGEST
        assert index_in(number) == index
        assert float(number) == number
    assert hash_in(job_number(uid, index)) == hash_of(uid)


def test_they_are_the_same_after_an_upgrade() -> None:
    assert job_number("0b8a", 7) == 1116964311269383
    assert assignment_number("0b8a", 1, 7) == 5285162946396167


def test_each_attempt_has_its_own() -> None:
    assert len({assignment_number("uid", attempt, 3) for attempt in range(100)}) == 100
