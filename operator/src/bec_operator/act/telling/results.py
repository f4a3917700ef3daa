"""Delivers results to those who are to get them, in order, each at its own pace."""

from collections.abc import Sequence
from dataclasses import replace

from bec_operator.act.ground.connections import ConnectionTrouble
from bec_operator.act.ground.context import Context
from bec_operator.act.kube.events import post_event
from bec_operator.act.storage.outbox import delete_spent, list_parts, read_part
from bec_operator.act.telling.receivers import give_to_queue, give_to_sql
from bec_operator.decide.jobs.actions import DeliverResults
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.memory.outbox import Receiver
from bec_operator.decide.sight.seen import Fact
from bec_operator.decide.volumes.actions import SaveLedger
from bec_operator.decide.volumes.ledger import Outcome
from bec_operator.decide.volumes.results import Result, Snapshot
from bec_operator.metrics import RESULTS

AT_ONCE = 500  # results, about: so many are delivered together
STALE = 5.0  # seconds after which a look at what runs is not worth telling any more


async def deliver_results(ctx: Context, memory: Memory, action: DeliverResults) -> None:
    """Give a receiver what it has not got: first the results, then how the job stands."""
    outbox, began = memory.outbox, ctx.clock.now()
    if action.stand is not None and memory.job.status.terminal:
        outbox.look_again()  # nothing that anybody has written is left
    if outbox.parts is None:
        await list_parts(ctx, memory)
    waiting, snapshot = _take(memory, action)
    try:
        results, last = list[Result](), ""
        for key in waiting:
            results += await read_part(ctx, memory, key)
            last = key
            if len(results) >= AT_ONCE:
                await _give(ctx, memory, action, results, last)
                results, last = [], ""
        late = ctx.clock.now() - began > STALE
        stand = None if late or action.stand is None else action.stand
        shown = snapshot if stand is not None else None
        if results or last or stand is not None or _has_notice(memory, action.to):
            await _give(ctx, memory, action, results, last, shown, stand)
    except ConnectionTrouble as error:
        outbox.delivery(action.to).note_trouble(
            Fact(ctx.clock.now(), error.reason, f"spec.results.{action.to}: {error}")
        )
    await delete_spent(ctx, memory)


def _take(memory: Memory, action: DeliverResults) -> tuple[list[str], Snapshot | None]:
    """Return the parts to deliver, and what runs beside what these say has ended.

    What is being written meanwhile goes into another part, or is left for the next time.
    """
    outbox, ledger = memory.outbox, memory.ledger
    waiting = outbox.waiting_for(action.to)
    if not memory.under_way.of(SaveLedger):
        outbox.close_part()
    elif outbox.part.writer:
        waiting = [key for key in waiting if outbox.part.writer not in key]
    snapshot = action.snapshot
    if snapshot is not None and ledger is not None:
        runs = [
            each
            for each in snapshot.under_way
            if each.index < len(ledger) and ledger.outcome(each.index) is Outcome.WAITING
        ]
        snapshot = replace(snapshot, under_way=runs)
    return waiting, snapshot


def _has_notice(memory: Memory, to: Receiver) -> bool:
    return to == "queue" and memory.outbox.notice is not None


async def _give(
    ctx: Context,
    memory: Memory,
    action: DeliverResults,
    results: Sequence[Result],
    last: str,
    snapshot: Snapshot | None = None,
    stand: object = None,
) -> None:
    """Give some results, those of the part `last` and of parts before it; note what came of it."""
    outbox, to = memory.outbox, action.to
    delivery = outbox.delivery(to)
    if to == "sql":
        left_out = await give_to_sql(ctx, memory, results, snapshot, deleted=action.deleted)
    else:
        left_out = await give_to_queue(ctx, memory, results, ended=stand is not None)
    if not delivery.left_out and left_out:
        await post_event(
            ctx.api, ctx.clock, memory.job, "ResultsLeftOut", f"{to}: {left_out[0]}", "Warning"
        )
    delivery.note_left_out(left_out)
    delivery.note_taken(last, ctx.clock.now())
    RESULTS.labels(to, "delivered").inc(len(results) - len(left_out))
    RESULTS.labels(to, "left_out").inc(len(left_out))
    if stand is not None:
        delivery.note_shown(stand, ctx.clock.now())
