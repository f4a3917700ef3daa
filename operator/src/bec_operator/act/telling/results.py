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
CHARACTERS_AT_ONCE = 4_000_000  # the same, of what their handlers have returned


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
    trouble: StoreError | None = None  # why no more could be read

    @property
    def is_full(self) -> bool:
        """Whether the next part is for another batch."""
        returned = sum(len(each.made.result or "") for each in self.results if each.made)
        return len(self.results) >= AT_ONCE or returned >= CHARACTERS_AT_ONCE


async def _deliver(ctx: Context, memory: Memory, action: DeliverResults) -> None:
    """Give all parts that wait now, a few at a time: between two of them it is others' turn."""
    outbox = memory.outbox
    receiver = RECEIVERS[action.to](ctx, memory)
    async with receiver.turn():
        if action.stand is not None and memory.job.status.terminal:
            outbox.look_again(action.stand)  # nothing that anybody has written is left
        if not outbox.listed:
            await list_parts(ctx, memory)
    waiting, snapshot = _take(memory, action)
    while True:
        async with receiver.turn():
            batch = await _read(ctx, memory, waiting)
            last = not waiting and batch.trouble is None
            if last and (action.deleted or not _is_gone(ctx, memory)):
                await _give(ctx, memory, action, receiver, batch, snapshot, action.stand, last=True)
            elif batch.parts:
                await _give(ctx, memory, action, receiver, batch)
        if batch.trouble is not None:
            raise batch.trouble
        if last:
            return


async def _read(ctx: Context, memory: Memory, waiting: list[str]) -> _Batch:
    """Read parts until it is enough, and take them off those that wait."""
    batch = _Batch()
    while waiting and not batch.is_full:
        try:
            batch.results += await read_part(ctx, memory, waiting[0])
        except StoreError as error:
            batch.trouble = error
            break
        batch.parts.append(waiting.pop(0))
    return batch


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
    *,
    last: bool = False,
) -> None:
    """Give a batch, and how the job stands if it is to be told; note what came of it."""
    delivery, to = memory.outbox.delivery(action.to), action.to
    if not (batch.parts or stand is not None or receiver.has_more):
        return
    job = job_told(memory, deleted=action.deleted)
    left_out = await receiver.give(job, batch.results, snapshot, ended=stand is not None, last=last)
    new = await _note_left_out(ctx, memory, action, left_out)
    delivery.note_taken(batch.parts, ctx.clock.now())
    RESULTS_TOLD.labels(to, "delivered").inc(max(len(batch.results) - new, 0))
    if stand is not None:
        delivery.note_stand(stand, ctx.clock.now())


async def _note_left_out(
    ctx: Context, memory: Memory, action: DeliverResults, said: Sequence[str]
) -> int:
    """Tell of what a receiver will never take, once each; an Event has the first."""
    delivery = memory.outbox.delivery(action.to)
    first, new = not delivery.left_out, delivery.note_left_out(said)
    RESULTS_TOLD.labels(action.to, "left_out").inc(new)
    if first and said:
        told = f"{action.to}: {said[0]}"
        await post_event(ctx.api, ctx.clock, memory.job, "ResultsLeftOut", told, "Warning")
    return new
