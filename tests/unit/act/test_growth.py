"""What is new in a list, and what is gone from it."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bec_operator.act.volumes.growth import _compare, difference
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.volumes.volume_list import VolumeList
from bec_operator.sources.volumes import SourceError
from bec_ops.contract.volume import Volume
from tests.unit.worker_api.scene import JOB


def some(numbers: list[int]) -> VolumeList:
    return VolumeList.of([Volume(f"W{n}", "I") for n in numbers])


numbers = st.lists(st.integers(0, 200), unique=True, max_size=150)


@given(numbers, numbers, st.integers(0, 150))
def test_it_is_the_difference_of_the_sets(one: list[int], two: list[int], alike: int) -> None:
    begin = one[:alike]
    two = begin + [n for n in two if n not in begin]
    added, gone = difference(some(one), some(two))
    assert added == some([n for n in two if n not in one])
    assert gone == len(set(one) - set(two))


def test_it_takes_little_memory_even_where_the_order_is_another() -> None:
    known, listed = some(list(range(50_000))), some(list(range(50_000))[::-1])
    tracemalloc.start()
    added, gone = difference(known, listed)
    assert (len(added), gone) == (0, 0)
    assert tracemalloc.get_traced_memory()[1] < 150 * 50_000
    tracemalloc.stop()


async def test_a_job_does_not_grow_beyond_its_limit() -> None:
    memory = Memory(JOB)
    memory.books.volumes = some([1, 2, 3])
    new, gone = await _compare(memory, some([3, 4]), 4)
    assert (list(new.volumes), gone) == ([Volume("W4", "I")], 2)
    with pytest.raises(SourceError, match="1 volumes are new in the list, and with the 3 that"):
        await _compare(memory, some([3, 4]), 3)
