"""Compiles `report.csv`, for people, from the failure report in S3 and the ledger."""

import asyncio
from functools import partial

from bec_operator.act.ground.context import Context
from bec_operator.act.ground.storage import storage_fact
from bec_operator.act.storage.failure_report_parts import read
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.volumes.failure_report import FailureReport, table
from bec_ops.contract.location import reports_prefix
from bec_ops.contract.s3.store import Store, StoreError, TooLargeError


async def compile_report(ctx: Context, memory: Memory) -> None:
    """Make `report.csv` as the ledger is now; where no volume failed and none is there, none."""
    report, ledger = memory.books.report, memory.ledger
    if ledger is None:
        return
    bucket, now = memory.output.bucket, ctx.clock.now()
    folder = reports_prefix(memory.output.reports, memory.job.job_id)
    try:
        if not report.is_read:
            look = partial(_read, memory=memory, bucket=bucket, folder=folder)
            report.note_older(await ctx.storage.call("report", look))
        report.note(memory.books.report.unsaved.values())
        changes, needed = ledger.changes, bool(ledger.unsuccessful())
        rows, ended, volumes = dict(report.rows), ledger.copy(), memory.books.volumes
        body = await asyncio.to_thread(table, rows, ended, volumes)
        key = f"{folder}report.csv"
        await ctx.storage.call(
            "report", lambda store: _write(store, bucket, key, body, needed=needed)
        )
    except StoreError as error:
        memory.learn("storage", storage_fact(error, ctx.clock.now()))
        return
    report.compiled, report.compiled_at = changes, now


def _read(store: Store, memory: Memory, bucket: str, folder: str) -> FailureReport:
    """Return what was reported of this very Job, of volumes that are where the lines say."""
    uid, volumes = memory.job.uid, memory.books.volumes
    found = FailureReport()
    found.note(
        line
        for line in read(store, bucket, folder)
        if line.job_uid == uid and line.index < len(volumes) and volumes[line.index] == line.volume
    )
    return found


def _write(store: Store, bucket: str, key: str, body: bytes, *, needed: bool) -> None:
    """Replace the report. One of an older Job, or of failures that were mended, is emptied."""
    try:
        stored = store.get(bucket, key, limit=len(body))
    except TooLargeError:
        stored = b"another"
    if stored != body and (needed or stored is not None):
        store.put(bucket, key, body, "text/csv; charset=utf-8")
