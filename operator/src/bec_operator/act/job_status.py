"""Writes the status of a Job, and tells people by an Event what changed."""

import logging
import secrets

from bec_operator.act.api_server import MERGE_PATCH, ApiError, bec, core
from bec_operator.act.context import Context
from bec_operator.act.records import job_of
from bec_operator.api.base import API_VERSION
from bec_operator.api.job import Condition, JobPhase, JobStatus
from bec_operator.decide.conditions import find
from bec_operator.decide.memory import JobSeen, Memory
from bec_operator.decide.moments import iso
from bec_operator.metrics import JOB_VOLUMES

log = logging.getLogger(__name__)


async def write_status(ctx: Context, memory: Memory, status: JobStatus) -> None:
    """Write `status`; what others write there at the same time is looked at in the next pass."""
    before = memory.job
    absent = {"startTime": None, "completionTime": None}  # a merge patch keeps what it leaves out
    patch = {"metadata": {"uid": before.uid}, "status": {**absent, **status.wire()}}
    path = bec(before.namespace, "jobs", before.name, "status")
    try:
        written = await ctx.api.request("PATCH", path, patch, content_type=MERGE_PATCH)
    except ApiError as error:
        if error.code not in {404, 409}:
            raise
        ctx.cache.jobs.remove(before.namespace, before.name, before.uid)
        return
    memory.written_at = ctx.clock.now()
    memory.told_total = memory.throughput.total
    ctx.cache.jobs.put(job_of(written))
    for state, number in status.counts.model_dump().items():
        JOB_VOLUMES.labels(before.namespace, before.name, state).set(number)
    news = _news(before.status, status)
    if news is not None:
        log.info("%s/%s: %s: %s", before.namespace, before.name, news.reason, news.message)
        await _post_event(ctx, before, news)
    if status.terminal:
        memory.forget()


def _news(old: JobStatus, new: JobStatus) -> Condition | None:
    """Return the condition that tells what changed; None if nothing did that people want to know.

    A stall, its end, and each change of phase are news.
    """
    was, now = find(old, "Stalled"), find(new, "Stalled")
    if now is not None and now.status == "True":
        return now if was is None or (was.status, was.reason) != (now.status, now.reason) else None
    stalled_before = was is not None and was.status == "True"
    verdict = find(new, "Failed" if new.phase is JobPhase.FAILED else "Ready")
    told = verdict is not None and verdict.status == "True"
    return verdict if told and (stalled_before or old.phase is not new.phase) else None


async def _post_event(ctx: Context, job: JobSeen, news: Condition) -> None:
    moment = iso(ctx.clock.now())
    event = {
        "metadata": {"name": f"{job.name}.{secrets.token_hex(8)}", "namespace": job.namespace},
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": "Job",
            "namespace": job.namespace,
            "name": job.name,
            "uid": job.uid,
        },
        "type": "Normal" if news.type == "Ready" else "Warning",
        "reason": news.reason,
        "message": news.message[:1024],
        "source": {"component": "bec-operator"},
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
    }
    await ctx.api.request("POST", core(job.namespace, "events"), event)
