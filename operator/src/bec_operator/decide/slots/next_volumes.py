"""Which volumes start next: they get their tasks in manifest order, but for sites."""

from collections.abc import Iterator

from bec_operator.decide.attempts.actions import CreateTask
from bec_operator.decide.attempts.task import is_blocked
from bec_operator.decide.hosts.actions import GuardWorker
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.action import Action
from bec_operator.decide.slots.filling import Launches
from bec_operator.decide.slots.sites import share_out
from bec_operator.decide.volumes.frontier import VolumeState


def new_tasks(memory: Memory, next_up: Launches, now: float) -> Iterator[Action]:
    """Fill the free slots of the window, each with a volume that may be done there.

    What is under way has its slot already; a volume whose name is taken holds up no other. In a
    pool, a worker has its task from the start, but where somebody else may still be at work on it.
    """
    under_way = {action.index for action in memory.under_way.of(CreateTask)}
    free = max(next_up.tasks - len(under_way - memory.books.tasks.keys()), 0)
    if not free and not next_up.fresh:
        return
    for index, host in share_out(memory, next_up.fresh, free, now):
        if host is None or memory.old_pods_until(index):
            yield CreateTask(index)
        elif not host.pod.guarded:
            yield GuardWorker(host.pod, guarded=True)
        else:
            yield CreateTask(index, host.pod, host.worker)


def can_begin(memory: Memory, index: int, now: float) -> bool:
    """Whether one volume could get a task now."""
    if not 0 <= index < len(memory.books.volumes):
        return False
    books = memory.books
    begun = {made.index for made in memory.under_way.of(CreateTask)} | books.tasks.keys()
    startable = books.frontier[index] is VolumeState.STARTABLE
    return startable and index not in begun and not is_blocked(books.blocked.get(index), now)
