"""Messages that are held until their volumes are done (`ack: Done`): kept from others, given back.

What is lost with the process comes again when its time is up, and finds its volume again.
"""

from collections import defaultdict
from collections.abc import Mapping

from bec_operator.act.connections.sqs import Queue
from bec_operator.act.ground.connections import ConnectionTrouble
from bec_operator.act.ground.context import Context
from bec_operator.act.kube.events import post_event
from bec_operator.decide.lists.leases import may_help_again
from bec_operator.decide.lists.messages import queue_of, told_of_worn
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.seen import Fact
from bec_operator.decide.volumes.actions import TendMessages
from bec_operator.decide.volumes.leases import Lease
from bec_operator.decide.volumes.ledger import Outcome
from bec_ops.contract.volume import Volume

_FAILED = {Outcome.FAILED, Outcome.SKIPPED}


def hold(
    memory: Memory,
    messages: Mapping[Volume, Mapping[str, str]],
    places: Mapping[Volume, int],
    received: Mapping[str, tuple[float, int]],
) -> None:
    """Take in messages, with their receipts: when each was received, and how often it was.

    One whose volume has failed asks for another try, if that may help, or if it is new: somebody
    has sent it since. Else it is left to what its queue does with what comes too often.
    """
    queue, ledger = queue_of(memory), memory.ledger
    if queue is None or ledger is None:
        return
    if messages:
        memory.books.inbox.note_any()
    held = dict[str, Lease]()
    for volume, receipts in messages.items():
        index = places.get(volume)
        failed = index is not None and ledger.outcome(index) in _FAILED
        for name, receipt in receipts.items():
            at, times = received[name]
            if failed and index is not None and times > 1 and not may_help_again(memory, index):
                continue
            held[name] = Lease(volume, receipt, at, at + queue.held_for, index, asks=failed)
    memory.books.leases.note_received(held)


async def tend_messages(ctx: Context, memory: Memory, action: TendMessages) -> None:
    """Extend the time of messages, or let others have them."""
    source, leases = queue_of(memory), memory.books.leases
    if source is None:
        return
    leases.note_gone(leases.receipts(action.leave))
    if action.worn:
        leases.note_worn(action.worn)
        said = told_of_worn(len(action.worn))
        await post_event(ctx.api, ctx.clock, memory.job, "MessagesWorn", said, "Warning")
    keep, back = leases.receipts(action.keep), defaultdict[int, dict[str, str]](dict)
    for name, after in action.back:
        back[after] |= leases.receipts([name])
    if not (keep or back):
        leases.note_answer(None)  # nothing is left of what it did not answer
        return
    asked = ctx.clock.now()
    try:
        connection = ctx.connections.find(source.connection, "sqs", memory.job.namespace)
        lost, gone = await ctx.connections.call(
            connection, lambda it: _ask(Queue(it, source.url), keep, int(source.held_for), back)
        )
    except ConnectionTrouble as error:
        said = f"spec.volumes.queue: {error}"
        leases.note_answer(Fact(ctx.clock.now(), error.reason, said))
        return
    leases.note_answer(None)
    leases.note_kept(keep, asked + source.held_for)
    leases.note_gone({name: keep[name] for name in lost} | gone)


def _ask(
    queue: Queue,
    keep: Mapping[str, str],
    seconds: int,
    back: Mapping[int, Mapping[str, str]],
) -> tuple[set[str], dict[str, str]]:
    """Ask all of it; return which messages are lost to others, and the receipts of what went."""
    lost = queue.extend(keep, seconds)
    gone = dict[str, str]()
    for after, receipts in back.items():
        if after:
            queue.extend(receipts, after)
            gone |= receipts
        else:
            gone |= {name: receipts[name] for name in queue.give_back(receipts)}
    return lost, gone
