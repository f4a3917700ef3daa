"""Which volumes are asked about, which new versions are taken, and how a look is stored."""

from hypothesis import given
from hypothesis import strategies as st

from bec_operator.act.ground.api_server import ApiServer
from bec_operator.act.ground.cache import Cache
from bec_operator.act.ground.clock import Clock
from bec_operator.act.ground.context import Context
from bec_operator.act.ground.storage import Storage
from bec_operator.act.volumes.followed_versions import (
    _Look,
    _note,
    known_of,
    newer_volumes,
    newest_of,
)
from bec_operator.act.volumes.manifest import FOLLOWED, ledger_object
from bec_operator.decide.lists.followed import told_of_left_out
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.seen import Fact
from bec_operator.decide.volumes.actions import FollowVersions
from bec_operator.decide.volumes.ledger import Ledger
from bec_operator.decide.volumes.volume_list import VolumeList
from bec_operator.settings import Settings
from bec_ops.contract.location import OutputTemplate
from bec_ops.contract.volume import Volume
from tests.unit.decide.fake_s3 import FakeStore
from tests.unit.worker_api.scene import JOB

AWAY = Fact(1.0, "StorageUnavailable", "S3 does not answer")
ROWS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=120, unique=True)


def ledger_of(memory: Memory) -> Ledger:
    assert memory.ledger is not None
    return memory.ledger


def listed(rows: list[tuple[int, int]]) -> VolumeList:
    return VolumeList.of([Volume("W1", f"I{group}", f"v{version}") for group, version in rows])


@given(ROWS, st.sets(st.integers(0, 119)))
def test_each_pair_of_ids_is_asked_about_once(rows: list[tuple[int, int]], some: set[int]) -> None:
    volumes = listed(rows)
    last = {group: index for index, (group, _) in enumerate(rows)}
    for asked in (range(len(rows)), sorted(index for index in some if index < len(rows))):
        expected = sorted(index for index in last.values() if index in asked)
        found = newest_of(volumes, asked)
        assert list(found) == expected
        assert all(found[index] == volumes[index] for index in found)


def test_a_version_that_was_there_before_is_known_and_so_is_one_that_is_found_twice() -> None:
    volumes = listed([(0, 1), (0, 2), (1, 1), (2, 1)])
    newer = {
        1: Volume("W1", "I0", "v1"),
        2: Volume("W1", "I1", "v2"),
        3: Volume("W1", "I2", "v2"),
        9: Volume("W1", "I2", "v2"),
    }
    assert known_of(volumes.rows(), newer) == {1, 9}


async def test_what_the_list_has_by_now_is_taken_from_there() -> None:
    memory, volumes = Memory(JOB), listed([(0, 1), (1, 1)])
    memory.books.followed.found.update({0: "v2", 1: "v2"})
    added = [Volume("W1", "I1", "v2")]
    newer = await newer_volumes(memory, volumes, added)
    assert newer == {0: Volume("W1", "I0", "v2")}
    assert memory.books.followed.found == {0: "v2"}


async def test_a_long_list_goes_first() -> None:
    memory, volumes = Memory(JOB), listed([(0, 1)])
    memory.books.followed.found[0] = "v2"
    added = [Volume("W2", f"I{number}", "v1") for number in range(20_000)]
    assert await newer_volumes(memory, volumes, added) == {}
    assert memory.books.followed.found == {0: "v2"}, "and it waits"


def looking(memory: Memory, volumes: VolumeList) -> _Look:
    """Return a look at all volumes, with the memory as it is when one has begun."""
    memory.books.volumes, memory.books.ledger = volumes, Ledger.fresh("sha", len(volumes))
    memory.books.followed.begin(0.0, len(volumes))
    template = OutputTemplate.parse("a/{job_id}/{w_id}-{i_id}-{i_version}/")
    ledger, sought = memory.books.ledger, dict(enumerate(volumes))
    return _Look(memory, ledger, sought, template, memory.job.generation)


def note(memory: Memory, look: _Look, most: int, known: frozenset[int] = frozenset()) -> None:
    nobody = ApiServer.__new__(ApiServer)
    storage, settings = Storage(FakeStore(), 1), Settings(max_volumes=most)
    ctx = Context(nobody, storage, Cache(lambda _: None), Clock(), settings)
    _note(ctx, memory, FollowVersions(range(len(look.volumes)), len(look.volumes)), look, known)


def test_what_a_look_has_shown() -> None:
    memory = Memory(JOB)
    look = looking(memory, listed([(0, 1), (1, 1), (2, 1), (3, 1), (4, 1)]))
    look.found(0, "v1")
    look.found(1, "v2")
    look.found(2, "v0")
    look.missing(3, "there is no object")
    look.trouble = AWAY
    note(memory, look, most=7, known=frozenset({2}))
    followed = memory.books.followed
    assert followed.found == {1: "v2"}
    assert (followed.missed, followed.silent, followed.trouble) == (1, [4], AWAY)
    assert not followed.left_out


def test_a_job_does_not_grow_beyond_its_limit() -> None:
    memory = Memory(JOB)
    look = looking(memory, listed([(0, 1), (1, 1)]))
    look.found(0, "v2")
    note(memory, look, most=2)
    assert not memory.books.followed.found
    assert told_of_left_out(memory) == (
        "1 new version is left out; the first: with the 2 volumes that the job has there would be "
        "more than 2; put what is new into another job"
    )
    assert ledger_of(memory).followed, "the look is over all the same"


def test_a_version_that_makes_no_place_is_left_out_and_told() -> None:
    memory = Memory(JOB)
    look = looking(memory, listed([(0, 1)]))
    look.found(0, "v" * 2000)
    note(memory, look, most=9)
    assert not memory.books.followed.found
    assert "a version is of no use: " in told_of_left_out(memory)


def test_when_the_last_look_was_stands_in_the_ledger() -> None:
    memory, ledger = Memory(JOB), Ledger.fresh("sha", 1)
    assert FOLLOWED not in ledger_object(memory, ledger)["data"], "of one that never followed"
    ledger.followed = 1_000_000.25
    assert not ledger.saved
    copied = ledger.copy()
    assert copied.saved
    assert ledger_object(memory, copied)["data"][FOLLOWED] == "1970-01-12T13:46:40.250000Z"
