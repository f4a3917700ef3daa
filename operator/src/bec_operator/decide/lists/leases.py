"""Messages that are held until their volumes are done (`ack: Done`): what becomes of each.

The queue is shared with workers that are not ours. So a message is kept from them while its volume
is queued, runs or waits for its next attempt, and no longer.
"""

import math
from collections.abc import Iterator, Set
from enum import Enum, auto

from bec_operator.decide.lists.messages import queue_of
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.memory.turning_back import may_open_again
from bec_operator.decide.sight.action import Action
from bec_operator.decide.sight.failures import RULES, FailureClass
from bec_operator.decide.sight.moments import lenient
from bec_operator.decide.volumes.actions import OpenAgain, TendMessages
from bec_operator.decide.volumes.leases import Lease
from bec_operator.decide.volumes.ledger import Outcome

LONGEST = 11.5 * 3600  # seconds after which none is extended: SQS allows twelve hours in all
EXTEND_AT = 2 / 3  # of its time is left when a message is extended, and with it
AND_AT = 0.9  # those of which so much is left: a request extends ten


class Fate(Enum):
    """What is to become of a message."""

    KEEP = auto()  # from others
    DELETE = auto()
    GIVE_BACK = auto()  # others may have it
    LEAVE = auto()  # to its time, and to what the queue does with what comes too often


def fate_of(memory: Memory, lease: Lease, running: Set[int], *, rests: bool) -> Fate:
    """Return what is to become of a message.

    `running` are the volumes that run; `rests`: no other of the job will begin. What became of a
    volume counts once it is stored: until then it could be lost, and the message would be, too.
    """
    ledger, index = memory.ledger, lease.index
    if ledger is None or index is None:
        kept = ledger is not None and lease.volume in memory.books.inbox.waiting and not rests
    elif ledger.outcome(index) is Outcome.WAITING:
        kept = index in running or not rests
    elif not ledger.is_stored(index):
        kept = True
    elif ledger.outcome(index) is Outcome.SUCCEEDED:
        return Fate.DELETE
    elif not (lease.asks or may_help_again(memory, index)):
        return Fate.LEAVE
    else:
        kept = lease.asks and not rests
    return Fate.KEEP if kept else Fate.GIVE_BACK


def may_help_again(memory: Memory, index: int) -> bool:
    """Whether a volume has failed in a way that another try may help."""
    assert memory.ledger is not None
    if memory.ledger.outcome(index) is not Outcome.FAILED:
        return False
    code = memory.ledger.code(index)
    known = code in FailureClass.__members__.values()
    return not (known and RULES[FailureClass(code)].final)


def done_messages(memory: Memory) -> tuple[str, ...]:
    """Return the ids of the messages whose volumes are done, as is stored."""
    held = memory.books.leases.held if memory.shares_queue else {}
    fates = {n: fate_of(memory, lease, frozenset(), rests=False) for n, lease in held.items()}
    return tuple(name for name, fate in fates.items() if fate is Fate.DELETE)


def tend_messages(
    memory: Memory, running: Set[int], now: float, *, rests: bool
) -> Iterator[Action]:
    """Keep messages from others while their volumes are worked on, and let them have the rest."""
    queue, leases = queue_of(memory), memory.books.leases
    if queue is None or now < leases.not_before:
        return
    left: dict[str, float] = {}
    back: list[tuple[str, int]] = []
    leave: list[str] = []
    worn: list[str] = []
    for name, lease in leases.held.items():
        fate = fate_of(memory, lease, running, rests=rests)
        if fate is Fate.KEEP:
            if now - lease.since >= LONGEST:
                worn += [name] if not lease.worn else []
            elif 0 < lease.until - now < AND_AT * queue.held_for:
                left[name] = lease.until - now
        elif fate is Fate.LEAVE or (fate is Fate.GIVE_BACK and now >= lease.until):
            leave.append(name)
        elif fate is Fate.GIVE_BACK:
            back.append((name, _wait(memory, lease, queue.held_for, now)))
    keep = left if min(left.values(), default=math.inf) < EXTEND_AT * queue.held_for else ()
    if keep or back or leave or worn or leases.trouble is not None:
        yield TendMessages(tuple(keep), tuple(back), tuple(leave), tuple(worn))


def open_again(memory: Memory, *, rests: bool) -> Iterator[Action]:
    """Open the volumes again that have failed, and for which a message has come since."""
    if rests or not memory.shares_queue:
        return
    asked = {x.index for x in memory.books.leases.held.values() if x.asks and x.index is not None}
    yield from (OpenAgain(index) for index in sorted(asked) if may_open_again(memory, index))


def _wait(memory: Memory, lease: Lease, visibility: float, now: float) -> int:
    """Return for how many seconds nobody is to get a message that goes back.

    If its volume has failed, the time for which it is held is to be between two attempts: workers
    of BEC take what comes again within five minutes for what somebody works on, and delete it.
    """
    ledger, index = memory.ledger, lease.index
    if ledger is None or index is None or ledger.outcome(index) is not Outcome.FAILED:
        return 0
    task = memory.books.tasks.get(index)
    begun = lenient(task.failed[-1].start_time) if task is not None and task.failed else 0.0
    return int(max(visibility - max(now - begun, 0.0), 0.0) if begun else visibility)
