"""What a pod's status says of its end: who ended it, and which of its containers failed first."""

from typing import Any

from bec_operator.api.names import WORKER_CONTAINER
from bec_operator.decide.seen import Cut

Object = dict[str, Any]
_NODE_LOST = "NodeLost"
_LOST_BY = {"DeletionByTaintManager", "DeletionByPodGC"}  # who ends pods of lost nodes
_TAKEN = {"Evicted", "Preempting", _NODE_LOST, "Shutdown", "Terminated"}
# Of a limit of the pod's own, as the kubelet says it; it gives both kinds the reason Evicted.
_OWN_LIMIT = ("exceeds the total limit", "exceeds the limit", "local ephemeral storage limit")
# Of a node under pressure that takes no pod, which has the reason Evicted as well.
_NOT_TAKEN = ("Pod was rejected", "The node had condition")
# How a container is said to have ended whose end nobody saw: its node was started again.
_UNSEEN = {("Unknown", 255), ("ContainerStatusUnknown", 137)}


def condition(status: Object, kind: str) -> Object | None:
    """Return the condition of a type; None if the pod has none."""
    conditions = status.get("conditions") or []
    return next((c for c in conditions if c["type"] == kind), None)


def cut_of(status: Object) -> Cut | None:
    """Return how the kubelet has ended a pod, where that is no disruption."""
    if status.get("phase") != "Failed" or _disruption(status) is not None:
        return None
    reason, said = status.get("reason", ""), status.get("message", "")
    if reason == "DeadlineExceeded":
        return Cut.DEADLINE
    if reason == "Evicted" and any(words in said for words in _OWN_LIMIT):
        return Cut.STORAGE
    taken = reason in _TAKEN and not said.startswith(_NOT_TAKEN)
    return Cut.REFUSED if reason and not taken and not _has_begun(status) else None


def is_disrupted(status: Object) -> bool:
    """Whether a pod was taken away for somebody else's sake."""
    if _disruption(status) is not None:
        return True
    return status.get("reason") in _TAKEN and cut_of(status) is None


def node_lost(status: Object) -> str:
    """Return why Kubernetes has ended a pod for its node; empty if it has not."""
    if status.get("reason") == _NODE_LOST:
        return str(status.get("message") or _NODE_LOST)
    target = _disruption(status)
    if target is None or target.get("reason") not in _LOST_BY:
        return ""
    return str(target.get("message") or target["reason"])


def is_unseen(ended: Object) -> bool:
    """Whether nobody saw how a container ended: its node went down under it."""
    return (ended.get("reason"), ended.get("exitCode")) in _UNSEEN


def worker_state(status: Object) -> Object:
    """Return the state of container `worker` in a pod's status; empty if it says nothing."""
    containers = status.get("containerStatuses") or []
    return next((c.get("state") or {} for c in containers if c["name"] == WORKER_CONTAINER), {})


def failed_init(status: Object) -> tuple[str, Object] | None:
    """Return the name and the end of the init container for which a pod has failed."""
    if status.get("phase") != "Failed" or "terminated" in worker_state(status):
        return None
    for container in status.get("initContainerStatuses") or []:
        ended = (container.get("state") or {}).get("terminated")
        if ended is not None and ended.get("exitCode") != 0:
            return str(container["name"]), ended
    return None


def _has_begun(status: Object) -> bool:
    """Whether any container has been started: the node had taken the pod."""
    kinds = ("initContainerStatuses", "containerStatuses")
    containers = [container for kind in kinds for container in status.get(kind) or []]
    return any("waiting" not in (c.get("state") or {"waiting": {}}) for c in containers)


def _disruption(status: Object) -> Object | None:
    target = condition(status, "DisruptionTarget")
    return target if target is not None and target["status"] == "True" else None
