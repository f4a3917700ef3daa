"""One volume, attempt, worker or job as a row: its fields by the names of the columns."""

from datetime import UTC, datetime

import orjson

from bec_operator.act.connections.results.own.fields import (
    Fields,
    document,
    instant,
    moment,
    signed,
    text,
    whole,
)
from bec_operator.api.volume_task import Attempt
from bec_operator.decide.sight.made import Made
from bec_operator.decide.volumes.results import JobTold, Result, UnderWay, WorkerTold
from bec_ops.contract.volume import Volume

_NOTHING = Made()


def of_result(result: Result, told: datetime, seen: datetime) -> Fields:
    """Return the row of a volume; of `seen` is the first that was told of it."""
    made = result.made or _NOTHING
    return {
        **key_of(result.volume),
        "place": whole(result.index),
        "outcome": result.outcome,
        "failure": text(result.failure),
        "message": text(result.message),
        "output": text(result.output),
        "task": text(result.task),
        "task_uid": text(result.task_uid),
        "items": whole(made.items),
        "errors": whole(made.errors),
        "duration_ms": made.duration_ms,
        "artefacts": whole(made.artefacts),
        "artefact_bytes": whole(made.artefact_bytes),
        "etag": None if made.etag is None else text(made.etag),
        "written": instant(made.written),
        "result": document(made.result),
        "seen": seen,
        "told": told,
    }


def of_volume(each: UnderWay) -> Fields:
    """Return the row of a volume that is under way."""
    return {
        **key_of(each.volume),
        "place": whole(each.index),
        "output": text(each.output),
        "task": text(each.task),
        "task_uid": text(each.task_uid),
    }


def of_attempt(volume: Volume, task_uid: str, attempt: Attempt) -> Fields:
    """Return the row of an attempt that has ended."""
    return {
        **key_of(volume),
        "task_uid": text(task_uid),
        "number": whole(attempt.number),
        "state": "failed" if attempt.failure else "succeeded",
        "failure": text(attempt.failure),
        "message": text(attempt.message),
        "repeats": whole(attempt.repeats) or 0,
        "pod": attempt.pod,
        "pod_uid": attempt.pod_uid,
        "node": attempt.node,
        "started": moment(attempt.start_time),
        "ended": moment(attempt.end_time),
        "exit_code": signed(attempt.exit_code),
        "log": text(attempt.log),
    }


def of_running(each: UnderWay, attempt: Attempt) -> Fields:
    """Return the row of the attempt that runs."""
    progress = each.progress
    known = progress and {
        "progress_done": whole(progress.done),
        "progress_total": whole(progress.total),
        "progress_unit": progress.unit,
    }
    return {
        **of_attempt(each.volume, each.task_uid, attempt),
        "state": "running",
        "heartbeat": instant(each.called),
        **(known or {}),
    }


def of_worker(worker: WorkerTold) -> Fields:
    """Return the row of a worker."""
    return {
        "pod_uid": worker.pod_uid,
        "pod": worker.pod,
        "node": worker.node,
        "in_pool": worker.in_pool,
        "started": moment(worker.started),
        "heartbeat": instant(worker.called),
    }


def of_job(job: JobTold) -> Fields:
    """Return the row of a job."""
    status, counts = job.status, job.status.counts
    percent = status.percent.removesuffix("%")
    broken_off = job.deleted and not status.terminal
    return {
        "job_uid": job.uid,
        "namespace": job.namespace,
        "name": job.name,
        "job_id": text(job.job_id),
        "created": moment(job.created),
        "source": text(job.source),
        "parameters": job.parameters if _is_json(job.parameters) else None,
        "phase": "Deleted" if broken_off else status.phase.value,
        "percent": int(percent) if percent.isdecimal() and len(percent) <= 3 else None,
        **{name: whole(getattr(counts, name)) for name in type(counts).model_fields},
        "rate": text(status.rate),
        "eta": text(status.eta),
        "started": moment(status.start_time),
        "completed": datetime.now(UTC) if broken_off else moment(status.completion_time),
    }


def key_of(volume: Volume) -> dict[str, object]:
    """Return what a volume is found by."""
    return {"w_id": volume.w_id, "i_id": volume.i_id, "i_version": volume.i_version}


def _is_json(said: str) -> bool:
    try:
        orjson.loads(said)
    except orjson.JSONDecodeError:
        return False
    return True
