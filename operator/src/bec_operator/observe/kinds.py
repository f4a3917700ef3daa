"""What has a watch of our own: VolumeTasks, and the pods of all Jobs."""

from functools import partial

from bec_operator.act.api_server import Body, bec, core
from bec_operator.act.context import Context
from bec_operator.act.pods import forget_pod, take_in_pod
from bec_operator.act.records import is_of_pool, is_of_task, pod_of, pool_pod_of, task_of
from bec_operator.act.tasks import PLURAL, take_in_task
from bec_operator.api.names import JOB_LABEL
from bec_operator.observe.watch import Kind


def _all_pods(ctx: Context, namespace: str | None, items: list[Body], version: int) -> None:
    cache, now = ctx.cache, ctx.clock.now()
    pods, hosts = [], []
    for item in items:
        where = item["metadata"]["namespace"], item["metadata"]["name"]
        if is_of_pool(item):
            hosts.append(pool_pod_of(item, cache.pool_pods.get(*where), now))
        elif is_of_task(item):
            pods.append(pod_of(item, cache.pods.get(*where), now))
    cache.pods.replace_all(namespace, pods, version)
    cache.pool_pods.replace_all(namespace, hosts, version)


def _all_tasks(ctx: Context, namespace: str | None, items: list[Body], version: int) -> None:
    ctx.cache.tasks.replace_all(namespace, [task_of(item) for item in items], version)


def _forget_task(ctx: Context, namespace: str, name: str, uid: str) -> None:
    ctx.cache.tasks.remove(namespace, name, uid)


PODS = Kind(
    plural="pods",
    path=partial(core, plural="pods"),
    take_in_all=_all_pods,
    take_in=take_in_pod,
    forget=forget_pod,
    selector={"labelSelector": JOB_LABEL},
)
TASKS = Kind(
    plural=PLURAL,
    path=partial(bec, plural=PLURAL),
    take_in_all=_all_tasks,
    take_in=take_in_task,
    forget=_forget_task,
)
