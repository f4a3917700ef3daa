"""The frontier with sites, beside a plain one that says the same with a loop."""

import time
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from bec_operator.decide.volumes.frontier import SHUT_BIT, Frontier, VolumeState
from bec_operator.decide.volumes.site_frontier import STEPS, SiteFrontier, with_sites
from bec_operator.decide.volumes.volume_list import VolumeList
from bec_operator.decide.volumes.volume_sites import SitedVolume, VolumeSites, noted
from bec_ops.contract.volume import Volume

NAMES = ["", "cern", "desk"]
PATIENCE = 80.0
STEP = PATIENCE / STEPS
TOTAL = 12


@dataclass
class Both:
    """A frontier with sites, a plain one, and since when each volume could start."""

    sites: list[str]
    now: float = 0.0
    since: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.plain = Frontier(len(self.sites))
        self.sited = SiteFrontier(self.plain.states, noted(self.sites))
        self.sited.let_wait(self.now, PATIENCE)

    def note(self) -> None:
        for index in range(len(self.sites)):
            if self.plain[index] is not VolumeState.STARTABLE:
                self.since.pop(index, None)
            else:
                self.since.setdefault(index, self.now)

    def check(self) -> None:
        assert self.sited.states == self.plain.states
        codes = self.sited.sites
        for name in {*self.sites}:
            code = codes.code_of(name)
            mine = [index for index in self.since if self.sites[index] == name]
            assert list(self.sited.startable([code])) == sorted(mine)
            assert self.sited.count_startable(code) == len(mine)
            ripe = list(self.sited.startable([code], ripe=True))
            assert self.sited.count_startable(code, ripe=True) == len(ripe)
            waited = {index: self.now - self.since[index] for index in mine}
            assert all(waited[index] >= PATIENCE for index in ripe), "none too early"
            late = [index for index in mine if waited[index] >= PATIENCE + 2 * STEP]
            assert set(late) <= set(ripe), "none much later"


Step = tuple[str, object, object]
changes = st.one_of(
    st.tuples(st.just("set"), st.integers(0, TOTAL - 1), st.sampled_from(VolumeState)),
    st.tuples(st.just("clear"), st.integers(0, TOTAL), st.frozensets(st.integers(0, TOTAL - 1))),
    st.tuples(st.just("turn"), st.sampled_from(VolumeState), st.sampled_from(VolumeState)),
    st.tuples(st.just("regate"), st.just(0), st.lists(st.booleans(), min_size=50, max_size=50)),
    st.tuples(st.just("wait"), st.just(0), st.floats(0.5, 300)),
    st.tuples(st.just("lengthen"), st.just(0), st.lists(st.sampled_from(NAMES), max_size=3)),
)


@settings(max_examples=300)
@given(
    st.lists(st.sampled_from(NAMES), min_size=TOTAL, max_size=TOTAL),
    st.lists(changes, max_size=20),
)
def test_it_says_what_a_loop_would(
    sites: list[str], steps: list[tuple[str, object, object]]
) -> None:
    both = Both([*sites])
    for what, one, two in steps:
        for frontier in (both.plain, both.sited):
            _change(frontier, what, one, two, len(both.sites))
        if what == "lengthen":
            assert isinstance(two, list)
            both.sites += two
            both.sited.note_sites(noted(both.sites))
        if what == "wait":
            assert isinstance(two, float)
            # Passes come every few seconds, as long as there is anything.
            for _ in range(int(two / STEP) + 1):
                both.now += two / (int(two / STEP) + 1)
                both.sited.let_wait(both.now, PATIENCE)
        both.note()
        both.check()


def _change(frontier: Frontier, what: str, one: object, two: object, total: int) -> None:
    if what == "set":
        assert isinstance(one, int)
        assert isinstance(two, VolumeState)
        frontier[one] = two
    elif what == "clear":
        assert isinstance(one, int)
        assert isinstance(two, frozenset)
        frontier.clear(0, one, two)
    elif what == "turn":
        assert isinstance(one, VolumeState)
        assert isinstance(two, VolumeState)
        frontier.turn(one, two)
    elif what == "regate":
        assert isinstance(two, list)
        frontier.regate(bytes(SHUT_BIT * two[n % len(two)] for n in range(total)))
    elif what == "lengthen":
        assert isinstance(two, list)
        frontier.lengthen(len(two))


def test_sites_that_come_later_make_it_one_and_what_has_waited_has_waited() -> None:
    plain = Frontier(2)
    assert with_sites(plain, [Volume("W1", "I0"), Volume("W1", "I1")]) is plain
    volumes = [SitedVolume.at(Volume("W1", "I0"), "cern"), Volume("W1", "I1")]
    sited = with_sites(plain, volumes)
    assert isinstance(sited, SiteFrontier)
    sited.clear(0, 2, frozenset())
    for step in range(STEPS + 2):
        sited.let_wait(step * STEP, PATIENCE)
    sited.lengthen(1)
    longer = with_sites(sited, VolumeList.of(volumes).extended([Volume("W1", "I2")]))
    assert longer is sited
    sited[2] = VolumeState.STARTABLE
    assert list(sited.startable([0, 1])) == [0, 1, 2]
    assert list(sited.startable([0, 1], ripe=True)) == [0, 1]


def test_a_million_are_searched_in_no_time() -> None:
    total = 1_000_000
    codes = bytes([1, 2, 3, 0]) * (total // 4)
    frontier = SiteFrontier(bytes(total), VolumeSites(("a", "b", "c"), codes, (1, 1, 1)))
    frontier.clear(0, total - 8, frozenset())
    begun = time.process_time()
    for index in frontier.startable([1]):
        if index >= 100:
            break
    assert list(frontier.startable([0, 1, 2, 3], ripe=True)) == []
    assert [frontier.count_startable(code) for code in range(4)] == [249_998] * 4
    assert time.process_time() - begun < 0.05
