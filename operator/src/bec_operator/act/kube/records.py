"""From the API server's objects to the lean records that decisions need."""

import re
from typing import Any

from pydantic import ValidationError

from bec_operator.act.ground.deep_json import CUT
from bec_operator.act.ground.faults import kind_and_place
from bec_operator.api.job import JobSpec, JobStatus
from bec_operator.api.names import AVOIDED_ANNOTATION, FIRST_ATTEMPT_ANNOTATION, JOB_LABEL
from bec_operator.api.template import MAX_DEPTH
from bec_operator.api.volume_task import Attempt, VolumeTaskStatus
from bec_operator.decide.hosts.at_fault import MOST_AVOIDED
from bec_operator.decide.sight.moments import epoch, lenient
from bec_operator.decide.sight.pool_seen import DeploymentSeen
from bec_operator.decide.sight.seen import JobSeen, TaskSeen

Object = dict[str, Any]
_NODE_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_PROBLEM_LIMIT = 1500  # characters, and
_FAULTS = 5  # faults of a spec that are told; the others are counted
_TOO_DEEP = (
    f"spec is nested far deeper than {MAX_DEPTH} levels, in worker.parameters or worker.template: "
    "write it flatter"
)


def job_of(raw: Object) -> JobSeen:
    """Return the record of a Job; a spec that cannot be read leaves a problem in its place."""
    meta = raw["metadata"]
    spec, problem = _spec(raw)
    return JobSeen(
        namespace=meta["namespace"],
        name=meta["name"],
        uid=meta["uid"],
        version=int(meta["resourceVersion"]),
        generation=meta.get("generation", 1),
        created=meta.get("creationTimestamp", ""),
        spec=spec,
        problem=problem,
        status=_job_status(raw.get("status") or {}),
        deleting="deletionTimestamp" in meta,
    )


def _spec(raw: Object) -> tuple[JobSpec | None, str]:
    """Return the spec of a Job, or why it cannot be read."""
    if CUT in raw:
        return None, _TOO_DEEP
    try:
        return JobSpec.model_validate(raw.get("spec", {})), ""
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False, include_context=False)
        said = [_sentence(detail) for detail in faults[:_FAULTS]]
        more = [f"and {len(faults) - _FAULTS} more"] if len(faults) > _FAULTS else []
        return None, "; ".join(said + more)[:_PROBLEM_LIMIT]
    except Exception as error:  # noqa: BLE001 - a Job that nobody can read must say so itself
        return None, f"the spec cannot be read: {kind_and_place(error)}"


def _job_status(raw: Object) -> JobStatus:
    try:
        return JobStatus.model_validate(raw)
    except Exception:  # noqa: BLE001
        return JobStatus()  # somebody else's writing: ours replaces it


def _sentence(detail: Any) -> str:
    where = ".".join(str(part) for part in detail["loc"])
    said = str(detail["msg"]).removeprefix("Value error, ")
    return f"spec.{where}: {said}" if where else said


def task_of(raw: Object) -> TaskSeen:
    """Return the record of a VolumeTask."""
    meta, spec = raw["metadata"], raw["spec"]
    try:
        status = VolumeTaskStatus.model_validate(raw.get("status") or {})
    except ValidationError:
        status = VolumeTaskStatus()
    return TaskSeen(
        namespace=meta["namespace"],
        name=meta["name"],
        uid=meta["uid"],
        version=int(meta["resourceVersion"]),
        job=spec["job"],
        owner_uid=owner_of(meta),
        index=_index(spec),
        phase=status.phase,
        message=status.message,
        progress=status.progress,
        attempts=tuple(status.attempts) or _first_attempt(meta),
        next_attempt=lenient(status.next_attempt),
        ended_at=lenient(status.finished_at),
        deleting="deletionTimestamp" in meta,
    )


def _index(spec: Object) -> int:
    """Return the place in the manifest: the CRD sees to it that it is one, if it is ours."""
    index = spec["index"]
    if not isinstance(index, int) or index < 0:
        raise ValueError("spec.index is no place in a manifest")
    return index


def _first_attempt(meta: Object) -> tuple[Attempt, ...]:
    """Return the attempt that a task was made with, if the annotation is of our writing."""
    told = (meta.get("annotations") or {}).get(FIRST_ATTEMPT_ANNOTATION)
    if not told:
        return ()
    try:
        attempt = Attempt.model_validate_json(told)
        for moment in (attempt.start_time or "", attempt.redo_at or attempt.start_time or ""):
            epoch(moment)
    except (ValueError, OverflowError):
        return ()
    return (attempt,) if attempt.number == 1 and not attempt.failure else ()


def deployment_of(raw: Object) -> DeploymentSeen:
    """Return the record of a pool's Deployment."""
    meta = raw["metadata"]
    return DeploymentSeen(
        namespace=meta["namespace"],
        name=meta["name"],
        uid=meta["uid"],
        version=int(meta["resourceVersion"]),
        job=(meta.get("labels") or {}).get(JOB_LABEL, ""),
        owner_uid=owner_of(meta),
        replicas=raw["spec"].get("replicas", 1),
        refused=_refused(raw),
        deleting="deletionTimestamp" in meta,
        avoids=_avoided(meta),
    )


def _avoided(meta: Object) -> tuple[str, ...]:
    """Return the nodes that a Deployment says it avoids, as far as they may be names of nodes."""
    told = str((meta.get("annotations") or {}).get(AVOIDED_ANNOTATION, ""))
    names = dict.fromkeys(filter(_NODE_NAME.fullmatch, told.split(",")))
    return tuple(names)[:MOST_AVOIDED]


def _refused(raw: Object) -> str:
    """Return what the API server says to the pods of a Deployment, if it refuses them."""
    for found in (raw.get("status") or {}).get("conditions") or []:
        failed = found["type"] == "ReplicaFailure" and found["status"] == "True"
        if failed and found.get("reason") == "FailedCreate":
            return str(found.get("message", ""))
    return ""


def owner_of(meta: Object) -> str:
    """Return the UID of the controlling owner."""
    owners = meta.get("ownerReferences") or []
    return next((o["uid"] for o in owners if o.get("controller")), "")
