"""Gates: bytes in, bytes out."""

import random
import tracemalloc

import pytest

from bec_operator.api.dependency import Dependency, OnFailure
from bec_operator.decide.sight.seen import Fact
from bec_operator.decide.volumes.frontier import Frontier, VolumeState
from bec_operator.decide.volumes.gate import Gate, Outcomes, Place, Way, answers
from bec_operator.decide.volumes.gates import Gates, WaitingFor
from bec_operator.decide.volumes.ledger import Ledger, Outcome
from bec_operator.decide.volumes.volume_list import VolumeList
from bec_ops.contract.volume import Volume

PLACE = Place("ldv1", "b", "p/")
SOME = [Volume("W", f"I{n}") for n in range(4)]
JOB = Dependency(job="ldv1")
WAIT = answers(OnFailure.WAIT, failures_stand=True, ended=False)


def _gate(*there: Volume) -> tuple[Gate, Ledger, Outcomes]:
    gate, ledger = Gate(JOB, SOME), Ledger.fresh("sha", len(there))
    gate.locate(PLACE)
    return gate, ledger, Outcomes(there, ledger)


def _at(look: VolumeState) -> Frontier:
    frontier = Frontier(len(SOME))
    for index in range(len(SOME)):
        frontier[index] = look
    return frontier


@pytest.mark.parametrize(
    ("on_failure", "stand", "ended", "ways"),
    [
        (OnFailure.WAIT, True, False, [Way.SHUT, Way.OPEN, Way.GIVEN_UP, Way.GIVEN_UP]),
        (OnFailure.SKIP, True, False, [Way.SHUT, Way.OPEN, Way.SKIP, Way.SKIP]),
        (OnFailure.FAIL, True, True, [Way.FAIL, Way.OPEN, Way.FAIL, Way.FAIL]),
        (OnFailure.FAIL, False, True, [Way.SHUT, Way.OPEN, Way.SHUT, Way.SHUT]),
    ],
)
def test_what_an_entry_means(
    on_failure: OnFailure, stand: bool, ended: bool, ways: list[Way]
) -> None:
    table = answers(on_failure, failures_stand=stand, ended=ended)
    for outcome, way in zip(Outcome, ways, strict=True):
        assert {table[outcome | code << 3] for code in range(32)} == {way}


def test_volumes_are_found_wherever_they_are_in_the_other_list() -> None:
    gate, ledger, outcomes = _gate(SOME[3], Volume("W9", "I9"), SOME[0])
    ledger.settle(0, Outcome.SUCCEEDED, 1)
    ledger.settle(1, Outcome.SUCCEEDED)
    ledger.settle(2, Outcome.FAILED, 4)
    gate.follow(outcomes, WAIT)
    assert list(gate.states) == [Way.GIVEN_UP, Way.SHUT, Way.SHUT, Way.OPEN]


def test_lists_of_any_order_and_kind_are_laid_over_each_other() -> None:
    chance = random.Random(1)
    volumes = [Volume("W", f"I{n}") for n in range(3000)]
    for own in (volumes[5:], volumes[::-1], chance.sample(volumes, 2000), [*volumes, SOME[0]]):
        there = VolumeList.of(chance.choice([volumes[:2500], chance.sample(volumes, 1000)]))
        ledger = Ledger.fresh("sha", len(there))
        for index in chance.sample(range(len(there)), 500):
            ledger.settle(index, Outcome.SUCCEEDED)
        done = {there[i] for i in range(len(there)) if ledger.outcome(i) is Outcome.SUCCEEDED}
        gate = Gate(JOB, VolumeList.of(own))
        gate.follow(Outcomes(there, ledger), WAIT)
        assert list(gate.states) == [Way.OPEN if v in done else Way.SHUT for v in own]


def test_what_is_kept_of_where_volumes_are_is_small() -> None:
    volumes = VolumeList.of([Volume("W", f"I{n}") for n in range(20_000)])
    outcomes = Outcomes(volumes, Ledger.fresh("sha", len(volumes)))
    gate = Gate(JOB, VolumeList.of(volumes[::-1]))
    tracemalloc.start()
    gate.follow(outcomes, WAIT)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 12 * len(volumes)
    assert peak < 300 * len(volumes)


def test_nothing_is_computed_twice() -> None:
    gate, ledger, outcomes = _gate(*SOME)
    gate.follow(outcomes, WAIT)
    before = gate.states
    gate.follow(Outcomes(outcomes.volumes, ledger), WAIT)
    assert gate.states is before
    ledger.settle(0, Outcome.SUCCEEDED)
    gate.follow(outcomes, WAIT)
    assert gate.states[0] == Way.OPEN


def test_markers_speak_for_what_is_not_listed() -> None:
    gate, _, outcomes = _gate(*SOME[:2])
    gate.follow(outcomes, WAIT)
    frontier = _at(VolumeState.GATED)
    assert gate.sought(frontier) == [2, 3]
    gate.note_found(0)  # of which the ledger knows better
    gate.note_found(3)
    gate.follow(outcomes, WAIT)
    assert list(gate.states) == [Way.SHUT, Way.SHUT, Way.SHUT, Way.OPEN]
    assert gate.sought(frontier) == [2]
    assert not gate.seeks(_at(VolumeState.UNCHECKED))


def test_a_longer_list_takes_over_from_markers() -> None:
    gate, _, outcomes = _gate(*SOME[:2])
    gate.follow(outcomes, WAIT)
    gate.note_found(3)
    longer = Ledger.fresh("longer", 3)
    gate.follow(Outcomes(SOME[:3], longer), WAIT)
    longer.settle(2, Outcome.SUCCEEDED)
    gate.follow(Outcomes(SOME[:3], longer), WAIT)
    assert list(gate.states) == [Way.SHUT, Way.SHUT, Way.OPEN, Way.OPEN]


def test_another_place_begins_anew() -> None:
    gate, _, outcomes = _gate()
    gate.note_found(1)
    gate.note_sweep(Fact(0.0, "StorageForbidden", "no"), cursor=2, again_at=9.0)
    gate.locate(PLACE)
    assert (gate.cursor, gate.sweep_at) == (2, 9.0)
    gate.locate(Place("ldv1", "other", "p/"))
    gate.follow(outcomes, WAIT)
    assert gate.states[1] == Way.SHUT
    assert (gate.trouble, gate.sweep_at) == (None, 0.0)


def _gates(*ways: tuple[str, list[Way]]) -> Gates:
    gates = Gates([Dependency(job=name) for name, _ in ways], SOME)
    for gate, (_, states) in zip(gates, ways, strict=True):
        gate.states = bytes(states)
    return gates


def test_only_what_could_start_is_moved() -> None:
    gates = _gates(("a", [Way.OPEN, Way.SHUT, Way.SHUT, Way.SHUT]))
    frontier = Frontier(4)
    for index, look in enumerate(
        [VolumeState.GATED, VolumeState.STARTABLE, VolumeState.ACTIVE, VolumeState.UNCHECKED]
    ):
        frontier[index] = look
    gates.apply(frontier)
    assert [frontier[index] for index in range(4)] == [
        VolumeState.STARTABLE,
        VolumeState.GATED,
        VolumeState.ACTIVE,
        VolumeState.UNCHECKED,
    ]


def test_several_are_laid_over_each_other() -> None:
    gates = _gates(
        ("a", [Way.OPEN, Way.SKIP, Way.GIVEN_UP, Way.SKIP]),
        ("b", [Way.OPEN, Way.FAIL, Way.SHUT, Way.OPEN]),
    )
    frontier = _at(VolumeState.STARTABLE)
    gates.apply(frontier)
    assert frontier.first(VolumeState.STARTABLE, 4) == [0]
    assert dict(gates.ends(frontier, 9)) == {1: Outcome.FAILED, 3: Outcome.SKIPPED}
    assert len(list(gates.ends(frontier, 1))) == 1
    assert gates.blamed(1, Outcome.FAILED) == ["b"]
    assert gates.waiting(frontier) == [WaitingFor("a", 3, 1), WaitingFor("b", 2, 0)]
    assert gates.given_up(frontier) == 1


def test_no_volumes_no_gates() -> None:
    gates = Gates([JOB])
    gates.apply(Frontier(0))
    assert gates.waiting(Frontier(0)) == []
    assert list(gates.ends(Frontier(0), 9)) == []
