"""The reasons of failures, counted."""

from bec_operator.decide.sight.failures import FailureClass
from bec_operator.decide.volumes.ledger import Ledger, Outcome
from bec_operator.decide.volumes.reasons import failed_of_total, tell_unsuccessful, top_reasons


def _ledger(counts: dict[int, int], outcome: Outcome = Outcome.FAILED) -> Ledger:
    ledger = Ledger.fresh("sha", sum(counts.values()) + 1)
    codes = [code for code, number in counts.items() for _ in range(number)]
    for index, code in enumerate(codes):
        ledger.settle(index, outcome, code)
    return ledger


def test_the_most_frequent_come_first_and_the_rest_is_counted() -> None:
    ledger = _ledger({1: 1, 2: 9, 3: 2, 4: 3, 5: 4, 7: 1, 8: 1})
    assert top_reasons(ledger, Outcome.FAILED) == (
        "Terminal 9, Disrupted 4, OutOfMemory 3, MarkerMissing 2, Retryable 1, others 2"
    )


def test_a_class_of_a_later_version_is_counted_too() -> None:
    assert 31 not in set(FailureClass)
    assert top_reasons(_ledger({31: 2, 2: 1}), Outcome.FAILED) == "Unknown 2, Terminal 1"


def test_what_became_right_is_not_counted() -> None:
    ledger = _ledger({2: 1, 4: 1})
    ledger.settle(0, Outcome.SUCCEEDED)
    assert tell_unsuccessful(ledger) == "1 failed: OutOfMemory 1"
    ledger.settle(1, Outcome.WAITING)
    assert tell_unsuccessful(ledger) == ""


def test_skipped_volumes_have_reasons_too() -> None:
    ledger = _ledger({2: 2}, Outcome.SKIPPED)
    assert tell_unsuccessful(ledger) == "2 skipped: Terminal 2"
    ledger.settle(2, Outcome.FAILED)
    assert failed_of_total(ledger) == "1 of 3 volumes failed; 2 skipped: Terminal 2"
