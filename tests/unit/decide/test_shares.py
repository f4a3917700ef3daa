"""Fair shares of the pods that there may be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bec_operator.decide.slots.shares import Demand, allowance, shares

demands = st.dictionaries(
    st.integers(0, 9),
    st.builds(
        lambda priority, holds, more: Demand(priority, holds, holds + more),
        st.integers(-2, 2),
        st.integers(0, 50),
        st.integers(0, 500),
    ),
    min_size=1,
)


@pytest.mark.parametrize(
    ("wants", "most", "given_each"),
    [
        ([500], 500, [500]),
        ([500, 10], 500, [490, 10]),  # argo-workflows#12253: the small one has all that it wants
        ([500, 500], 500, [250, 250]),
        ([500, 500, 500], 500, [167, 167, 166]),
        ([3, 500, 100], 200, [3, 98, 99]),
        ([3, 500, 99], 200, [3, 98, 99]),
        ([1, 1, 1], 2, [1, 1, 0]),
    ],
)
def test_equals_share_evenly(wants: list[int], most: int, given_each: list[int]) -> None:
    found = shares({n: Demand(wants=want) for n, want in enumerate(wants)}, most)
    assert sorted(found.values()) == sorted(given_each)
    assert all(found[n] <= want for n, want in enumerate(wants))


def test_a_higher_priority_is_served_first() -> None:
    found = shares({"low": Demand(0, 0, 400), "high": Demand(5, 0, 300)}, 500)
    assert found == {"high": 300, "low": 200}


def test_nobody_loses_a_pod_and_the_small_one_gets_in_as_pods_end() -> None:
    huge, small = Demand(0, 500, 500), Demand(0, 0, 10)
    assert allowance({"huge": huge, "small": small}, "small", 500) == 0
    assert allowance({"huge": huge, "small": small}, "huge", 500) == 490
    fewer = Demand(0, 497, 500)
    assert allowance({"huge": fewer, "small": small}, "small", 500) == 3
    assert allowance({"huge": fewer, "small": small}, "huge", 500) == 490


@given(demands, st.integers(1, 500))
def test_what_is_shared_is_what_there_is(found: dict[int, Demand], most: int) -> None:
    given_each = shares(found, most)
    assert all(0 <= given_each[key] <= demand.wants for key, demand in found.items())
    assert sum(given_each.values()) == min(most, sum(d.wants for d in found.values()))
    for one, mine in found.items():
        for other, theirs in found.items():
            if mine.priority == theirs.priority and given_each[one] < mine.wants:
                assert given_each[other] <= given_each[one] + 1  # nobody equal has much more
            if mine.priority > theirs.priority and given_each[one] < mine.wants:
                assert given_each[other] == 0


@given(demands, st.integers(1, 500))
def test_growth_never_exceeds_what_there_may_be(found: dict[int, Demand], most: int) -> None:
    held = dict(found)
    for key, demand in found.items():  # one after the other, as passes are made
        may = allowance(held, key, most)
        held[key] = Demand(demand.priority, max(demand.holds, may), demand.wants)
    before = sum(demand.holds for demand in found.values())
    assert sum(demand.holds for demand in held.values()) <= max(most, before)
