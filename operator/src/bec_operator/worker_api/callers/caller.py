"""Who is calling: the pod of a token, and the task that the pod was made for."""

from dataclasses import dataclass

import aiohttp

from bec_operator.act.ground.api_server import ApiError, Body, bec, core
from bec_operator.act.ground.context import Context
from bec_operator.act.kube.pod_records import is_of_pool, pod_of
from bec_operator.act.kube.pods import take_in_pod
from bec_operator.act.kube.records import task_of
from bec_operator.decide.sight.pool_seen import PoolPod
from bec_operator.decide.sight.seen import PodSeen, TaskSeen
from bec_operator.worker_api.callers.claims import Identity
from bec_operator.worker_api.callers.refusals import CallRefusedError


@dataclass(frozen=True, slots=True)
class Caller:
    """A pod of ours, the VolumeTask that controls it, and the attempt that the pod is."""

    pod: PodSeen
    task: TaskSeen
    attempt: int

    def check(self, task_uid: str, attempt: int) -> None:
        """See that a report is about this pod's own task and attempt; raises CallRefusedError."""
        if task_uid != self.task.uid:
            raise CallRefusedError(
                "Gone", f"task {task_uid} is over, or it is not the one of pod {self.pod.name}"
            )
        if attempt != self.attempt:
            raise CallRefusedError(
                "Gone", f"attempt {attempt} is not the one of pod {self.pod.name}"
            )


async def find_caller(ctx: Context, identity: Identity) -> Caller | PoolPod:
    """Return the pod of an identity and its task, from the cache, else from the API server.

    A pod of a pool has no task of its own: it is returned alone. The watches may lag behind a
    worker. Raises CallRefusedError: Forbidden for what is not a worker of ours, Gone for what was
    one, Unavailable if the API server does not answer.
    """
    namespace = identity.namespace
    if ctx.settings.namespaces and namespace not in ctx.settings.namespaces:
        raise CallRefusedError("Forbidden", f"this operator does not serve namespace {namespace}")
    host = ctx.cache.pool_pods.get(namespace, identity.pod)
    if host is not None and host.uid == identity.uid:
        return host
    pod = ctx.cache.pods.get(namespace, identity.pod)
    if pod is None or pod.uid != identity.uid:
        found = await _look_for_pod(ctx, identity)
        if isinstance(found, PoolPod):
            return found
        pod = found
    if not pod.job or not pod.task or not pod.owner_uid:
        raise CallRefusedError("Forbidden", f"pod {pod.name} is not the pod of a task")
    task = ctx.cache.tasks.get(namespace, pod.task)
    if task is None or task.uid != pod.owner_uid:
        task = await _look_for_task(ctx, pod)
    if not _is_current(pod, task):
        raise CallRefusedError("Gone", f"the attempt of pod {pod.name} is over")
    return Caller(pod, task, task.attempt)


def _is_current(pod: PodSeen, task: TaskSeen) -> bool:
    """Whether a pod is that of the attempt which is under way."""
    return pod.name == task.pod


async def _look_for_pod(ctx: Context, identity: Identity) -> PodSeen | PoolPod:
    raw = await _get(ctx, core(identity.namespace, "pods", identity.pod))
    if raw is None or raw["metadata"]["uid"] != identity.uid:
        raise CallRefusedError("Gone", f"pod {identity.pod} is gone")
    pod = pod_of(raw, None, ctx.clock.now())
    if pod.task or is_of_pool(raw):  # as the watch has it
        take_in_pod(ctx, raw)
    host = ctx.cache.pool_pods.get(pod.namespace, pod.name)
    return host if host is not None and host.uid == pod.uid else pod


async def _look_for_task(ctx: Context, pod: PodSeen) -> TaskSeen:
    raw = await _get(ctx, bec(pod.namespace, "volumetasks", pod.task))
    task = task_of(raw) if raw is not None else None
    if task is None or task.uid != pod.owner_uid:
        raise CallRefusedError("Gone", f"the task of pod {pod.name} is gone")
    ctx.cache.tasks.put(task)
    return task


async def _get(ctx: Context, path: str) -> Body | None:
    try:
        return await ctx.api.request("GET", path)
    except ApiError as error:
        if error.code == 404:
            return None
        raise CallRefusedError(
            "Unavailable", f"the API server answers with {error.code}"
        ) from error
    except (aiohttp.ClientError, TimeoutError) as error:
        raise CallRefusedError("Unavailable", "the API server does not answer") from error
