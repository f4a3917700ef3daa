"""Writes the status of a Job, and tells people by an Event and a notification what changed."""

from typing import Literal

from bec_operator.act.ground.api_server import bec
from bec_operator.act.ground.context import Context
from bec_operator.act.ground.notifier import notify_news
from bec_operator.act.ground.patching import patch_if_there
from bec_operator.act.kube.events import post_event
from bec_operator.act.kube.records import job_of
from bec_operator.api.job import Condition, JobPhase, JobStatus
from bec_operator.decide.jobs.actions import WriteStatus
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.conditions import find
from bec_operator.metrics import JOB_VOLUMES


async def write_status(ctx: Context, memory: Memory, action: WriteStatus) -> None:
    """Write a status; what others write there at the same time is looked at in the next pass."""
    before, status = memory.job, action.status
    absent = {
        "startTime": None,
        "completionTime": None,
        "pool": None,
    }  # a merge patch keeps what it leaves out
    patch = {"metadata": {"uid": before.uid}, "status": {**absent, **status.wire()}}
    written = await patch_if_there(
        ctx.api,
        bec(before.namespace, "jobs", before.name),
        patch,
        "status",
        lambda found: ctx.cache.jobs.put(job_of(found)),
    )
    if written is None:
        ctx.cache.jobs.remove(before.namespace, before.name, before.uid)
        return
    memory.note_status_written(ctx.clock.now())
    after = job_of(written)
    ctx.cache.jobs.put(after)
    for state, number in status.counts.model_dump().items():
        JOB_VOLUMES.labels(before.namespace, before.name, state).set(number)
    if ctx.notifier is not None:
        notify_news(ctx.notifier, memory, before, after, ctx.clock)
    news = _news(before.status, status)
    if news is not None:
        kind: Literal["Normal", "Warning"] = "Normal" if news.type == "Ready" else "Warning"
        await post_event(ctx.api, ctx.clock, before, news.reason, news.message, kind)
    if status.terminal:
        memory.end()


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
