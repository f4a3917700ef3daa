"""How many messages a job may take that shares its queue: no more than could start now."""

from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.slots.room import Room
from bec_operator.decide.slots.standings import Standings
from bec_operator.decide.volumes.frontier import VolumeState
from bec_operator.decide.volumes.ledger import Outcome


def room_for_messages(memory: Memory, standings: Standings, room: Room) -> int:
    """Return for how many messages a slot is free, and nobody waits for it.

    What waits for another job or for its version, or is retried, has its slot: else the queue would
    come to us message after message, and lie here. A marker that cannot be read for long is of a
    volume that is done: that keeps no slot.
    """
    spec, ledger, books = memory.job.spec, memory.ledger, memory.books
    if spec is None or ledger is None:
        return 0
    slots = min(room.parallelism, room.offered)
    if spec.pool is not None:
        slots = min(slots, spec.pool.max_workers)
    ahead = ledger.count(Outcome.WAITING) - len(standings.running) + len(books.added)
    ahead -= books.frontier.count(VolumeState.ARCHIVED)
    free = slots - room.held - ahead
    if memory.breaker.tripped or memory.launching.refusals:  # one is launched to see how that goes
        free = min(free, 1 - ahead)
    return max(free, 0)
