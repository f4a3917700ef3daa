"""From the API server's pods to the lean records that decisions need.

Whoever may make pods may put our labels and annotations on them: what stands there is read as far
as it can be, and what cannot be is passed over.
"""

import re
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from bec_operator.act.kube.pod_ends import (
    condition,
    cut_of,
    failed_init,
    is_disrupted,
    is_stranded,
    is_unseen,
    node_lost,
    words_of,
    worker_state,
)
from bec_operator.act.kube.records import owner_of
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
from bec_operator.decide.sight.failures import FailureClass, class_of, failure_of_waiting
from bec_operator.decide.sight.moments import epoch, lenient
from bec_operator.decide.sight.pool_seen import PoolPod
from bec_operator.decide.sight.seen import PodSeen, Verdict
from bec_ops.contract.protocol import TerminationMessage

Object = dict[str, Any]
# Cluster autoscaler and Karpenter leave a node alone while such a pod is on it.
DO_NOT_EVICT = {
    "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
    "karpenter.sh/do-not-disrupt": "true",
}
MESSAGE_LIMIT = 1024
_UNSCHEDULABLE = ("False", "Unschedulable")
_GATED = ("False", "SchedulingGated")
_GENERATION = re.compile(r"[0-9]{1,18}")


def pod_of(raw: Object, before: PodSeen | None, now: float) -> PodSeen:
    """Return the record of a pod; moments that we saw before are kept."""
    meta, status = raw["metadata"], raw.get("status") or {}
    labels, annotations = meta.get("labels") or {}, meta.get("annotations") or {}
    reason, said = words_of(status)
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
        disrupted=is_disrupted(status),
        node_lost=node_lost(status),
        cut=cut_of(status),
        reason=reason,
        message=said[:MESSAGE_LIMIT],
        unschedulable=_unschedulable(status),
        gated=_gated(raw),
        start_time=status.get("startTime"),
        seen_first=now,
        seen_free=now,
        seen_placed=now if raw.get("spec", {}).get("nodeName") else None,
        called_since=_called_since(status),
        stopped=_stopped(status),
    )
    pod = _with_end(pod, raw, now)
    if pod.seen_running is None and pod.alive:
        pod = _with_trouble(pod, status, now)
    if not pod.alive and not pod.worker_ended:
        pod = replace(pod, worker_ended=True, seen_ended=now)
    if before is None or before.uid != pod.uid:
        return pod
    return replace(
        pod,
        seen_first=before.seen_first,
        seen_free=now if before.gated else before.seen_free,
        seen_placed=before.seen_placed or pod.seen_placed,
        trouble=pod.trouble or before.trouble,
        seen_troubled=_troubled_since(pod, before),
        seen_running=before.seen_running or pod.seen_running,
        seen_ended=before.seen_ended or pod.seen_ended,
    )


def _troubled_since(pod: PodSeen, before: PodSeen) -> float | None:
    """Return since when a pod is in trouble of one kind; between two tries it shows none."""
    if pod.trouble is None or pod.trouble is before.trouble:
        return before.seen_troubled if before.trouble is not None else pod.seen_troubled
    return pod.seen_troubled


def pool_pod_of(raw: Object, before: PoolPod | None, now: float) -> PoolPod:
    """Return the record of a pod of a pool, in which processes come and go."""
    meta, status = raw["metadata"], raw.get("status") or {}
    labels, annotations = meta.get("labels") or {}, meta.get("annotations") or {}
    pod = pod_of(raw, before.pod if before is not None else None, now)
    containers = status.get("containerStatuses") or []
    worker: Object = next((c for c in containers if c["name"] == WORKER_CONTAINER), {})
    ended = pod if pod.worker_ended else _last_end(pod, status, worker, now)
    ready = condition(status, "Ready")
    return PoolPod(
        pod=pod,
        pool=labels[POOL_LABEL],
        ready=ready is not None and ready["status"] == "True",
        draining=DRAINING_ANNOTATION in annotations,
        guarded=all(annotations.get(name) == value for name, value in DO_NOT_EVICT.items()),
        runs="running" in (worker.get("state") or {}),
        ended=ended,
        restarts=worker.get("restartCount", 0) + _restarts_before(status),
    )


def _last_end(pod: PodSeen, status: Object, worker: Object, now: float) -> PodSeen | None:
    """Return a pod as it was when a process in it last ended that has been started anew."""
    if (last := (worker.get("lastState") or {}).get("terminated")) is not None:
        return _ended(pod, last, now)
    for container in status.get("initContainerStatuses") or []:
        last = (container.get("lastState") or {}).get("terminated")
        if last is not None and last.get("exitCode") != 0:
            return replace(_ended(pod, last, now), ended_in=container["name"])
    return None


def _restarts_before(status: Object) -> int:
    """Return how often the containers were started again that come before the worker."""
    return sum(c.get("restartCount", 0) for c in status.get("initContainerStatuses") or [])


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


def _unschedulable(status: Object) -> str:
    placing = condition(status, "PodScheduled")
    if placing is None or (placing["status"], placing.get("reason")) != _UNSCHEDULABLE:
        return ""
    return str(placing.get("message", ""))[:MESSAGE_LIMIT] or "no node takes it"


def _gated(raw: Object) -> str:
    """Return the names of the gates that keep a pod from being scheduled; empty if none do."""
    placing = condition(raw.get("status") or {}, "PodScheduled")
    gates = raw.get("spec", {}).get("schedulingGates") or []
    said = placing is not None and (placing["status"], placing.get("reason")) == _GATED
    names = ", ".join(str(gate.get("name", "")) for gate in gates)
    return names[:MESSAGE_LIMIT] or ("a scheduling gate" if said else "")


def _called_since(status: Object) -> float | None:
    calls = condition(status, HEARTBEAT_CONDITION)
    return lenient(calls.get("lastTransitionTime")) or None if calls is not None else None


def _stopped(status: Object) -> Verdict | None:
    stop = condition(status, STOPPED_CONDITION)
    if stop is None:
        return None
    return Verdict(class_of(stop.get("reason", "")), stop.get("message", ""))


def _with_end(pod: PodSeen, raw: Object, now: float) -> PodSeen:
    """Take in the state of container `worker`: a sidecar does not hold up its end.

    Where an init container has failed, the worker never begins, and that is the end.
    """
    state = worker_state(raw.get("status") or {})
    if (ended := state.get("terminated")) is not None:
        return _ended(pod, ended, now)
    if (failed := failed_init(raw)) is not None:
        return replace(_ended(pod, failed[1], now), ended_in=failed[0])
    return replace(pod, seen_running=now) if "running" in state else pod


def _ended(pod: PodSeen, ended: Object, now: float) -> PodSeen:
    """Take in how a container has ended; why the whole pod has, if it was ended, is worth more."""
    message = ended.get("message") or ""
    told = _told(message)
    whole = pod.message if pod.disrupted or pod.cut is not None else ""
    return replace(
        pod,
        reported=class_of(told.failure) if told is not None else None,
        disrupted=pod.disrupted or (is_unseen(ended) and not pod.deleting),
        worker_ended=True,
        seen_ended=now,
        exit_code=ended.get("exitCode"),
        reason=pod.reason if pod.disrupted or pod.cut else ended.get("reason", ""),
        message=whole or (message if told is None else told.message)[-MESSAGE_LIMIT:],
        end_time=ended.get("finishedAt"),
    )


def _with_trouble(pod: PodSeen, status: Object, now: float) -> PodSeen:
    """Take in why any of its containers cannot start: all hold up the worker."""
    if is_stranded(status):
        return replace(pod, stranded=True, seen_troubled=now, trouble=FailureClass.DISRUPTED)
    kinds = ("initContainerStatuses", "containerStatuses")
    containers = [container for kind in kinds for container in status.get(kind) or []]
    waiting = [(container.get("state") or {}).get("waiting") or {} for container in containers]
    for state in waiting:
        reason, message = state.get("reason", ""), state.get("message", "")[:MESSAGE_LIMIT]
        if (trouble := failure_of_waiting(reason, message)) is not None:
            return replace(
                pod,
                waiting=reason,
                waiting_message=message,
                trouble=trouble,
                seen_troubled=now,
            )
    return pod


def _told(message: str) -> TerminationMessage | None:
    """Read what a worker of our library says of its end; None for any other text."""
    if not message.startswith("{"):
        return None
    try:
        return TerminationMessage.model_validate_json(message)
    except ValidationError:
        return None
