"""From the API server's pods to the lean records that decisions need.

Whoever may make pods may put our labels and annotations on them: what stands there is read as far
as it can be, and what cannot be is passed over.
"""

import re
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from bec_operator.act.records import owner_of
from bec_operator.api.names import (
    DRAINING_ANNOTATION,
    GENERATION_ANNOTATION,
    HEARTBEAT_CONDITION,
    JOB_LABEL,
    POOL_LABEL,
    REDO_AT_ANNOTATION,
    STOPPED_CONDITION,
    TASK_LABEL,
    WORKER_CONTAINER,
)
from bec_operator.decide.failures import START_TROUBLES, class_of
from bec_operator.decide.moments import epoch, lenient
from bec_operator.decide.pool_seen import PoolPod
from bec_operator.decide.seen import PodSeen, Verdict
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
_GENERATION = re.compile(r"[0-9]{1,18}")


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
        owner_uid=owner_of(meta),
        generation=_generation(annotations.get(GENERATION_ANNOTATION, "")),
        redo_at=int(lenient(annotations.get(REDO_AT_ANNOTATION))),
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


def _generation(annotation: str) -> str:
    return annotation if _GENERATION.fullmatch(annotation) else ""


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
    return lenient(condition.get("lastTransitionTime")) or None if condition is not None else None


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
