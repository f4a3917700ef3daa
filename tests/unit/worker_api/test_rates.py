"""Rates: a burst after a rest, then a steady rate, each key for itself."""

import pytest

from bec_operator.worker_api.callers import rates
from bec_operator.worker_api.callers.rates import Rates


def test_a_burst_and_then_a_steady_rate() -> None:
    some = Rates(per_second=2, burst=3)
    assert [some.take("a", 10.0) for _ in range(4)] == [0, 0, 0, 0.5]
    assert some.take("b", 10.0) == 0, "each key for itself"
    assert some.take("a", 10.25) == 0.25, "who asks in vain pays nothing"
    assert some.take("a", 10.5) == 0
    assert some.take("a", 10.5) == 0.5
    assert [some.take("a", 99.0) for _ in range(4)] == [0, 0, 0, 0.5]


def test_what_is_given_back_can_be_taken_again() -> None:
    some = Rates(per_second=1, burst=2)
    some.give_back("a")
    assert [some.take("a", 0.0) for _ in range(3)] == [0, 0, 1]
    some.give_back("a")
    assert [some.take("a", 0.0) for _ in range(2)] == [0, 1]


def test_only_so_many_keys_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "_REMEMBERED", 2)
    some = Rates(per_second=1, burst=1)
    for key in "abac":
        some.take(key, 0.0)
    assert some.take("a", 0.0) > 0, "it was used later than b"
    assert some.take("b", 0.0) == 0
