"""Keeps the end of what a failed attempt has printed beside the outputs of its task."""

import logging

import aiohttp

from bec_operator.act.ground.api_server import ApiError, core
from bec_operator.act.ground.context import Context
from bec_operator.act.kube.pod_ends import worker_state
from bec_operator.api.names import WORKER_CONTAINER
from bec_operator.decide.attempts.actions import KeepLog
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.seen import PodSeen
from bec_ops.contract.location import log_key
from bec_ops.contract.protocol import LOG_BYTES
from bec_ops.contract.s3.store import Store, StoreError

log = logging.getLogger(__name__)

_NOTICED_AFTER = 30.0  # seconds that a kubelet may take to notice that a process has ended
_LINES = 2000  # that are asked for; what is more than LOG_BYTES of them is cut


async def keep_log(ctx: Context, memory: Memory, action: KeepLog) -> None:
    """See that the log stands in S3. The worker's own is as good; one that is lost is called so."""
    try:
        kept = await _keep(ctx, memory, action)
    except StoreError as error:
        if error.reason == "Unavailable":
            raise
        kept = f"lost: {error}"
    memory.books.record(action.task).note_log(action.attempt, kept)


async def _keep(ctx: Context, memory: Memory, action: KeepLog) -> str:
    """Return where the log stands, or why it is lost; raises StoreError."""
    bucket = memory.output.bucket
    key = log_key(memory.books.prefixes[action.task.index], action.attempt, action.task.uid)
    if await ctx.storage.call("log", lambda store: store.head(bucket, key)) is None:
        found = await _read(ctx, action.pod)
        if isinstance(found, str):
            return found
        await ctx.storage.call("log", lambda store: _put(store, bucket, key, found))
    return f"s3://{bucket}/{key}"


def _put(store: Store, bucket: str, key: str, text: bytes) -> None:
    store.put(bucket, key, text, "text/plain; charset=utf-8")


async def _read(ctx: Context, pod: PodSeen | None) -> bytes | str:
    """Return the end of the log of a pod's worker, or a sentence on why there is none.

    Raises ApiError while it may yet come.
    """
    if pod is None:
        return "lost: the pod is gone"
    if pod.lease:
        return "lost: the worker has stored none"
    try:
        return await _read_own(ctx, pod)
    except (ApiError, aiohttp.ClientError, TimeoutError) as error:
        unknown = isinstance(error, ApiError) and error.code == 400
        if unknown and pod.seat_in and _is_fresh(ctx, pod):
            raise  # the kubelet has not noticed the end of the process that we know of
        log.info("no log of %s/%s: %s", pod.namespace, pod.real_name, error)
        return f"lost: {error}" if str(error) else "lost: its node does not answer"


def _is_fresh(ctx: Context, pod: PodSeen) -> bool:
    return pod.seen_ended is not None and ctx.clock.now() - pod.seen_ended < _NOTICED_AFTER


async def _read_own(ctx: Context, pod: PodSeen) -> bytes:
    """Return what the process of the attempt has printed, even if the next one has begun."""
    if not pod.succeeded_by_another:
        text = await _tail(ctx, pod, previous=False)
        if not await _is_replaced(ctx, pod):
            return text
    return await _tail(ctx, pod, previous=True)


async def _tail(ctx: Context, pod: PodSeen, *, previous: bool) -> bytes:
    path = core(pod.namespace, "pods", pod.real_name, "log")
    query = {"container": pod.ended_in or WORKER_CONTAINER, "tailLines": str(_LINES)}
    return await ctx.api.tail(path, {**query, "previous": "true"} if previous else query, LOG_BYTES)


async def _is_replaced(ctx: Context, pod: PodSeen) -> bool:
    """Whether another process may have begun where one of a pool has ended: its log is new."""
    if not pod.seat_in or pod.report is not None:
        return False
    found = await ctx.api.request("GET", core(pod.namespace, "pods", pod.real_name))
    return "terminated" not in worker_state(found.get("status") or {})
