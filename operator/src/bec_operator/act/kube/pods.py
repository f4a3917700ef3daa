"""Makes and deletes the pods of attempts."""

import logging
from collections.abc import Mapping
from functools import partial

import aiohttp

from bec_operator.act.ground.api_server import STRATEGIC_PATCH, ApiError, Body, core
from bec_operator.act.ground.context import Context
from bec_operator.act.kube.deletion import delete_each, delete_together
from bec_operator.act.kube.pod_records import is_of_pool, is_of_task, pod_of, pool_pod_of
from bec_operator.act.kube.pod_spec import AttemptOf, task_pod
from bec_operator.act.kube.retry_changes import shun_nodes
from bec_operator.act.kube.template_check import template_fact
from bec_operator.api.names import HEARTBEAT_CONDITION, OWNER_LABEL, STOPPED_CONDITION, pod_name
from bec_operator.decide.attempts.actions import (
    CreatePod,
    DeletePod,
    DeletePods,
    RecordHeartbeat,
    StopPod,
)
from bec_operator.decide.attempts.avoided_nodes import nodes_ruled_out
from bec_operator.decide.attempts.running import STOP_SECONDS
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.moments import iso
from bec_operator.decide.sight.seen import Fact, PodSeen, TaskSeen

log = logging.getLogger(__name__)


def take_in_pod(ctx: Context, raw: Body) -> None:
    """Take in a pod as it is now, of a task or of a pool."""
    meta, now, cache = raw["metadata"], ctx.clock.now(), ctx.cache
    if is_of_pool(raw):
        if cache.pool_pods.is_news(meta):
            host = cache.pool_pods.get(meta["namespace"], meta["name"])
            cache.pool_pods.put(pool_pod_of(raw, host, now))
    elif is_of_task(raw) and cache.pods.is_news(meta):
        known = cache.pods.get(meta["namespace"], meta["name"])
        cache.pods.put(pod_of(raw, known, now))


def forget_pod(ctx: Context, namespace: str, name: str, uid: str) -> None:
    """Take in that a pod is gone."""
    ctx.cache.pods.remove(namespace, name, uid)
    ctx.cache.pool_pods.remove(namespace, name, uid)


async def create_pod(ctx: Context, memory: Memory, action: CreatePod) -> None:
    """Make the pod of an attempt. Its name is the lock: whoever has it is taken in and judged."""
    task = action.task
    try:
        made = await _create(ctx, memory, action)
    except ApiError as error:
        if error.reason == "AlreadyExists":
            await _take_in(ctx, memory, action)
        elif error.over_quota:
            memory.note_pod_refused(task)
            memory.launching.note_refused(Fact(ctx.clock.now(), "QuotaExceeded", error.message))
        elif error.final:
            memory.note_pod_refused(task)
            memory.learn("template", template_fact(error, ctx.clock.now()))
        else:
            memory.books.record(task).doubt()
            raise
        return
    except (aiohttp.ClientError, TimeoutError):
        memory.books.record(task).doubt()
        raise
    memory.note_pod_made(task, action.attempt, ctx.clock.now())
    ctx.cache.pods.put(pod_of(made, None, ctx.clock.now()))


async def _create(ctx: Context, memory: Memory, action: CreatePod) -> Body:
    """Send the pod as earlier attempts want it or, if it is refused, as the template has it.

    Some namespaces allow no pod as much memory as `retry.outOfMemory.max` does.
    """
    task, path = action.task, core(action.task.namespace, "pods")
    now, hosts = ctx.clock.now(), memory.books.hosts
    volume, output = memory.books.volumes[task.index], memory.output_uri(task.index)
    of = AttemptOf(volume, output, task.name, task.uid, action.attempt)
    fitted = task_pod(memory, of, ctx.settings, task.failed)
    never = nodes_ruled_out(task.failed, hosts, now)
    shun_nodes(fitted["spec"], hosts.disliked(now), never)
    try:
        return await ctx.api.request("POST", path, fitted)
    except ApiError as error:
        if not error.final:
            raise
        plain = task_pod(memory, of, ctx.settings)
        if fitted == plain:
            raise
        log.warning("%s/%s stays as in the template: %s", task.namespace, task.name, error)
    return await ctx.api.request("POST", path, plain)


async def _take_in(ctx: Context, memory: Memory, action: CreatePod) -> None:
    """A pod of that name is there: ours, then all is well; somebody else's, then it must go."""
    task, now = action.task, ctx.clock.now()
    name = pod_name(task.name, action.attempt)
    pod = await _look(ctx, task, action.attempt)
    if pod is None:
        memory.books.record(task).doubt()  # it went just now, and may have been ours
        return
    if pod.owner_uid == task.uid:
        memory.books.note_begun(task, action.attempt)
        ctx.cache.pods.put(pod)
    elif pod.job == memory.job.name:
        fact = Fact(
            now,
            "WaitingForOldPod",
            f"pod {name} of an older task of this name is still there; the task waits for its end",
        )
        memory.books.block(task.index, fact)
    else:
        fact = Fact(
            now,
            "PodNameTaken",
            f"pod {name} is there and is not ours; delete it, and the task goes on",
        )
        memory.books.block(task.index, fact)


async def _look(ctx: Context, task: TaskSeen, attempt: int) -> PodSeen | None:
    name = pod_name(task.name, attempt)
    try:
        found = await ctx.api.request("GET", core(task.namespace, "pods", name))
    except ApiError as error:
        if error.code == 404:
            return None
        raise
    return pod_of(found, ctx.cache.pods.get(task.namespace, name), ctx.clock.now())


async def find_pod(ctx: Context, task: TaskSeen, attempt: int) -> bool:
    """Look whether the task has a pod of this attempt after all; if so, take it in."""
    pod = await _look(ctx, task, attempt)
    if pod is None or pod.owner_uid != task.uid:
        return False
    ctx.cache.pods.put(pod)
    return True


async def delete_pod(ctx: Context, action: DeletePod) -> None:
    """Delete a pod; one that has ended is gone at once, another takes its grace."""
    pod = action.pod
    body: Body = {"preconditions": {"uid": pod.uid}}
    if action.force:
        body["gracePeriodSeconds"] = 0
    elif pod.seat_in:
        body["gracePeriodSeconds"] = STOP_SECONDS
    try:
        answer = await ctx.api.request("DELETE", core(pod.namespace, "pods", pod.real_name), body)
    except ApiError as error:
        if error.code not in {404, 409}:
            raise
        forget_pod(ctx, pod.namespace, pod.real_name, pod.uid)
        return
    if "resourceVersion" in answer.get("metadata", {}):  # it is still there, and takes its grace
        take_in_pod(ctx, answer)
    else:
        forget_pod(ctx, pod.namespace, pod.real_name, pod.uid)


async def delete_pods(ctx: Context, action: DeletePods) -> None:
    """Delete pods that have ended."""
    pods = action.pods
    found: Mapping[str, Body] = {}
    if len(pods) > 1:
        path, owners = core(pods[0].namespace, "pods"), [pod.owner_uid for pod in pods]
        found = await delete_together(ctx.api, path, OWNER_LABEL, owners)
    for pod in pods:
        if pod.uid in found and not found[pod.uid]["metadata"].get("finalizers"):
            forget_pod(ctx, pod.namespace, pod.name, pod.uid)  # of others the watch says when
    left = [DeletePod(pod) for pod in pods if pod.uid not in found]
    await delete_each(left, partial(delete_pod, ctx))


async def stop_pod(ctx: Context, memory: Memory, action: StopPod) -> None:
    """End an attempt: say on its pod why, so that a restart does not forget it, and delete it."""
    pod, verdict = action.pod, action.verdict
    if pod.lease:
        _stop_outside(ctx, memory, action)
        return
    if pod.stopped != verdict:
        condition = {
            "type": STOPPED_CONDITION,
            "status": "True",
            "lastTransitionTime": iso(ctx.clock.now()),
            "reason": verdict.failure.label,
            "message": verdict.message,
        }
        await _set_condition(ctx, pod, condition)
    task = ctx.cache.tasks.get(pod.namespace, pod.task)
    if task is not None and task.uid == pod.owner_uid:  # the pod may go before a pass sees it
        memory.books.record(task).note_verdict(task.attempt, verdict)
    await delete_pod(ctx, DeletePod(pod, action.force))


def _stop_outside(ctx: Context, memory: Memory, action: StopPod) -> None:
    """Have a worker from elsewhere told to end its attempt, when it calls."""
    task = ctx.cache.tasks.get(action.pod.namespace, action.pod.task)
    if task is not None and task.uid == action.pod.owner_uid:
        tenure = memory.books.record(task).seating.tenure
        tenure.stop(task.attempt, action.verdict, ctx.clock.now())


async def record_heartbeat(ctx: Context, memory: Memory, action: RecordHeartbeat) -> None:
    """Write on a pod when its worker last called, by our own clock, and how far it is."""
    pod = action.pod
    condition = {
        "type": HEARTBEAT_CONDITION,
        "status": "True",
        "lastProbeTime": iso(action.called),
        "reason": "WorkerCalls",
        "message": action.message,
    }
    if pod.called_since is None:
        condition["lastTransitionTime"] = iso(action.called)
    await _set_condition(ctx, pod, condition)
    task = ctx.cache.tasks.get(pod.namespace, pod.task)
    if task is not None and task.uid == pod.owner_uid:
        memory.books.record(task).note_probe(ctx.clock.now())


async def _set_condition(ctx: Context, pod: PodSeen, condition: Body) -> None:
    """Set one condition of a pod: this kind of patch merges them by type."""
    patch = {"metadata": {"uid": pod.uid}, "status": {"conditions": [condition]}}
    path = core(pod.namespace, "pods", pod.real_name, "status")
    try:
        written = await ctx.api.request("PATCH", path, patch, content_type=STRATEGIC_PATCH)
    except ApiError as error:
        if error.code not in {404, 409}:
            raise
        return  # it is gone, as the watch will tell
    take_in_pod(ctx, written)
