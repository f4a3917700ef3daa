"""What is watched: Jobs, VolumeTasks, the Deployments of pools, and the pods of all Jobs."""

from collections.abc import Callable
from functools import partial

from bec_operator.act.api_server import Body, apps, bec, core
from bec_operator.act.cache import R, Records
from bec_operator.act.context import Context
from bec_operator.act.pod_records import is_of_pool, is_of_task, pod_of, pool_pod_of
from bec_operator.act.pods import forget_pod, take_in_pod
from bec_operator.act.pool import DEPLOYMENTS
from bec_operator.act.records import deployment_of, job_of, task_of
from bec_operator.act.tasks import PLURAL, take_in_task
from bec_operator.api.names import JOB_LABEL, POOL_LABEL
from bec_operator.observe.watch import Kind


def _all_pods(ctx: Context, namespace: str | None, items: list[Body], version: int) -> None:
    cache, now = ctx.cache, ctx.clock.now()
    pods, hosts = [], []
    for item in items:
        where = item["metadata"]["namespace"], item["metadata"]["name"]
        with PODS.reading(ctx, item):
            if is_of_pool(item):
                hosts.append(pool_pod_of(item, cache.pool_pods.get(*where), now))
            elif is_of_task(item):
                pods.append(pod_of(item, cache.pods.get(*where), now))
    present = {item["metadata"]["uid"] for item in items}
    cache.pods.replace_all(namespace, pods, version, present)
    cache.pool_pods.replace_all(namespace, hosts, version, present)


def _kind(
    plural: str,
    path: Callable[[str | None], str],
    records_of: Callable[[Context], Records[R]],
    record_of: Callable[[Body], R],
    take_in: Callable[[Context, Body], None] | None = None,
    job: Callable[[Body], str] | None = None,
    **more: dict[str, str],
) -> Kind:
    """Return a kind whose objects all become records of one sort."""

    def take_in_all(ctx: Context, namespace: str | None, items: list[Body], version: int) -> None:
        records = []
        for item in items:
            with kind.reading(ctx, item):
                records.append(record_of(item))
        present = {item["metadata"]["uid"] for item in items}
        records_of(ctx).replace_all(namespace, records, version, present)

    def take_in_one(ctx: Context, item: Body) -> None:
        records_of(ctx).put(record_of(item))

    def forget(ctx: Context, namespace: str, name: str, uid: str) -> None:
        records_of(ctx).remove(namespace, name, uid)

    kind = Kind(plural, path, take_in_all, take_in or take_in_one, forget, job or _labelled, **more)
    return kind


def _labelled(item: Body) -> str:
    """Return the Job that an object is marked with."""
    return str((item["metadata"].get("labels") or {}).get(JOB_LABEL, ""))


JOBS = _kind(
    "jobs",
    partial(bec, plural="jobs"),
    lambda ctx: ctx.cache.jobs,
    job_of,
    job=lambda item: str(item["metadata"]["name"]),
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
    take_in_all=_all_pods,
    take_in=take_in_pod,
    forget=forget_pod,
    job_of=_labelled,
    selector={"labelSelector": JOB_LABEL},
)
TASKS = _kind(
    PLURAL, partial(bec, plural=PLURAL), lambda ctx: ctx.cache.tasks, task_of, take_in_task
)
KINDS = (PODS, TASKS, POOLS, JOBS)
"""In the order in which they are first looked at: a Job is taken in when all of its parts are."""
