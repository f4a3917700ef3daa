"""What is told outside of the cluster, as CloudEvents in JSON (structured mode, version 1.0)."""

import hashlib
import json
from typing import Any

from bec_operator.act.ground.api_server import bec
from bec_operator.decide.sight.notices import Notice
from bec_operator.decide.sight.seen import JobSeen
from bec_operator.decide.volumes.results import JobTold, Result
from bec_ops.contract.location import reports_prefix

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
TYPE_PREFIX = "org.bdrc.bec.job."
VOLUME_PREFIX = "org.bdrc.bec.volume."


def cloud_event(notice: Notice) -> dict[str, Any]:
    """Return a notice as a CloudEvent in structured form."""
    job = notice.job
    return {
        "specversion": "1.0",
        "id": notice.id,
        "source": bec(job.namespace, "jobs", job.name),
        "type": f"{TYPE_PREFIX}{notice.kind}",
        "subject": f"{job.namespace}/{job.name}",
        "time": notice.moment,
        "datacontenttype": "application/json",
        "data": _data(notice, job),
    }


def _data(notice: Notice, job: JobSeen) -> dict[str, Any]:
    status = job.status
    data: dict[str, Any] = {
        "namespace": job.namespace,
        "name": job.name,
        "uid": job.uid,
        "jobId": job.job_id,
        "phase": status.phase,
        "reason": notice.reason,
        "message": notice.message,
        "counts": status.counts.wire(),
        "startTime": status.start_time,
        "completionTime": status.completion_time,
    }
    if job.spec is not None and (status.counts.failed or status.counts.skipped):
        folder = reports_prefix(job.spec.output.reports, job.job_id)
        data["report"] = f"s3://{job.spec.output.bucket}/{folder}report.csv"
    return {name: value for name, value in data.items() if value is not None}


def volume_event(job: JobTold, result: Result) -> dict[str, Any]:
    """Return what became of a volume as a CloudEvent; its id is the same each time it is told."""
    ids = (result.w_id, result.i_id, result.i_version)
    untried = result.told if not result.task_uid and result.outcome != "succeeded" else ""
    tried = (result.task_uid, str(len(result.attempts)), str(result.turn), untried)
    exact = "\n".join((job.uid, *ids, result.outcome, *tried))
    data = result.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    if (returned := data.get("made", {}).pop("result", None)) is not None:
        data["result"] = json.loads(returned)
    return {
        "specversion": "1.0",
        "id": hashlib.sha256(exact.encode(errors="replace")).hexdigest()[:32],
        "source": bec(job.namespace, "jobs", job.name),
        "type": f"{VOLUME_PREFIX}{result.outcome}",
        "subject": "/".join(filter(None, ids)),
        "time": result.told,
        "datacontenttype": "application/json",
        "data": {"namespace": job.namespace, "name": job.name, "jobId": job.job_id, **data},
    }
