"""Which volumes start next: they get their tasks in manifest order."""

from collections.abc import Iterator, Set
from itertools import chain, zip_longest

from bec_operator.decide.attempts.actions import CreateTask
from bec_operator.decide.attempts.task import is_blocked
from bec_operator.decide.hosts.actions import GuardWorker
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.action import Action
from bec_operator.decide.slots.filling import Launches
from bec_operator.decide.volumes.frontier import VolumeState


def new_tasks(memory: Memory, next_up: Launches, now: float) -> Iterator[Action]:
    """Fill the free slots of the window, in manifest order.

    What is under way has its slot already; a volume whose name is taken holds up no other. In a
    pool, a worker has its task from the start, but where somebody else may still be at work on it.
    """
    under_way = {action.index for action in memory.under_way.of(CreateTask)}
    named = {h.pod.volume: h for h in next_up.fresh if h.pod.volume is not None}
    others = [host for host in next_up.fresh if host.pod.volume is None]
    free = next_up.tasks - len(under_way - memory.books.tasks.keys())
    chosen = could_begin(memory, now, max(free, len(others)), named.keys())
    for index, host in chain(named.items(), zip_longest(chosen, others[: len(chosen)])):
        if host is None or memory.old_pods_until(index):
            yield CreateTask(index)
        elif not host.pod.guarded:
            yield GuardWorker(host.pod, guarded=True)
        else:
            yield CreateTask(index, host.pod, host.worker)


def could_begin(memory: Memory, now: float, many: int, beside: Set[int] = frozenset()) -> list[int]:
    """Return the first so many volumes that could get a task now, in manifest order.

    Those that get one `beside` them are left out.
    """
    if many < 1:
        return []
    blocked, making = memory.books.blocked, memory.under_way.of(CreateTask)
    left_out = {index for index, fact in blocked.items() if is_blocked(fact, now)}
    left_out |= beside | {made.index for made in making}
    found = memory.books.frontier.first(VolumeState.STARTABLE, many + len(left_out))
    tasks = memory.books.tasks
    return [index for index in found if index not in left_out and index not in tasks][:many]


def can_begin(memory: Memory, index: int, now: float) -> bool:
    """Whether one volume could get a task now."""
    if not 0 <= index < len(memory.books.volumes):
        return False
    books = memory.books
    begun = {made.index for made in memory.under_way.of(CreateTask)} | books.tasks.keys()
    startable = books.frontier[index] is VolumeState.STARTABLE
    return startable and index not in begun and not is_blocked(books.blocked.get(index), now)
