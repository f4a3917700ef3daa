"""Makes, scales and deletes the Deployments of pools, and hands their workers tasks."""

import logging

from bec_operator.act.ground.api_server import MERGE_PATCH, ApiError, apps, core
from bec_operator.act.ground.context import Context
from bec_operator.act.ground.patching import patch_if_there
from bec_operator.act.ground.refused import RefusedError
from bec_operator.act.kube.events import post_event
from bec_operator.act.kube.handing import begin, is_current, tell
from bec_operator.act.kube.pod_records import DO_NOT_EVICT
from bec_operator.act.kube.pod_spec import pool_deployment
from bec_operator.act.kube.pods import take_in_pod
from bec_operator.act.kube.records import deployment_of
from bec_operator.act.kube.tasks import write_task
from bec_operator.api.names import DRAINING_ANNOTATION
from bec_operator.api.volume_task import TaskPhase, VolumeTaskStatus
from bec_operator.decide.attempts.actions import HandTask
from bec_operator.decide.hosts.actions import (
    DeletePool,
    GuardWorker,
    MakePool,
    MarkWorker,
    ScalePool,
)
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.moments import iso
from bec_operator.decide.sight.pool_seen import PoolPod
from bec_operator.decide.sight.refusals import TEMPLATE_REJECTED
from bec_operator.decide.sight.seen import Fact
from bec_operator.metrics import POOL_DECISIONS

log = logging.getLogger(__name__)

DEPLOYMENTS = "deployments"
_COST = "controller.kubernetes.io/pod-deletion-cost"
_LOWEST = str(-(2**31))


async def make_pool(ctx: Context, memory: Memory, action: MakePool) -> None:
    """Make the Deployment of the pool as the job is now."""
    namespace = memory.job.namespace
    body = pool_deployment(memory, ctx.settings, action.replicas)
    if body["metadata"]["name"] != action.name:
        return  # the job has changed since
    try:
        made = await ctx.api.request("POST", apps(namespace, DEPLOYMENTS), body)
    except ApiError as error:
        await _note_refusal(ctx, memory, action, error)
        return
    memory.launching.note_made()
    ctx.cache.deployments.put(deployment_of(made))
    await _tell(ctx, memory, 0, action.replicas, action.why)


async def _note_refusal(ctx: Context, memory: Memory, action: MakePool, error: ApiError) -> None:
    """Take in why the Deployment was not made; raises RefusedError where that is to be told."""
    now = ctx.clock.now()
    if error.reason == "AlreadyExists":
        path = apps(memory.job.namespace, DEPLOYMENTS, action.name)
        found = deployment_of(await ctx.api.request("GET", path))
        ctx.cache.deployments.put(found)
        if found.owner_uid == memory.job.uid:
            return
        said = (
            f"Deployment {action.name} is there and is not this Job's; it goes by itself if it was "
            "an older Job's of this name, else delete it"
        )
        memory.launching.note_refused(Fact(now, "WaitingForOldPool", said))
    elif error.over_quota:
        memory.launching.note_refused(Fact(now, "QuotaExceeded", error.message))
    elif error.final:
        said = f"spec.worker.template makes no valid Deployment: {error.message}"
        memory.learn("template", Fact(now, TEMPLATE_REJECTED, said))
    else:
        raise error
    raise RefusedError


async def scale_pool(ctx: Context, memory: Memory, action: ScalePool) -> None:
    """Set the number of workers; whoever else has set it since is looked at first."""
    seen = action.deployment
    patch = {
        "metadata": {"uid": seen.uid, "resourceVersion": str(seen.version)},
        "spec": {"replicas": action.replicas},
    }
    path = apps(seen.namespace, DEPLOYMENTS, seen.name)
    if action.replicas < seen.replicas:
        memory.pool.note_lowered(ctx.clock.now())
    try:
        written = await ctx.api.request("PATCH", path, patch, content_type=MERGE_PATCH)
    except ApiError as error:
        if error.code == 404:
            ctx.cache.deployments.remove(seen.namespace, seen.name, seen.uid)
        elif error.code == 409:
            found = await ctx.api.request("GET", path)
            ctx.cache.deployments.put(deployment_of(found))
        else:
            raise
        return
    ctx.cache.deployments.put(deployment_of(written))
    await _tell(ctx, memory, seen.replicas, action.replicas, action.why)


async def _tell(ctx: Context, memory: Memory, before: int, after: int, why: str) -> None:
    """Say to people what was decided, and why."""
    reason = "ScaledUp" if after > before else "ScaledDown"
    said = f"{before} → {after} workers: {why}"
    memory.pool.note_decision(said)
    POOL_DECISIONS.labels(reason).inc()
    await post_event(ctx.api, ctx.clock, memory.job, reason, said, "Normal")


async def delete_pool(ctx: Context, action: DeletePool) -> None:
    """Delete a Deployment; its pods end with it."""
    seen = action.deployment
    body = {"preconditions": {"uid": seen.uid}, "propagationPolicy": "Background"}
    try:
        await ctx.api.request("DELETE", apps(seen.namespace, DEPLOYMENTS, seen.name), body)
    except ApiError as error:
        if error.code not in {404, 409}:
            raise
    ctx.cache.deployments.remove(seen.namespace, seen.name, seen.uid)


async def mark_worker(ctx: Context, action: MarkWorker) -> None:
    """Make a worker the first to be taken away, or one like the others again."""
    marks = {_COST: _LOWEST, DRAINING_ANNOTATION: iso(ctx.clock.now())}
    await _annotate(ctx, action.pod, marks if action.draining else dict.fromkeys(marks))


async def guard_worker(ctx: Context, action: GuardWorker) -> None:
    """Let nodes wait for a worker, or no longer."""
    marks: dict[str, str | None] = {**DO_NOT_EVICT}
    await _annotate(ctx, action.pod, marks if action.guarded else dict.fromkeys(marks))


async def _annotate(
    ctx: Context, pod: PoolPod, marks: dict[str, str] | dict[str, str | None]
) -> None:
    patch = {"metadata": {"uid": pod.uid, "annotations": marks}}
    written = await patch_if_there(ctx.api, core(pod.namespace, "pods", pod.name), patch)
    if written is None:
        ctx.cache.pool_pods.remove(pod.namespace, pod.name, pod.uid)
    else:
        take_in_pod(ctx, written)


async def hand_task(ctx: Context, memory: Memory, action: HandTask) -> None:
    """Record that a worker has the attempt, if the task is as we saw it; then it is told so."""
    task, pod = action.task, action.pod
    if not is_current(ctx, pod, action.worker):
        return
    begun = begin(ctx, memory, pod, action.worker, action.attempt)
    status = VolumeTaskStatus(
        phase=TaskPhase.RUNNING,
        attempt=action.attempt,
        node=pod.pod.node,
        output=memory.output_uri(task.index),
        attempts=[*task.failed, begun],
    )
    record = memory.books.record(task)
    record.note_giving(sure=not pod.pod.lease)
    written = await write_task(ctx, task, status)
    record.note_giving(sure=True)
    if written:
        tell(ctx, memory, task, pod, action.worker)
