"""Delivers results to those who are to get them, in order, each at its own pace."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from bec_operator.act.ground.connections import ConnectionTrouble
from bec_operator.act.ground.context import Context
from bec_operator.act.ground.storage import storage_fact
from bec_operator.act.kube.events import post_event
from bec_operator.act.storage.outbox import delete_spent, list_parts, read_part
from bec_operator.act.telling.receivers import RECEIVERS, Given
from bec_operator.decide.jobs.actions import DeliverResults
from bec_operator.decide.jobs.snapshots import job_told
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.seen import Fact
from bec_operator.decide.volumes.actions import SaveLedger
from bec_operator.decide.volumes.ledger import Outcome
from bec_operator.decide.volumes.results import Result, Snapshot
from bec_operator.metrics import RESULTS_TOLD
from bec_ops.contract.s3.store import StoreError

AT_ONCE = 500  # results, about: so many are delivered together
STALE = 5.0  # seconds after which a look at what runs is not worth telling any more


async def deliver_results(ctx: Context, memory: Memory, action: DeliverResults) -> None:
    """Give a receiver what it has not got: first the results, then how the job stands."""
    delivery = memory.outbox.delivery(action.to)
    try:
        await _deliver(ctx, memory, action)
    except ConnectionTrouble as error:
        said = f"spec.results.{action.to}: {error}"
        delivery.note_trouble(Fact(ctx.clock.now(), error.reason, said))
    except StoreError as error:
        delivery.note_trouble(storage_fact(error, ctx.clock.now()))
    await delete_spent(ctx, memory)


@dataclass(slots=True)
class _Batch:
    """Results that are given together, and the parts that are whole with them."""

    results: list[Result] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)


async def _deliver(ctx: Context, memory: Memory, action: DeliverResults) -> None:
    outbox, began = memory.outbox, ctx.clock.now()
    receiver = RECEIVERS[action.to](ctx, memory)
    async with receiver.turn():
        if action.stand is not None and memory.job.status.terminal:
            outbox.look_again(action.stand)  # nothing that anybody has written is left
        if not outbox.listed:
            await list_parts(ctx, memory)
        waiting, snapshot = _take(memory, action)
        batch = _Batch()
        for key in waiting:
            batch.results += await read_part(ctx, memory, key)
            batch.parts.append(key)
            if len(batch.results) >= AT_ONCE:
                await _give(ctx, memory, action, receiver, batch)
                batch = _Batch()
        late = ctx.clock.now() - began > STALE and snapshot is not None and snapshot != Snapshot()
        if action.deleted or not (late or _is_gone(ctx, memory)):
            await _give(ctx, memory, action, receiver, batch, snapshot, action.stand)
        elif batch.parts:
            await _give(ctx, memory, action, receiver, batch)


def _is_gone(ctx: Context, memory: Memory) -> bool:
    """Whether the Job is deleted: then another delivery tells how it stands."""
    job = ctx.cache.jobs.get(memory.job.namespace, memory.job.name)
    return job is None or job.uid != memory.job.uid


def _take(memory: Memory, action: DeliverResults) -> tuple[list[str], Snapshot | None]:
    """Return the parts to deliver, and what runs beside what these say has ended.

    What is being written meanwhile goes into another part, or is left for the next time.
    """
    outbox, ledger = memory.outbox, memory.ledger
    if not memory.under_way.of(SaveLedger):
        outbox.close_part()
    waiting = [key for key in outbox.waiting_for(action.to) if key != outbox.open_key]
    snapshot = action.snapshot
    if snapshot is not None and ledger is not None:
        runs = [
            each
            for each in snapshot.under_way
            if each.index < len(ledger) and ledger.outcome(each.index) is Outcome.WAITING
        ]
        snapshot = replace(snapshot, under_way=runs)
    return waiting, snapshot


async def _give(
    ctx: Context,
    memory: Memory,
    action: DeliverResults,
    receiver: Given,
    batch: _Batch,
    snapshot: Snapshot | None = None,
    stand: object = None,
) -> None:
    """Give a batch, and how the job stands if it is to be told; note what came of it."""
    delivery, to = memory.outbox.delivery(action.to), action.to
    if not (batch.parts or stand is not None or receiver.has_more):
        return
    job = job_told(memory, deleted=action.deleted)
    left_out = await receiver.give(job, batch.results, snapshot, ended=stand is not None)
    await _note_left_out(ctx, memory, action, left_out)
    delivery.note_taken(batch.parts, ctx.clock.now())
    RESULTS_TOLD.labels(to, "delivered").inc(len(batch.results))
    if stand is not None:
        delivery.note_stand(stand, ctx.clock.now())


async def _note_left_out(
    ctx: Context, memory: Memory, action: DeliverResults, said: Sequence[str]
) -> None:
    """Tell of what a receiver will never take, once each; an Event has the first."""
    delivery = memory.outbox.delivery(action.to)
    first = not delivery.left_out
    RESULTS_TOLD.labels(action.to, "left_out").inc(delivery.note_left_out(said))
    if first and said:
        told = f"{action.to}: {said[0]}"
        await post_event(ctx.api, ctx.clock, memory.job, "ResultsLeftOut", told, "Warning")
