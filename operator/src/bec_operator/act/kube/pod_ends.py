"""What a pod's status says of its end: who ended it, and which of its containers failed first."""

from typing import Any

from bec_operator.api.names import WORKER_CONTAINER
from bec_operator.decide.sight.seen import Cut

Object = dict[str, Any]
_NODE_LOST = "NodeLost"
_LOST_BY = {"DeletionByTaintManager", "DeletionByPodGC"}  # who ends pods of lost nodes
# Of a limit of the pod's own, as the kubelet says it; it gives it the reason Evicted as well.
_OWN_LIMIT = ("exceeds the total limit", "exceeds the limit", "local ephemeral storage limit")
# With these a kubelet takes away what it has taken: an end before any container began is one, too.
_TAKEN = {"Evicted", "Preempting", _NODE_LOST, "Shutdown", "Terminated"}
_NOT_TAKEN = ("Pod was rejected", "The node had condition")  # and with these words it takes none
# How a container is said to have ended whose end nobody saw: its node was started again.
_UNSEEN = {("Unknown", 255), ("ContainerStatusUnknown", 137)}


def condition(status: Object, kind: str) -> Object | None:
    """Return the condition of a type; None if the pod has none."""
    conditions = status.get("conditions") or []
    return next((c for c in conditions if c["type"] == kind), None)


def cut_of(status: Object) -> Cut | None:
    """Return how the kubelet has ended a pod, where that is no disruption."""
    reason, said = status.get("reason", ""), status.get("message", "")
    if status.get("phase") != "Failed" or not reason or disruption(status) is not None:
        return None
    if reason == "DeadlineExceeded":
        return Cut.DEADLINE
    if reason == "Evicted" and any(words in said for words in _OWN_LIMIT):
        return Cut.STORAGE
    taken = reason in _TAKEN and not said.startswith(_NOT_TAKEN)
    return None if taken or _has_begun(status) else Cut.REFUSED


def is_disrupted(status: Object) -> bool:
    """Whether a pod was taken away for somebody else's sake.

    Why the kubelet has ended a pod as a whole stands in its status, whatever it calls it: it also
    refuses pods that it has run before, as it is started again.
    """
    if disruption(status) is not None:
        return True
    return bool(status.get("phase") == "Failed" and status.get("reason") and not cut_of(status))


def words_of(status: Object) -> tuple[str, str]:
    """Return reason and message for the end of a whole pod; empty if nothing ended it as one."""
    target = disruption(status) or {}
    reason = status.get("reason") or target.get("reason") or ""
    return str(reason), str(status.get("message") or target.get("message") or "")


def node_lost(status: Object) -> str:
    """Return why Kubernetes has ended a pod for its node; empty if it has not."""
    if status.get("reason") == _NODE_LOST:
        return str(status.get("message") or _NODE_LOST)
    target = disruption(status)
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


def failed_init(raw: Object) -> tuple[str, Object] | None:
    """Return the name and the end of the init container for which a pod has failed.

    A sidecar among them is only ended with the others: it is the one if nothing else has failed.
    """
    status = raw.get("status") or {}
    if status.get("phase") != "Failed" or "terminated" in worker_state(status):
        return None
    declared = raw.get("spec", {}).get("initContainers") or []
    sidecars = {c.get("name") for c in declared if c.get("restartPolicy") == "Always"}
    failed = [
        (str(container["name"]), ended)
        for container in status.get("initContainerStatuses") or []
        if (ended := (container.get("state") or {}).get("terminated")) is not None
        and ended.get("exitCode") != 0
    ]
    own = [each for each in failed if each[0] not in sidecars]
    return next(iter(own or failed), None)


def is_stranded(status: Object) -> bool:
    """Whether a pod's node went down after its init containers, and before its worker was made.

    Kubelets make no second sandbox for one that is not to be restarted: it stays as it is.
    """
    ready, begun = condition(status, "PodReadyToStartContainers"), condition(status, "Initialized")
    if status.get("phase") != "Pending" or ready is None or begun is None:
        return False
    inits = status.get("initContainerStatuses") or []
    over = bool(inits) and all("terminated" in (c.get("state") or {}) for c in inits)
    return over and (ready["status"], begun["status"]) == ("False", "True")


def _has_begun(status: Object) -> bool:
    """Whether any container has been started: the node had taken the pod."""
    kinds = ("initContainerStatuses", "containerStatuses")
    containers = [container for kind in kinds for container in status.get(kind) or []]
    return any("waiting" not in (c.get("state") or {"waiting": {}}) for c in containers)


def disruption(status: Object) -> Object | None:
    """Return the condition that says that a pod is taken away; None if it is not."""
    target = condition(status, "DisruptionTarget")
    return target if target is not None and target["status"] == "True" else None
