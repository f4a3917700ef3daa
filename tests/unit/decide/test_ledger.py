"""The ledger: one byte a volume, small when stored, exact when counted."""

import random
import tracemalloc
import zlib

import pytest

from bec_operator.decide.sight.failures import FailureClass
from bec_operator.decide.volumes.ledger import ALREADY_DONE, MAX_TOTAL, Ledger, LedgerError, Outcome


def test_what_is_stored_is_what_is_read() -> None:
    ledger = Ledger.fresh("sha", 5)
    ledger.settle(1, Outcome.SUCCEEDED)
    ledger.settle(2, Outcome.SUCCEEDED, ALREADY_DONE)
    ledger.settle(4, Outcome.FAILED, FailureClass.DISRUPTED)
    again = Ledger.decode("sha", ledger.encode(), 5)
    assert [again.outcome(i) for i in range(5)] == [
        Outcome.WAITING,
        Outcome.SUCCEEDED,
        Outcome.SUCCEEDED,
        Outcome.WAITING,
        Outcome.FAILED,
    ]
    assert again.count(Outcome.SUCCEEDED) == 2
    assert again.count(Outcome.SUCCEEDED, ALREADY_DONE) == 1
    assert again.count(Outcome.FAILED, FailureClass.DISRUPTED) == 1
    assert again.settled() == [1, 2, 4]
    assert not again.unsaved


def test_a_result_is_stored_only_once_it_was_saved() -> None:
    ledger = Ledger.fresh("sha", 2)
    ledger.settle(0, Outcome.SUCCEEDED)
    assert not ledger.is_stored(0)
    ledger.unsaved.clear()
    assert ledger.is_stored(0)
    assert not ledger.is_stored(1)


@pytest.mark.parametrize("failure", list(FailureClass))
def test_every_failure_class_fits_beside_its_outcome(failure: FailureClass) -> None:
    ledger = Ledger.fresh("sha", 1)
    ledger.settle(0, Outcome.FAILED, failure)
    assert ledger.outcome(0) is Outcome.FAILED
    assert ledger.count(Outcome.FAILED, failure) == 1


def test_a_longer_ledger_keeps_what_it_has() -> None:
    ledger = Ledger.fresh("sha", 2)
    ledger.settle(1, Outcome.FAILED, FailureClass.DISRUPTED)
    copy = ledger.copy()
    copy.lengthen("longer", 3)
    assert (len(ledger), ledger.manifest) == (2, "sha")
    again = Ledger.decode("longer", copy.encode(), 5)
    for one in (copy, again):
        assert (len(one), one.manifest, one.settled()) == (5, "longer", [1])
        assert one.count(Outcome.WAITING) == 4
        assert one.count(Outcome.FAILED, FailureClass.DISRUPTED) == 1


def test_200_000_volumes_in_any_state_fit_into_a_quarter_megabyte() -> None:
    ledger = Ledger.fresh("sha", 200_000)
    chance = random.Random(1)
    for index in range(200_000):
        ledger.settle(index, chance.choice(list(Outcome)), chance.randint(0, 31))
    assert len(ledger.encode()) < 250_000


@pytest.mark.parametrize(
    ("packed", "message"),
    [
        (b"nonsense", "cannot be unpacked"),
        (Ledger.fresh("", 3).encode(), "has 3 volumes"),
        (Ledger.fresh("", 5).encode(), "has 5 volumes"),
        (Ledger.fresh("", 6).encode(), "has other volumes"),
        (Ledger.fresh("", 4).encode()[:-5], "has other volumes"),
    ],
)
def test_what_cannot_be_ours_is_refused(packed: bytes, message: str) -> None:
    with pytest.raises(LedgerError, match=message):
        Ledger.decode("sha", packed, 4)


@pytest.mark.parametrize("total", [-1, MAX_TOTAL + 1, 10**18])
def test_a_total_that_cannot_be_is_refused(total: int) -> None:
    with pytest.raises(LedgerError, match=f"cannot be of {total} volumes"):
        Ledger.decode("sha", Ledger.fresh("", 4).encode(), total)


def test_what_unpacks_to_very_much_more_is_not_unpacked() -> None:
    bomb = zlib.compress(bytes(50_000_000))
    tracemalloc.start()
    with pytest.raises(LedgerError, match="has other volumes"):
        Ledger.decode("sha", bomb, 4)
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()
