"""Which volumes start next: they get their tasks in manifest order."""

from collections.abc import Iterator
from itertools import zip_longest

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
    books = memory.books
    under_way = {action.index for action in memory.under_way.of(CreateTask)}
    left_out = under_way | {i for i, fact in books.blocked.items() if is_blocked(fact, now)}
    free = next_up.tasks - len(under_way - books.tasks.keys())
    wanted = max(free, len(next_up.fresh))
    if wanted <= 0:
        return
    found = books.frontier.first(VolumeState.STARTABLE, wanted + len(left_out))
    chosen = [index for index in found if index not in left_out][:wanted]
    for index, host in zip_longest(chosen, next_up.fresh[: len(chosen)]):
        if host is None or memory.old_pods_until(index):
            yield CreateTask(index)
        elif not host.pod.guarded:
            yield GuardWorker(host.pod, guarded=True)
        else:
            yield CreateTask(index, host.pod, host.worker)
