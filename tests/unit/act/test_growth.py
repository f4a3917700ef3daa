"""What is new in a list, and what is gone from it."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bec_operator.act.ground.api_server import ApiServer
from bec_operator.act.ground.cache import Cache
from bec_operator.act.ground.clock import Clock
from bec_operator.act.ground.context import Context
from bec_operator.act.ground.storage import Storage
from bec_operator.act.volumes.growth import _compare, _doubles, difference, new_pairs
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.volumes.volume_list import VolumeList
from bec_operator.settings import Settings
from bec_operator.sources.volumes import SourceError
from bec_ops.contract.volume import Volume
from tests.unit.decide.fake_s3 import FakeStore
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
    nobody = ApiServer.__new__(ApiServer)
    storage = Storage(FakeStore(), 1)
    ctx = Context(nobody, storage, Cache(lambda _: None), Clock(), Settings())
    new, gone = await _compare(ctx, memory, some([3, 4]), 4)
    assert (list(new.volumes), gone) == ([Volume("W4", "I")], 2)
    with pytest.raises(SourceError, match="1 volumes are new in the list, and with the 3 that"):
        await _compare(ctx, memory, some([3, 4]), 3)


versioned = st.lists(
    st.builds(
        Volume,
        st.sampled_from(["W1", "W2", "W3"]),
        st.sampled_from("IJK"),
        st.sampled_from(["", "a", "b"]),
    ),
    unique=True,
    max_size=20,
)


@given(versioned, versioned, st.integers(0, 20))
def test_one_that_is_listed_without_a_version_is_known_by_its_ids(
    known: list[Volume], listed: list[Volume], alike: int
) -> None:
    begin = [v._replace(i_version="") for v in known[:alike]]
    listed = begin + [v for v in listed if v not in begin]
    listed = list(dict.fromkeys(listed))
    pairs = {v[:2] for v in known}

    added, gone = new_pairs(VolumeList.of(known), VolumeList.of(listed))

    wanted = [v for v in listed if (v not in known if v.i_version else v[:2] not in pairs)]
    assert list(added) == wanted
    assert gone == sum(v[:2] not in {each[:2] for each in listed} for v in known)


def test_which_volumes_would_be_others_of_the_list_with_their_versions() -> None:
    listed = VolumeList.of(
        [Volume("W1", "I"), Volume("W1", "I", "a"), Volume("W2", "I"), Volume("W3", "I")]
    )
    versions = {0: "a", 2: "b", 3: "c"}
    assert _doubles(listed, versions, ()) == {0}
    assert _doubles(listed, versions, [Volume("W3", "I", "c")]) == {0, 3}
    assert _doubles(listed, {0: "x", 2: "b"}, ()) == set()
