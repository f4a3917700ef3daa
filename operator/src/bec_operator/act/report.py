"""Compiles `report.csv` from the failure reports in S3 and the ledger."""

import logging
import re
from functools import partial

from pydantic import ValidationError

from bec_operator.act.checks import storage_fact
from bec_operator.act.context import Context
from bec_operator.decide.memory import Memory
from bec_operator.decide.report import Line
from bec_ops.location import reports_prefix
from bec_ops.store import Store, StoreError

log = logging.getLogger(__name__)

_PART = re.compile(r"failures-(\d+)\.jsonl$")


async def compile_report(ctx: Context, memory: Memory) -> None:
    """Make `report.csv` as the ledger is now; where no volume failed and none is there, none."""
    report, ledger = memory.report, memory.ledger
    if ledger is None:
        return
    bucket, now = memory.output.bucket, ctx.clock.now()
    folder = reports_prefix(memory.output.reports, memory.job.job_id)
    try:
        if not report.is_read:
            found = await ctx.storage.call("report", partial(_read, bucket=bucket, folder=folder))
            report.note_older(line for line in found if _is_of(line, memory))
        report.note(memory.failures.values())
        changes, needed = ledger.changes, bool(ledger.unsuccessful())
        body = report.table(ledger, memory.volumes).encode()
        key = f"{folder}report.csv"
        await ctx.storage.call(
            "report", lambda store: _write(store, bucket, key, body, needed=needed)
        )
    except StoreError as error:
        memory.facts.storage = storage_fact(error, ctx.clock.now())
        return
    report.compiled, report.compiled_at = changes, now


def _is_of(line: Line, memory: Memory) -> bool:
    """Whether a line is about this very Job, and its volume is where it says."""
    at_home = line.job_uid == memory.job.uid and line.index < len(memory.volumes)
    return at_home and memory.volumes[line.index] == line.volume


def _read(store: Store, bucket: str, folder: str) -> list[Line]:
    """Return all lines that were reported, in the order in which they were written."""
    parts = [(match, key) for key in store.list_keys(bucket, f"{folder}failures-")
             if (match := _PART.search(key))]  # fmt: skip
    parts.sort(key=lambda part: int(part[0][1]))
    return [line for _, key in parts for line in _lines(store, bucket, key)]


def _lines(store: Store, bucket: str, key: str) -> list[Line]:
    found = []
    for number, text in enumerate((store.get(bucket, key) or b"").splitlines(), start=1):
        try:
            found.append(Line.model_validate_json(text))
        except ValidationError as error:
            fault = error.errors()[0]["msg"]
            log.warning("s3://%s/%s, line %d is not ours: %s", bucket, key, number, fault)
    return found


def _write(store: Store, bucket: str, key: str, body: bytes, *, needed: bool) -> None:
    """Replace the report. One of an older Job, or of failures that were mended, is emptied."""
    stored = store.get(bucket, key)
    if stored != body and (needed or stored is not None):
        store.put(bucket, key, body, "text/csv; charset=utf-8")
