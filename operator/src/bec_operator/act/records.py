"""From the API server's objects to the lean records that decisions need."""

from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from bec_operator.api.job import JobSpec, JobStatus
from bec_operator.api.names import (
    DRAINING_ANNOTATION,
    FIRST_ATTEMPT_ANNOTATION,
    GENERATION_ANNOTATION,
    HEARTBEAT_CONDITION,
    JOB_LABEL,
    POOL_LABEL,
    REDO_AT_ANNOTATION,
    STOPPED_CONDITION,
    TASK_LABEL,
    WORKER_CONTAINER,
)
from bec_operator.api.volume_task import Attempt, VolumeTaskStatus
from bec_operator.decide.failures import START_TROUBLES, class_of
from bec_operator.decide.moments import epoch
from bec_operator.decide.pool_seen import DeploymentSeen, PoolPod
from bec_operator.decide.seen import JobSeen, PodSeen, TaskSeen, Verdict
from bec_ops.protocol import TerminationMessage

Object = dict[str, Any]
# Cluster autoscaler and Karpenter leave a node alone while such a pod is on it.
DO_NOT_EVICT = {
    "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
    "karpenter.sh/do-not-disrupt": "true",
}
MESSAGE_LIMIT = 1024
_UNSCHEDULABLE = ("False", "Unschedulable")
_NODE_LOST = "NodeLost"
_LOST_BY = {"DeletionByTaintManager", "DeletionByPodGC"}  # who ends pods of lost nodes


def job_of(raw: Object) -> JobSeen:
    """Return the record of a Job; a spec that cannot be read leaves a problem in its place."""
    meta = raw["metadata"]
    spec, problem = None, ""
    try:
        spec = JobSpec.model_validate(raw.get("spec", {}))
    except ValidationError as error:
        problem = "; ".join(_sentence(detail) for detail in error.errors())
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


def _job_status(raw: Object) -> JobStatus:
    try:
        return JobStatus.model_validate(raw)
    except ValidationError:
        return JobStatus()  # somebody else's writing: ours replaces it


def _sentence(detail: Any) -> str:
    where = ".".join(str(part) for part in detail["loc"])
    return f"spec.{where}: {detail['msg']}" if where else str(detail["msg"])


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
        owner_uid=_owner(meta),
        index=spec["index"],
        phase=status.phase,
        message=status.message,
        progress=status.progress,
        attempts=tuple(status.attempts) or _first_attempt(meta),
        next_attempt=epoch(status.next_attempt) if status.next_attempt else 0.0,
        finished=epoch(status.finished_at) if status.finished_at else 0.0,
        deleting="deletionTimestamp" in meta,
    )


def _first_attempt(meta: Object) -> tuple[Attempt, ...]:
    """Return the attempt that a task was made with, if the annotation is of our writing."""
    told = (meta.get("annotations") or {}).get(FIRST_ATTEMPT_ANNOTATION)
    if not told:
        return ()
    try:
        attempt = Attempt.model_validate_json(told)
        epoch(attempt.start_time or "")
    except ValueError:
        return ()
    return (attempt,) if attempt.number == 1 and not attempt.failure else ()


def pod_of(raw: Object, before: PodSeen | None, now: float) -> PodSeen:
    """Return the record of a pod; moments that we saw before are kept."""
    meta, status = raw["metadata"], raw.get("status") or {}
    labels, annotations = meta.get("labels") or {}, meta.get("annotations") or {}
    pod = PodSeen(
        namespace=meta["namespace"],
        name=meta["name"],
        uid=meta["uid"],
        version=int(meta["resourceVersion"]),
        job=labels.get(JOB_LABEL, ""),
        task=labels.get(TASK_LABEL, ""),
        owner_uid=_owner(meta),
        generation=annotations.get(GENERATION_ANNOTATION, ""),
        redo_at=_redo_at(annotations.get(REDO_AT_ANNOTATION)),
        phase=status.get("phase", "Pending"),
        node=raw.get("spec", {}).get("nodeName", ""),
        deleting="deletionTimestamp" in meta,
        grace=meta.get("deletionGracePeriodSeconds") or 0,
        grace_ends=_grace_ends(meta, labels),
        disrupted=_is_disrupted(status),
        node_lost=_node_lost(status),
        reason=status.get("reason", ""),
        message=status.get("message", "")[:MESSAGE_LIMIT],
        unschedulable=_unschedulable(status),
        start_time=status.get("startTime"),
        seen_first=now,
        called_since=_called_since(status),
        stopped=_stopped(status),
    )
    pod = _with_worker(pod, worker_state(status), now)
    if pod.seen_running is None:
        pod = _with_trouble(pod, status, now)
    if not pod.alive and not pod.worker_ended:
        pod = replace(pod, worker_ended=True, seen_ended=now)
    if before is None or before.uid != pod.uid:
        return pod
    return replace(
        pod,
        seen_first=before.seen_first,
        seen_troubled=before.seen_troubled or pod.seen_troubled,
        seen_running=before.seen_running or pod.seen_running,
        seen_ended=before.seen_ended or pod.seen_ended,
    )


def pool_pod_of(raw: Object, before: PoolPod | None, now: float) -> PoolPod:
    """Return the record of a pod of a pool, in which processes come and go."""
    meta, status = raw["metadata"], raw.get("status") or {}
    labels, annotations = meta.get("labels") or {}, meta.get("annotations") or {}
    pod = pod_of(raw, before.pod if before is not None else None, now)
    containers = status.get("containerStatuses") or []
    worker: Object = next((c for c in containers if c["name"] == WORKER_CONTAINER), {})
    last = (worker.get("lastState") or {}).get("terminated")
    ended = pod if pod.worker_ended else None
    if ended is None and last is not None:
        ended = _with_worker(pod, {"terminated": last}, now)
    ready = _condition(status, "Ready")
    return PoolPod(
        pod=pod,
        pool=labels[POOL_LABEL],
        ready=ready is not None and ready["status"] == "True",
        draining=DRAINING_ANNOTATION in annotations,
        guarded=all(annotations.get(name) == value for name, value in DO_NOT_EVICT.items()),
        runs="running" in (worker.get("state") or {}),
        ended=ended,
        restarts=worker.get("restartCount", 0),
    )


def deployment_of(raw: Object) -> DeploymentSeen:
    """Return the record of a pool's Deployment."""
    meta = raw["metadata"]
    return DeploymentSeen(
        namespace=meta["namespace"],
        name=meta["name"],
        uid=meta["uid"],
        version=int(meta["resourceVersion"]),
        job=(meta.get("labels") or {}).get(JOB_LABEL, ""),
        owner_uid=_owner(meta),
        replicas=raw["spec"].get("replicas", 1),
        refused=_refused(raw),
        deleting="deletionTimestamp" in meta,
    )


def _refused(raw: Object) -> str:
    """Return what the API server says to the pods of a Deployment, if it refuses them."""
    for found in (raw.get("status") or {}).get("conditions") or []:
        failed = found["type"] == "ReplicaFailure" and found["status"] == "True"
        if failed and found.get("reason") == "FailedCreate":
            return str(found.get("message", ""))
    return ""


def is_of_task(raw: Object) -> bool:
    """Whether a pod is the one of a task."""
    return TASK_LABEL in (raw["metadata"].get("labels") or {})


def is_of_pool(raw: Object) -> bool:
    """Whether a pod is one of a pool, and not of one task."""
    labels = raw["metadata"].get("labels") or {}
    return POOL_LABEL in labels and TASK_LABEL not in labels


def _grace_ends(meta: Object, labels: Object) -> float | None:
    """Return until when a pod may take to end, if it is deleted.

    A pool's worker may take as long as a volume does, where its node is well: a node that is not
    is not waited for so long.
    """
    if "deletionTimestamp" not in meta:
        return None
    ends = epoch(meta["deletionTimestamp"])
    if POOL_LABEL in labels:
        return ends - (meta.get("deletionGracePeriodSeconds") or 0)
    return ends


def _redo_at(annotation: str | None) -> int:
    return int(epoch(annotation)) if annotation else 0


def _owner(meta: Object) -> str:
    """Return the UID of the controlling owner."""
    owners = meta.get("ownerReferences") or []
    return next((o["uid"] for o in owners if o.get("controller")), "")


def _is_disrupted(status: Object) -> bool:
    evicted = status.get("reason") in {"Evicted", "Preempting", _NODE_LOST, "Shutdown"}
    return evicted or _disruption(status) is not None


def _node_lost(status: Object) -> str:
    """Return why Kubernetes has ended a pod for its node; empty if it has not."""
    if status.get("reason") == _NODE_LOST:
        return str(status.get("message") or _NODE_LOST)
    target = _disruption(status)
    if target is None or target.get("reason") not in _LOST_BY:
        return ""
    return str(target.get("message") or target["reason"])


def _disruption(status: Object) -> Object | None:
    condition = _condition(status, "DisruptionTarget")
    return condition if condition is not None and condition["status"] == "True" else None


def _condition(status: Object, kind: str) -> Object | None:
    conditions = status.get("conditions") or []
    return next((c for c in conditions if c["type"] == kind), None)


def _unschedulable(status: Object) -> str:
    condition = _condition(status, "PodScheduled")
    if condition is None or (condition["status"], condition.get("reason")) != _UNSCHEDULABLE:
        return ""
    return str(condition.get("message", ""))[:MESSAGE_LIMIT] or "no node takes it"


def _called_since(status: Object) -> float | None:
    condition = _condition(status, HEARTBEAT_CONDITION)
    since = condition.get("lastTransitionTime") if condition is not None else None
    return epoch(since) if since else None


def _stopped(status: Object) -> Verdict | None:
    condition = _condition(status, STOPPED_CONDITION)
    if condition is None:
        return None
    return Verdict(class_of(condition.get("reason", "")), condition.get("message", ""))


def worker_state(status: Object) -> Object:
    """Return the state of container `worker` in a pod's status; empty if it says nothing."""
    containers = status.get("containerStatuses") or []
    return next((c.get("state") or {} for c in containers if c["name"] == WORKER_CONTAINER), {})


def _with_worker(pod: PodSeen, state: Object, now: float) -> PodSeen:
    """Take in the state of container `worker`: a sidecar does not hold up its end."""
    if (ended := state.get("terminated")) is not None:
        message = ended.get("message") or pod.message
        told = _told(message)
        return replace(
            pod,
            told=class_of(told.failure) if told is not None else None,
            worker_ended=True,
            seen_ended=now,
            exit_code=ended.get("exitCode"),
            reason=ended.get("reason", "") if not pod.disrupted else pod.reason,
            message=(message if told is None else told.message)[-MESSAGE_LIMIT:],
            end_time=ended.get("finishedAt"),
        )
    return replace(pod, seen_running=now) if "running" in state else pod


def _with_trouble(pod: PodSeen, status: Object, now: float) -> PodSeen:
    """Take in why any of its containers cannot start: all hold up the worker."""
    kinds = ("initContainerStatuses", "containerStatuses")
    containers = [container for kind in kinds for container in status.get(kind) or []]
    waiting = [(container.get("state") or {}).get("waiting") or {} for container in containers]
    for state in waiting:
        reason = state.get("reason", "")
        if reason in START_TROUBLES:
            message = state.get("message", "")[:MESSAGE_LIMIT]
            return replace(pod, waiting=reason, waiting_message=message, seen_troubled=now)
    return pod


def _told(message: str) -> TerminationMessage | None:
    """Read what a worker of our library says of its end; None for any other text."""
    if not message.startswith("{"):
        return None
    try:
        return TerminationMessage.model_validate_json(message)
    except ValidationError:
        return None
