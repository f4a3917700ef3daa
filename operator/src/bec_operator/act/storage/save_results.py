"""Stores what became of the volumes: first the report of the failures, then the ledger."""

from bec_operator.act.ground.api_server import ApiError, core
from bec_operator.act.ground.context import Context
from bec_operator.act.ground.storage import storage_fact
from bec_operator.act.storage.failure_report_parts import FAILURES
from bec_operator.act.storage.outbox import append_results
from bec_operator.act.volumes.growth import note_growth, prepare_growth, tell_growth
from bec_operator.act.volumes.manifest import ledger_object
from bec_operator.api.names import ledger_name
from bec_operator.decide.lists.messages import queue_of
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.volumes.ledger import Ledger
from bec_operator.decide.volumes.part import Part
from bec_ops.contract.location import reports_prefix
from bec_ops.contract.s3.store import StoreError


async def save_ledger(ctx: Context, memory: Memory) -> None:
    """Store all results so far. What is stored when this returns may lose its VolumeTask."""
    ledger = memory.ledger
    if ledger is None:
        return
    growth = await prepare_growth(ctx, memory)
    if memory.ledger is not ledger or not (growth or not ledger.saved):
        return
    results = set(ledger.unsaved)
    longer = ledger.copy()
    if growth is not None:
        longer.lengthen(growth.manifest, len(growth.added))
    body = ledger_object(memory, longer, memory.saving.version)
    if not await _write_down(ctx, memory, longer, results):
        return
    path = core(memory.job.namespace, "configmaps", ledger_name(memory.job.name))
    try:
        saved = await ctx.api.request("PUT", path, body)
    except ApiError as error:
        if error.code == 404 and queue_of(memory) is not None:
            await _make_again(ctx, memory, longer)
            return
        if error.code not in {404, 409}:
            raise
        memory.lose_ledger(ctx.clock.now())  # everything is read anew
        return
    if memory.ledger is ledger:
        memory.saving.note(saved["metadata"]["resourceVersion"], ctx.clock.now())
        ledger.note_stored(longer, results)
        memory.outbox.note_read(results)
        if growth is not None:
            note_growth(memory, growth)
            await tell_growth(ctx, memory, growth)


async def _make_again(ctx: Context, memory: Memory, ledger: Ledger) -> None:
    """Store a ledger whose object is gone: no source has the volumes, but we know them still."""
    path = core(memory.job.namespace, "configmaps")
    made = await ctx.api.request("POST", path, ledger_object(memory, ledger))
    memory.saving.note(made["metadata"]["resourceVersion"], ctx.clock.now())


async def _write_down(ctx: Context, memory: Memory, ledger: Ledger, results: set[int]) -> bool:
    """Write in S3 what the ledger has no room for; return whether all of it stands there."""
    told = await _report_failures(ctx, memory)
    return told and await append_results(ctx, memory, ledger, results)


async def _report_failures(ctx: Context, memory: Memory) -> bool:
    """Append the failures that no report has yet. Return whether all is told.

    A crash right after it tells them twice; a line's `index` and `jobUid` say that it is the same.
    """
    lines, report = dict(memory.books.report.unsaved), memory.books.report
    if not lines:
        return True
    body = "".join(line.dump() for line in lines.values()).encode()
    bucket = memory.output.bucket
    folder = reports_prefix(memory.output.reports, memory.job.job_id)
    part = report.part
    try:
        report.part = await ctx.storage.call(
            "report", lambda store: FAILURES.append(store, bucket, folder, part, body)
        )
    except StoreError as error:
        report.part = Part(part.number)
        memory.learn("storage", storage_fact(error, ctx.clock.now()))
        return False
    report.note_saved(lines)
    return True
