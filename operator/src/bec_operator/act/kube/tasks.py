"""Makes, records and deletes VolumeTasks."""

import logging
from collections.abc import Mapping
from functools import partial

from bec_operator.act.ground.api_server import MERGE_PATCH, ApiError, Body, bec
from bec_operator.act.ground.context import Context
from bec_operator.act.kube.deletion import delete_each, delete_together
from bec_operator.act.kube.handing import begin, is_current, tell
from bec_operator.act.kube.pod_spec import owner
from bec_operator.act.kube.pods import create_pod, find_pod
from bec_operator.act.kube.records import task_of
from bec_operator.api.base import API_VERSION
from bec_operator.api.names import (
    FIRST_ATTEMPT_ANNOTATION,
    JOB_LABEL,
    OWNER_LABEL,
    TASK_LABEL,
    task_name,
)
from bec_operator.api.volume_source import VolumeId
from bec_operator.api.volume_task import VolumeTaskSpec, VolumeTaskStatus
from bec_operator.decide.attempts.actions import CreatePod, CreateTask, DeleteTasks, RecordTask
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.memory.settling import note_failed_attempt, note_misconfigured
from bec_operator.decide.sight.seen import Fact, TaskSeen

log = logging.getLogger(__name__)

PLURAL = "volumetasks"


async def create_task(ctx: Context, memory: Memory, action: CreateTask) -> None:
    """Make the VolumeTask of a volume. One that is there already is as good, if it is ours.

    For a worker of a pool it is made with its first attempt on record, so that nothing more needs
    to be written of one that does not take long.
    """
    pod, worker, marks = action.pod, action.worker, {}
    if pod is not None and worker is not None:
        if not is_current(ctx, pod, worker):
            return
        marks[FIRST_ATTEMPT_ANNOTATION] = begin(ctx, memory, pod, worker).model_dump_json(
            by_alias=True, exclude_defaults=True
        )
    body = _new_task(memory, action.index, marks)
    try:
        made = await ctx.api.request("POST", bec(memory.job.namespace, PLURAL), body)
    except ApiError as error:
        if error.reason == "AlreadyExists":
            await _take_in(ctx, memory, action.index, body["metadata"]["name"])
        elif error.over_quota:
            memory.launching.note_refused(Fact(ctx.clock.now(), "QuotaExceeded", error.message))
        elif error.final:
            memory.launching.note_refused(Fact(ctx.clock.now(), "TaskRefused", error.message))
        else:
            raise
        return
    refused = memory.launching.refused
    if worker is not None or (refused and refused.reason == "TaskRefused"):
        memory.launching.note_made()  # else it is its pod that matters
    task = task_of(made)
    memory.books.record(task).note_made()
    ctx.cache.tasks.put(task)
    if pod is not None and worker is not None:
        tell(ctx, memory, task, pod, worker)


async def begin_in_pod(ctx: Context, memory: Memory, action: CreatePod) -> None:
    """Make the pod of an attempt, unless a worker from elsewhere may have got it: look at it first.

    No answer came as that was recorded, and a pod beside it would be a second one at work.
    """
    record = memory.books.record(action.task)
    if record.maybe_given:
        await refresh_task(ctx, action.task.namespace, action.task.name)
        record.note_giving(sure=True)
    else:
        await create_pod(ctx, memory, action)


def _new_task(memory: Memory, index: int, annotations: Mapping[str, str]) -> Body:
    """Return the VolumeTask of the volume at `index`."""
    job, volume = memory.job, memory.books.volumes[index]
    name = task_name(job.name, volume)
    volume_id = VolumeId(w_id=volume.w_id, i_id=volume.i_id, i_version=volume.i_version)
    return {
        "apiVersion": API_VERSION,
        "kind": "VolumeTask",
        "metadata": {
            "name": name,
            "namespace": job.namespace,
            "labels": {JOB_LABEL: job.name, TASK_LABEL: name, OWNER_LABEL: job.uid},
            "annotations": annotations,
            "ownerReferences": [owner("Job", job.name, job.uid)],
        },
        "spec": VolumeTaskSpec(job=job.name, volume=volume_id, index=index).wire(),
    }


def take_in_task(ctx: Context, raw: Body) -> None:
    """Take in a VolumeTask as it is now."""
    if ctx.cache.tasks.is_news(raw["metadata"]):
        ctx.cache.tasks.put(task_of(raw))


async def _take_in(ctx: Context, memory: Memory, index: int, name: str) -> None:
    found = await refresh_task(ctx, memory.job.namespace, name)
    if found is None:
        return
    if found.owner_uid != memory.job.uid:
        said = (
            f"VolumeTask {name} is there and is not this Job's; it goes by itself if it was an "
            "older Job's of this name, else delete it"
        )
    elif found.index != index:
        said = (
            f"VolumeTask {name} is of the time when the list was in another order; it goes by "
            "itself once its pod has ended"
        )
    else:
        return
    memory.books.block(index, Fact(ctx.clock.now(), "WaitingForOldTask", said))


async def refresh_task(ctx: Context, namespace: str, name: str) -> TaskSeen | None:
    """Look at a VolumeTask now, and take it in."""
    try:
        task = task_of(await ctx.api.request("GET", bec(namespace, PLURAL, name)))
    except ApiError as error:
        if error.code != 404:
            raise
        known = ctx.cache.tasks.get(namespace, name)
        if known is not None:
            ctx.cache.tasks.remove(namespace, name, known.uid)
        return None
    ctx.cache.tasks.put(task)
    return task


async def record_task(ctx: Context, memory: Memory, action: RecordTask) -> None:
    """Write the status of a VolumeTask, if it is still as it was when this was decided."""
    task = action.task
    if action.gone and await find_pod(ctx, task, action.status.attempt):
        return  # another operator has made it again: it is in the cache now
    if action.stalls:
        note_misconfigured(memory, task, action.status.message, ctx.clock.now())
    if not await write_task(ctx, task, action.status):
        return
    now = ctx.clock.now()
    if action.failed is not None:
        note_failed_attempt(memory, action, action.failed, now)
        memory.books.hosts.note_failure(task.index, action.status.attempts[-1], now)
    if action.share is not None:
        memory.books.record(task).note_shown(now, action.share)
    if action.gone:  # made again in the meantime: it has to go before there is another
        await find_pod(ctx, task, action.status.attempt)
    if action.status.message:
        log.info("%s/%s: %s: %s", task.namespace, task.name, action.status.phase,
                 action.status.message)  # fmt: skip


async def write_task(ctx: Context, task: TaskSeen, status: VolumeTaskStatus) -> bool:
    """Write the status of a VolumeTask that is still as we saw it; else look at it, and say so."""
    version = {"resourceVersion": str(task.version), "uid": task.uid}
    absent = {"nextAttempt": None, "finishedAt": None}  # a merge patch keeps what it leaves out
    patch = {"metadata": version, "status": {**absent, **status.wire()}}
    path = bec(task.namespace, PLURAL, task.name, "status")
    try:
        written = await ctx.api.request("PATCH", path, patch, content_type=MERGE_PATCH)
    except ApiError as error:
        if error.code not in {404, 409}:
            raise
        await refresh_task(ctx, task.namespace, task.name)
        return False
    ctx.cache.tasks.put(task_of(written))
    return True


async def delete_tasks(ctx: Context, action: DeleteTasks) -> None:
    """Delete VolumeTasks; what is left of them goes by their owner references."""
    tasks = [task for task in action.tasks if _is_there(ctx, task)]
    found: Mapping[str, Body] = {}
    if len(tasks) > 1:
        first = tasks[0]
        path, only = bec(first.namespace, PLURAL), f"{OWNER_LABEL}={first.owner_uid}"
        names = [task.name for task in tasks]
        found = await delete_together(ctx.api, path, TASK_LABEL, names, only)
    for task in tasks:
        if task.uid in found:
            ctx.cache.tasks.remove(task.namespace, task.name, task.uid)
    left = [task for task in tasks if task.uid not in found]
    await delete_each(left, partial(_delete_task, ctx))


def _is_there(ctx: Context, task: TaskSeen) -> bool:
    """Whether it is still this very task that has the name."""
    known = ctx.cache.tasks.get(task.namespace, task.name)
    return known is not None and known.uid == task.uid


async def _delete_task(ctx: Context, task: TaskSeen) -> None:
    path = bec(task.namespace, PLURAL, task.name)
    body = {"preconditions": {"uid": task.uid}, "propagationPolicy": "Background"}
    try:
        await ctx.api.request("DELETE", path, body)
    except ApiError as error:
        if error.code not in {404, 409}:
            raise
    ctx.cache.tasks.remove(task.namespace, task.name, task.uid)
