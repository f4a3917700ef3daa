"""The messages of a job in one pass: those that it holds, and how many more it may take."""

from collections.abc import Iterator

from bec_operator.decide.jobs.checks import may_launch
from bec_operator.decide.jobs.scene import Scene
from bec_operator.decide.lists.leases import done_messages, open_again, tend_messages
from bec_operator.decide.lists.messages import delete_messages
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.action import Action
from bec_operator.decide.slots.room_for_messages import room_for_messages
from bec_operator.decide.slots.standings import being_made, made_anew
from bec_operator.decide.volumes.inbox import MOST


def see_to_messages(seen: Scene, *, hopeless: bool) -> Iterator[Action]:
    """Delete, keep and give back messages; a job that launches nothing keeps those of what runs."""
    memory, now = seen.memory, seen.now
    spec = memory.job.spec
    rests = hopeless or spec is None or spec.suspend or memory.facts.worker is not None
    yield from open_again(memory, rests=rests)
    if memory.shares_queue:
        yield from tend_messages(memory, _running(seen), now, rests=rests)
    yield from delete_messages(memory, now, done_messages(memory))


def let_go_of_messages(memory: Memory, now: float) -> Iterator[Action]:
    """The Job is deleted: others may have its messages at once."""
    yield from tend_messages(memory, frozenset(), now, rests=True)


def most_messages(seen: Scene) -> int:
    """Return how many messages the job may take now: with `ack: Stored`, what there is."""
    if not seen.memory.shares_queue:
        return MOST
    if not may_launch(seen.memory, seen.now):
        return 0
    return room_for_messages(seen.memory, seen.standings, seen.room)


def _running(seen: Scene) -> set[int]:
    """Return the volumes that run, or may be about to."""
    memory, standings = seen.memory, seen.standings
    begun = being_made(memory) | standings.unsure
    running = {task.index for task in standings.running}
    running |= {index for index, task in memory.books.tasks.items() if task.uid in begun}
    return running | made_anew(memory, for_workers=True)
