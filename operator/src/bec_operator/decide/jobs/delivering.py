"""When databases and queues are told what became of volumes, and what is said of that."""

from collections.abc import Iterator

from bec_operator.decide.jobs.actions import DeliverResults, WriteStatus
from bec_operator.decide.jobs.delivered import DELIVERED, stand_of, told_of_results
from bec_operator.decide.jobs.scene import Scene
from bec_operator.decide.jobs.snapshots import snapshot_of
from bec_operator.decide.jobs.status import worth_writing
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.memory.outbox import Delivery, Receiver
from bec_operator.decide.sight.action import Action
from bec_operator.decide.sight.conditions import conditions, find
from bec_operator.decide.sight.moments import iso
from bec_operator.decide.volumes.actions import SaveLedger
from bec_operator.decide.volumes.results import Snapshot

SELDOM = 30.0  # seconds between two deliveries while the other takes none, so that parts are few


def deliver(seen: Scene) -> Iterator[Action]:
    """Deliver what waits for each receiver, and tell it how the job stands."""
    memory, now = seen.memory, seen.now
    outbox = memory.outbox
    if memory.ledger is None and not memory.job.status.terminal:
        return  # it is not known yet whether its reports have a place
    for to in outbox.receivers:
        delivery = outbox.delivery(to)
        if now < delivery.not_before:
            continue
        if outbox.others_wait(to) and now - delivery.taken_at < SELDOM:
            continue
        if memory.under_way.has(DeliverResults(to).key):
            continue
        shows = _is_show_due(seen, to, delivery)
        left = (
            not outbox.listed or _waiting(memory, to) or (outbox.spent and outbox.may_delete(now))
        )
        if left or shows or _has_notice(memory, to):
            snapshot = None
            if shows and to == "sql":
                snapshot = Snapshot() if memory.job.status.terminal else snapshot_of(seen)
            yield DeliverResults(to, snapshot, stand_of(memory) if shows else None)


def _is_show_due(seen: Scene, to: Receiver, delivery: Delivery) -> bool:
    """Whether to tell a receiver how the job stands: a queue gets to know the end alone."""
    memory, stand = seen.memory, stand_of(seen.memory)
    if memory.job.status.terminal:
        return delivery.stand != stand
    if to == "queue" or memory.job.status.start_time is None:
        return False
    news = bool(memory.books.tasks) or delivery.stand != stand
    return news and seen.now - delivery.stand_at >= seen.show_every


def _waiting(memory: Memory, to: Receiver) -> bool:
    """Whether a part waits for a receiver that nobody is writing."""
    saves = memory.under_way.of(SaveLedger)
    return any(
        not (saves and key == memory.outbox.open_key) for key in memory.outbox.waiting_for(to)
    )


def _has_notice(memory: Memory, to: Receiver) -> bool:
    return to == "queue" and memory.outbox.notice is not None


def owes(memory: Memory) -> bool:
    """Whether a Job that has ended has results that somebody waits for, or may.

    One that says nothing of it ended before it had any.
    """
    said = find(memory.job.status, DELIVERED) if [*memory.outbox.receivers] else None
    return said is not None and said.status != "True"


def deliver_last(memory: Memory) -> Iterator[Action]:
    """The Job is deleted: whoever answers now gets what is left, and hears that nothing runs."""
    unsettled = not memory.job.status.terminal or owes(memory)
    begun = memory.job.status.start_time is not None
    for to in memory.outbox.receivers if begun and unsettled else ():
        snapshot = Snapshot() if to == "sql" else None
        yield DeliverResults(to, snapshot, stand_of(memory), deleted=True)


def deliver_rest(seen: Scene) -> Iterator[Action]:
    """Deliver what an ended Job owes yet, and have it say so."""
    memory, now = seen.memory, seen.now
    if not owes(memory):
        return
    old, told = memory.job.status, told_of_results(memory, now, over=True)
    kinds = [condition.type for condition in old.conditions]
    found = conditions(told, old, memory.job.generation, iso(now))
    found.sort(key=lambda condition: kinds.index(condition.type))
    status = old.model_copy(update={"conditions": found})
    if worth_writing(status, memory, now):
        yield WriteStatus(status)
    yield from deliver(seen)
