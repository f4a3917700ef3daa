"""Which markers are looked at now: of volumes that may be done already, and of other jobs."""

from collections.abc import Iterator
from itertools import islice

from bec_operator.decide.attempts.actions import SettleUntried
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.action import Action
from bec_operator.decide.volumes.actions import ReadMarker, SweepGate, TurnRound
from bec_operator.decide.volumes.frontier import VolumeState

READS_AT_ONCE = 64
LOOKED_AT_ONCE = 512  # volumes of which it is asked whether their marker could be read
ENDS_AT_ONCE = 1000  # of volumes that will never start: each is a line of the report


def reads(memory: Memory, now: float) -> Iterator[Action]:
    """Look whether volumes are done already, so many at once.

    From where the last look ended on: what cannot be read now must not hide what is behind it.
    """
    frontier, markers = memory.books.frontier, memory.books.markers
    free = READS_AT_ONCE - frontier.count(VolumeState.READING)
    if free <= 0 or now < markers.not_before or memory.outbox.is_full:
        return
    found = frontier.first(VolumeState.UNCHECKED, LOOKED_AT_ONCE, markers.read_from)
    swept = [index for index in found if index < markers.swept]
    chosen = list(islice((index for index in swept if markers.may_read(index, now)), free))
    if len(chosen) == free:
        turn = TurnRound(chosen[-1] + 1)
    elif len(found) == LOOKED_AT_ONCE and len(swept) == len(found):
        turn = TurnRound(found[-1] + 1)
    else:
        turn = TurnRound(0, over=True)
    if turn.read_from != markers.read_from or (turn.over and markers.answered + markers.unanswered):
        yield turn
    yield from map(ReadMarker, chosen)


def look_at_gates(memory: Memory, now: float) -> Iterator[Action]:
    """Look for the markers of others, and settle what waits for what will never come."""
    books = memory.books
    for number, gate in enumerate(books.gates):
        if gate.place is not None and now >= gate.sweep_at and gate.seeks(books.frontier):
            yield SweepGate(number, gate.place)
    for index, outcome in books.gates.ends(books.frontier, ENDS_AT_ONCE):
        yield SettleUntried(index, outcome)
