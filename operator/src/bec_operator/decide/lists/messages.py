"""A queue of volumes: when messages are taken and deleted, and when nothing more comes of it."""

from collections.abc import Iterator

from bec_operator.api.queue import QueueSource
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.action import Action
from bec_operator.decide.volumes.actions import DeleteMessages, TakeMessages
from bec_operator.decide.volumes.inbox import MOST
from bec_operator.decide.volumes.ledger import Outcome

WAITING = "WaitingForMessages"
STORED_WITHIN = 30.0  # seconds since the ledger was stored last, while messages wait for that
REFUSED_MESSAGES = "messages-refused-"


def queue_of(memory: Memory) -> QueueSource | None:
    """Return the queue that the volumes come from, if they do."""
    return memory.job.spec.volumes.queue if memory.job.spec is not None else None


def delete_messages(memory: Memory, now: float, done: tuple[str, ...] = ()) -> Iterator[Action]:
    """Delete the messages whose volumes are stored, and those whose volumes are `done`."""
    inbox = memory.books.inbox
    if queue_of(memory) is not None and (inbox.stored or done) and now >= inbox.delete_not_before:
        yield DeleteMessages(done)


def take_messages(memory: Memory, now: float, most: int = MOST) -> Iterator[Action]:
    """Take up to so many further messages, if those that are held could be stored.

    One that is received too often goes to the dead letters: it is not for us to receive it in vain.
    """
    inbox, spec = memory.books.inbox, memory.job.spec
    if queue_of(memory) is None or spec is None or spec.suspend:
        return
    late = inbox.waiting and now - memory.saving.at > STORED_WITHIN
    full = not most or held_messages(memory) >= MOST
    if not late and not full and now >= inbox.not_before:
        yield TakeMessages(most)


def held_messages(memory: Memory) -> int:
    """Return how many messages are ours now, those included whose volumes are worked on."""
    return memory.books.inbox.held + len(memory.books.leases.held)


def is_queue_done(memory: Memory, settled: int) -> bool:
    """Whether nothing more comes from the queue: the Job says until when, and it is so.

    It counts from when so many volumes were settled. A job that has got none waits for its first.
    """
    queue = queue_of(memory)
    if queue is None or queue.until is None or not len(memory.books.volumes):
        return False
    return is_queue_quiet(memory) and memory.books.inbox.is_empty(settled)


def tell_of_queue(memory: Memory, verdict: tuple[str, str]) -> tuple[str, str] | None:
    """Return reason and sentence of a Job that waits for messages; None for any other."""
    queue, ledger, inbox = queue_of(memory), memory.ledger, memory.books.inbox
    if queue is None or ledger is None:
        return None
    reason, message = verdict
    if inbox.refused:
        message = f"{message}; {told_of_refused(inbox.refused)}"
    if worn := memory.books.leases.count_worn():
        message = f"{message}; {told_of_worn(worn)}"
    if ledger.count(Outcome.WAITING) or inbox.held:
        return reason, message
    return WAITING, f"{message}; waits for messages"


def told_of_refused(number: int) -> str:
    """Say that messages named no volume."""
    one = number == 1
    return (
        f"{number} message{'' if one else 's'} named no volume: see {REFUSED_MESSAGES}… beside the "
        "reports"
    )


def told_of_worn(number: int) -> str:
    """Say that messages cannot be kept from others any more."""
    one = number == 1
    return (
        f"{number} message{'' if one else 's'} cannot be kept from others any more, as a queue "
        f"allows twelve hours: {'it comes' if one else 'they come'} to somebody again, and the "
        f"volume{' goes' if one else 's go'} on here as well"
    )


def is_queue_quiet(memory: Memory) -> bool:
    """Whether no message is ours, or about to be."""
    return not held_messages(memory) and not memory.under_way.of(TakeMessages)
