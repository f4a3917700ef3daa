"""What it takes to give a worker of a pool an attempt: it is recorded, then the worker is told."""

from bec_operator.act.ground.context import Context
from bec_operator.act.kube.worker_environment import redo_moment
from bec_operator.api.volume_task import Attempt
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.moments import iso
from bec_operator.decide.sight.pool_seen import PoolPod, PoolWorker
from bec_operator.decide.sight.seen import TaskSeen
from bec_operator.metrics import POOL_HANDOVER_SECONDS


def is_current(ctx: Context, pod: PoolPod, worker: PoolWorker) -> bool:
    """Whether it is still this process that runs in the pod."""
    current = ctx.cache.pool_workers.get(pod.uid)
    return current is not None and current.session == worker.session


def begin(
    ctx: Context, memory: Memory, pod: PoolPod, worker: PoolWorker, number: int = 1
) -> Attempt:
    """Return the attempt that a process begins now, as it is recorded."""
    return Attempt(
        number=number,
        pod=pod.name,
        pod_uid=pod.uid,
        node=pod.pod.node,
        session=worker.session,
        lease_seconds=pod.pod.lease or None,
        generation=memory.job.generation,
        redo_at=redo_moment(memory),
        start_time=iso(ctx.clock.now()),
    )


def tell(ctx: Context, memory: Memory, task: TaskSeen, pod: PoolPod, worker: PoolWorker) -> None:
    """Let a process know of the attempt that is on record for it."""
    now = ctx.clock.now()
    memory.breaker.note_probe(now)
    memory.books.note_begun(task, task.attempt)
    ctx.cache.pool_workers.give(pod.uid, task.uid, task.attempt)
    since = max(memory.pool.startable or now, worker.idle_since or now)
    POOL_HANDOVER_SECONDS.observe(now - since)
