"""What clients of Data Dispatcher are told: projects, and handles of their files."""

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from bec_operator.act.ground.context import Context
from bec_operator.api.base import seconds
from bec_operator.api.job import JobPhase, JobSpec
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.moments import epoch
from bec_operator.decide.sight.seen import JobSeen, TaskSeen
from bec_operator.decide.volumes.ledger import Outcome
from bec_operator.gateway.faces.data_dispatcher.names import file_of, project_id_of, who_has
from bec_operator.gateway.holding import Holding
from bec_operator.worker_api.callers.refusals import CallRefusedError
from bec_ops.contract.volume import Volume

RSE = "s3"
"""The one place where replicas are. A replica is where the output of a volume goes."""
_STATES = {
    Outcome.WAITING: "initial",
    Outcome.SUCCEEDED: "done",
    Outcome.FAILED: "failed",
    Outcome.SKIPPED: "failed",
}

Document = dict[str, Any]


def project_of(job: JobSeen) -> Document:
    """Return the project that a Job is, without its files."""
    status, spec = job.status, job.spec
    state = "active"
    if job.has_ended:
        lost = status.counts.failed or status.counts.skipped or status.phase is JobPhase.FAILED
        state = "failed" if lost else "done"
    ended = status.completion_time if job.has_ended else None
    return {
        "project_id": project_id_of(job.uid),
        "owner": job.namespace,
        "state": state,
        "active": state == "active",
        "retry_count": 0,
        "attributes": _attributes_of(job, spec),
        "created_timestamp": epoch(job.created),
        "ended_timestamp": epoch(ended) if ended else None,
        "query": None,
        "worker_timeout": seconds(spec.outside.long_lease) if spec is not None else None,
        "idle_timeout": None,
        "users": [],
        "roles": [],
    }


def _attributes_of(job: JobSeen, spec: JobSpec | None) -> Document:
    """Return what a Job says to all of its workers."""
    parameters = spec.worker.parameters if spec is not None else {}
    told = {"bec_job": f"{job.namespace}/{job.name}", "bec_job_id": job.job_id}
    if spec is not None and spec.worker.handler:
        told["bec_handler"] = spec.worker.handler
    return {**parameters, **told}


def handle_of(job: JobSeen, holding: Holding, who: str, now: float) -> Document:
    """Return the handle of a file that a worker has just got."""
    task = holding.task
    return {
        **_handle(job, task.volume, task.output_uri, replicas=True),
        "state": "reserved",
        "worker_id": who,
        "attempts": task.attempt,
        "reserved_since": now,
        "project_attributes": _attributes_of(job, job.spec),
    }


def handles_of(
    ctx: Context, job: JobSeen, memory: Memory | None, *, replicas: bool
) -> Iterator[Document]:
    """Yield the handles of a project: those that somebody has first, then all in their order.

    Nothing is remembered of the volumes of a Job that has ended: there are none. Raises
    CallRefusedError if what is remembered is dropped meanwhile.
    """
    if memory is None or memory.ledger is None or memory.job.uid != job.uid:
        return
    books = memory.books
    # No pass need have seen yet what was made a moment ago: the cache knows.
    found = ctx.cache.tasks.of_job((job.namespace, job.name)).values()
    total = len(books.volumes)
    tasks = {t.index: t for t in found if t.owner_uid == job.uid and t.index < total}
    begun = [index for index, task in tasks.items() if task.recorded_begun is not None]
    first = set(begun)
    rest = (index for index in range(total) if index not in first)
    for index in chain(begun, rest):
        if memory.books is not books:  # others have their turn between two handles
            raise CallRefusedError("Unavailable", "the project is read anew; try again later")
        told = _progress_of(ctx, memory, index, tasks.get(index))
        place = memory.output_uri(index)
        yield {**_handle(job, books.volumes[index], place, replicas=replicas), **told}


def _progress_of(ctx: Context, memory: Memory, index: int, task: TaskSeen | None) -> Document:
    """Return what is known of the work on a volume."""
    assert memory.ledger is not None
    outcome = memory.ledger.outcome(index)
    found: Document = {"state": _STATES[outcome], "worker_id": None, "reserved_since": None}
    if task is None:
        return {**found, "attempts": 0}
    begun = task.recorded_begun
    if begun is None:
        return {**found, "attempts": len(task.failed)}
    if outcome is Outcome.WAITING:
        found["state"] = "reserved"
        told = ctx.cache.workers.get(task.uid)
        if told is not None and told.report is not None and told.has_ended(begun.number):
            found["state"] = "initial" if told.report.failure else "done"
    if found["state"] == "reserved":
        since = epoch(begun.start_time) if begun.start_time else None
        found |= {"worker_id": who_has(begun), "reserved_since": since}
    return {**found, "attempts": begun.number}


def _handle(job: JobSeen, volume: Volume, output: str, *, replicas: bool) -> Document:
    namespace, name = file_of(volume)
    attributes = {**dict(zip(Volume._fields, volume, strict=True)), "output_uri": output}
    return {
        "project_id": project_id_of(job.uid),
        "namespace": namespace,
        "name": name,
        "attributes": attributes,
        "replicas": {RSE: _replica(namespace, name, output)} if replicas else {},
    }


def _replica(namespace: str, name: str, output: str) -> Mapping[str, object]:
    return {
        "namespace": namespace,
        "name": name,
        "rse": RSE,
        "path": "/" + output.removeprefix("s3://").partition("/")[2],
        "url": output,
        "urls": [output],
        "preference": 0,
        "proximity": 0,
        "available": True,
        "rse_available": True,
    }
