"""What others are told of a job as it stands: the Job itself, what runs of it, and who works."""

import orjson

from bec_operator.api.volume_source import VolumeSource
from bec_operator.decide.attempts.task import attempt_of
from bec_operator.decide.jobs.scene import Scene
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.seen import PodSeen, TaskSeen
from bec_operator.decide.volumes.results import JobTold, Snapshot, UnderWay, WorkerTold


def job_told(memory: Memory, *, deleted: bool) -> JobTold:
    """Return the Job as others are told of it."""
    job, spec = memory.job, memory.job.spec
    return JobTold(
        namespace=job.namespace,
        name=job.name,
        uid=job.uid,
        job_id=job.job_id,
        created=job.created,
        parameters=orjson.dumps(spec.worker.parameters if spec is not None else {}).decode(),
        source=_source(spec.volumes) if spec is not None else "",
        status=job.status,
        finds_versions=spec is not None and spec.volumes.versions is not None,
        deleted=deleted,
    )


def _source(volumes: VolumeSource) -> str:
    """Return where the volumes come from, in one word or address."""
    if volumes.queue is not None:
        return volumes.queue.url
    if volumes.sql is not None:
        return volumes.sql.connection
    listed = volumes.manifest or volumes.s3
    if listed is not None:
        return listed.uri
    return volumes.config_map.name if volumes.config_map is not None else "items"


def snapshot_of(seen: Scene) -> Snapshot:
    """Return what runs of the job now, and who works."""
    ran = [*seen.standings.running, *seen.standings.retrying]
    under_way = [_under_way(seen, task) for task in ran if task.attempts or _pod(seen, task)]
    pods = [pod for pod in seen.pods.values() if _works_alone(pod)]
    workers = [
        WorkerTold(
            pod.real_name, pod.uid, pod.node, pod.start_time, _called(seen, pod), in_pool=False
        )
        for pod in pods
    ]
    return Snapshot(under_way, [*workers, *_pool_workers(seen)])


def _works_alone(pod: PodSeen) -> bool:
    """Whether it is the pod of one attempt, or such a seat elsewhere."""
    return pod.alive and (bool(pod.lease) or (bool(pod.node) and not pod.seat_in))


def _pod(seen: Scene, task: TaskSeen) -> PodSeen | None:
    pod = seen.pods.get(task.pod)
    return pod if pod is not None and pod.owner_uid == task.uid else None


def _under_way(seen: Scene, task: TaskSeen) -> UnderWay:
    memory, pod = seen.memory, _pod(seen, task)
    worker = memory.books.known_of(task).worker
    mine = worker if worker is not None and worker.attempt == task.attempt else None
    runs = pod is not None and pod.alive and bool(pod.node or pod.lease)
    return UnderWay(
        volume=memory.books.volumes[task.index],
        index=task.index,
        output=memory.output_uri(task.index),
        task=task.name,
        task_uid=task.uid,
        failed=task.failed,
        running=attempt_of(task.attempt, pod, task) if runs else None,
        progress=mine.progress if mine is not None else None,
        called=mine.called if mine is not None else None,
    )


def _called(seen: Scene, pod: PodSeen) -> float | None:
    record = seen.memory.books.records.get(pod.owner_uid)
    worker = record.worker if record is not None else None
    return worker.called if worker is not None and worker.pod_uid == pod.uid else None


def _pool_workers(seen: Scene) -> list[WorkerTold]:
    """Return the processes in the pods of the pool, with when they last called."""
    called: dict[str, float] = {}
    for record in seen.memory.books.records.values():
        if record.worker is not None:
            uid = record.worker.pod_uid
            called[uid] = max(called.get(uid, 0.0), record.worker.called)
    told = []
    for host in seen.pool.hosts:
        pod, worker = host.pod.pod, host.worker
        if not pod.alive or not pod.node:
            continue
        asked = worker.asked or worker.registered if worker is not None else None
        last = max(filter(None, (asked, called.get(pod.uid))), default=None)
        told.append(WorkerTold(pod.name, pod.uid, pod.node, pod.start_time, last, in_pool=True))
    return told
