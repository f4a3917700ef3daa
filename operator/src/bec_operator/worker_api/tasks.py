"""What a worker is told of itself, and of the task that it has."""

from bec_operator.act.ground.context import Context
from bec_operator.act.kube.worker_environment import heartbeat_seconds
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.moments import redo_time
from bec_operator.decide.sight.seen import PodSeen, TaskSeen
from bec_ops.contract.protocol import Registered
from bec_ops.contract.task import Task


def worker_id(pod: PodSeen) -> str:
    """Return the id of the worker in a pod."""
    return f"{pod.real_name}/{pod.uid}"


def registered(ctx: Context, pod: PodSeen, session: str) -> Registered:
    """Return the answer to a process in `pod` that has registered."""
    job = ctx.cache.jobs.get(pod.namespace, pod.job)
    return Registered(
        session=session,
        worker_id=worker_id(pod),
        heartbeat_seconds=heartbeat_seconds(job.spec if job else None, ctx.settings),
    )


def task_for(memory: Memory, task: TaskSeen, attempt: int, pod: PodSeen) -> Task:
    """Return an attempt at a task, for the worker in `pod`."""
    assert memory.job.spec is not None
    worker, volume = memory.job.spec.worker, memory.books.volumes[task.index]
    return Task(
        job_id=memory.job.job_id,
        w_id=volume.w_id,
        i_id=volume.i_id,
        i_version=volume.i_version,
        attempt=attempt,
        task_uid=task.uid,
        handler=worker.handler or "",
        output_uri=memory.output_uri(task.index),
        redo_at=redo_time(memory.redone),
        parameters=worker.parameters,
        expect=memory.output.expect,
        result_schema=worker.result,
        worker_id=worker_id(pod),
    )
