"""How many messages a job takes that shares its queue: as many as could start now."""

from typing import Any

import pytest

from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.slots.picture import Picture
from bec_operator.decide.slots.room import Room
from bec_operator.decide.slots.room_for_messages import room_for_messages
from bec_operator.decide.slots.shares import Demand
from bec_operator.decide.slots.standings import Standings
from bec_operator.decide.volumes.frontier import VolumeState
from bec_operator.decide.volumes.ledger import Outcome
from bec_ops.contract.volume import Volume
from tests.unit.decide.test_messages import NOW, remembered, settle


def room_of(memory: Memory, offered: int = 10, held: int = 0) -> int:
    room = Room(parallelism=10, offered=offered, held=held)
    return room_for_messages(memory, Standings(held=held), room)


def shared(count: int = 0, **spec: Any) -> Memory:
    return remembered(count, queue={"ack": "Done"}, parallelism=10, **spec)


def test_each_slot_that_is_free_has_room_for_one() -> None:
    assert room_of(shared()) == 10
    assert room_of(shared(), held=4) == 6
    assert room_of(shared(), offered=3) == 3, "the rest of the pods is other jobs'"
    assert room_of(shared(), offered=3, held=3) == 0
    pool = shared(pool={"maxWorkers": 2})
    assert room_of(pool) == 2


def test_who_waits_already_comes_first() -> None:
    memory = shared(6)
    assert room_of(memory) == 4
    settle(memory, 0, 1)
    assert room_of(memory) == 6
    memory.books.note_messages({Volume("W2", f"I{number}"): {} for number in range(3)}, {})
    assert room_of(memory) == 3, "what is not in the manifest yet waits as well"
    memory.books.frontier[5] = VolumeState.GATED
    assert room_of(memory) == 3
    memory.books.frontier[5] = VolumeState.ARCHIVED
    assert room_of(memory) == 4, "its marker stands: it needs no slot"


@pytest.mark.parametrize(("waiting", "expected"), [(0, 1), (1, 0)])
def test_while_launches_fail_there_is_room_for_a_probe(waiting: int, expected: int) -> None:
    tripped, refused = shared(1), shared(1)
    tripped.breaker.trip(NOW)
    refused.launching.refusals = 1
    for memory in (tripped, refused):
        if not waiting:
            settle(memory, 0, outcome=Outcome.SUCCEEDED)
        assert room_of(memory) == expected


def test_an_offer_grants_nothing() -> None:
    picture = Picture(10, {"a": Demand(holds=6, wants=6), "b": Demand(holds=1, wants=1)})
    assert picture.offer("b", 8) == 4
    assert picture.offer("b", 2) == 2
    assert picture.demands["b"] == Demand(holds=1, wants=1)
    assert picture.grant("b", Demand(holds=1, wants=1)) == 1
