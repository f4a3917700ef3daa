"""What is watched: Jobs, VolumeTasks, the Deployments of pools, and the pods of all Jobs."""

from collections.abc import Callable
from functools import partial

from bec_operator.act.ground.api_server import Body, apps, bec, core
from bec_operator.act.ground.context import Context
from bec_operator.act.ground.known_objects import KnownObjects, R
from bec_operator.act.kube.enrolled import OUTSIDE_LABEL, enrolled_of
from bec_operator.act.kube.pod_records import is_of_pool, is_of_task, pod_of, pool_pod_of
from bec_operator.act.kube.pods import forget_pod, take_in_pod
from bec_operator.act.kube.records import deployment_of, job_of, task_of
from bec_operator.act.kube.tasks import PLURAL, take_in_task
from bec_operator.act.pool.pool import DEPLOYMENTS
from bec_operator.api.names import JOB_LABEL, POOL_LABEL
from bec_operator.decide.sight.pool_seen import PoolPod
from bec_operator.decide.sight.seen import PodSeen
from bec_operator.observe.watch import Found, Kind


def _pod(ctx: Context, item: Body) -> PodSeen | PoolPod | None:
    """Return the record of a pod, of a task or of a pool; None for one that is of neither."""
    cache, now = ctx.cache, ctx.clock.now()
    where = item["metadata"]["namespace"], item["metadata"]["name"]
    if is_of_pool(item):
        return pool_pod_of(item, cache.pool_pods.get(*where), now)
    return pod_of(item, cache.pods.get(*where), now) if is_of_task(item) else None


def _all_pods(ctx: Context, namespace: str | None, found: Found) -> None:
    pods = [record for record in found.records if isinstance(record, PodSeen)]
    hosts = [record for record in found.records if isinstance(record, PoolPod)]
    ctx.cache.pods.replace_all(namespace, pods, found.version, found.uids)
    ctx.cache.pool_pods.replace_all(namespace, hosts, found.version, found.uids)


def _kind(
    plural: str,
    path: Callable[[str | None], str],
    records_of: Callable[[Context], KnownObjects[R]],
    record_of: Callable[[Body], R],
    take_in: Callable[[Context, Body], None] | None = None,
    job_of: Callable[[Body], str] | None = None,
    **more: dict[str, str],
) -> Kind:
    """Return a kind whose objects all become records of one sort."""

    def read(_: Context, item: Body) -> R:
        return record_of(item)

    def take_in_all(ctx: Context, namespace: str | None, found: Found) -> None:
        records_of(ctx).replace_all(namespace, found.records, found.version, found.uids)

    def take_in_one(ctx: Context, item: Body) -> None:
        records_of(ctx).put(record_of(item))

    def forget(ctx: Context, namespace: str, name: str, uid: str) -> None:
        records_of(ctx).remove(namespace, name, uid)

    return Kind(
        plural,
        path,
        read,
        take_in_all,
        take_in or take_in_one,
        forget,
        job_of or _labelled,
        **more,
    )


def _labelled(item: Body) -> str:
    """Return the Job that an object is marked with."""
    return str((item["metadata"].get("labels") or {}).get(JOB_LABEL, ""))


JOBS = _kind(
    "jobs",
    partial(bec, plural="jobs"),
    lambda ctx: ctx.cache.jobs,
    job_of,
    job_of=lambda item: str(item["metadata"]["name"]),
)
POOLS = _kind(
    DEPLOYMENTS,
    partial(apps, plural=DEPLOYMENTS),
    lambda ctx: ctx.cache.deployments,
    deployment_of,
    selector={"labelSelector": POOL_LABEL},
)
PODS = Kind(
    plural="pods",
    path=partial(core, plural="pods"),
    read=_pod,
    take_in_all=_all_pods,
    take_in=take_in_pod,
    forget=forget_pod,
    job_of=_labelled,
    selector={"labelSelector": JOB_LABEL},
)
TASKS = _kind(
    PLURAL, partial(bec, plural=PLURAL), lambda ctx: ctx.cache.tasks, task_of, take_in_task
)
ENROLLED = _kind(
    "secrets",
    partial(core, plural="secrets"),
    lambda ctx: ctx.cache.enrolled,
    enrolled_of,
    selector={"labelSelector": OUTSIDE_LABEL},
)
"""Of the operator's own namespace alone, and only if workers from elsewhere may come in."""
KINDS = (PODS, TASKS, POOLS, JOBS)
"""In the order in which they are first looked at: a Job is taken in when all of its parts are."""
