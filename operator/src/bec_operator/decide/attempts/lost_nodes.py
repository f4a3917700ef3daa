"""Pods on lost nodes: nothing but force ends them, and until they are gone nobody may follow."""

from collections.abc import Iterator, Mapping

from bec_operator.decide.attempts.actions import CheckNode, DeletePod, StopPod
from bec_operator.decide.sight.action import Action
from bec_operator.decide.sight.failures import FailureClass
from bec_operator.decide.sight.moments import duration
from bec_operator.decide.sight.seen import NodeSeen, PodSeen, Verdict

# Seconds; none of them is longer than it takes until a node counts as lost.
OVERDUE = 60.0  # past the end of its grace, before the node of a pod is asked for
ASK_AGAIN = 30.0  # between two looks at a node
SEEN_DOWN = 60.0  # for which we have to see a node down ourselves, whatever its clock says

_EXPLAINED = {FailureClass.SILENT, FailureClass.START_TIMEOUT}
"""Verdicts about pods that the loss of their node explains better."""


def release_pods(
    pods: Mapping[str, PodSeen], nodes: Mapping[str, NodeSeen], limit: float, now: float
) -> Iterator[Action]:
    """Say what to do about pods that do not end: look at their nodes, and give up what is lost.

    A node is lost if it is gone, or has not been Ready for `limit` seconds. A pod whose worker has
    ended is gone then; one that may run has failed with its node.
    """
    for pod in pods.values():
        if not _is_overdue(pod, limit, now):
            continue
        node = nodes.get(pod.node)
        if node is None or now - node.at >= min(ASK_AGAIN, limit):
            yield CheckNode(pod.node)
        elif is_lost(node, limit):
            if pod.worker_ended:
                yield DeletePod(pod, force=True)
            else:
                yield StopPod(pod, _verdict(pod, node), force=True)


def _is_overdue(pod: PodSeen, limit: float, now: float) -> bool:
    """Whether a pod has had its grace, and is still there. What has no node goes by itself."""
    if not (pod.alive and pod.deleting and pod.node) or pod.grace_ends is None:
        return False
    return now - pod.grace_ends >= min(OVERDUE, limit)


def is_lost(node: NodeSeen, limit: float) -> bool:
    """Whether a node is gone or down for good, as the last look at it showed.

    The cluster's clock tells since when it is down. It may be far from ours, so we have to have
    seen it for a while as well.
    """
    if node.down_since is None or node.seen_down is None:
        return node.gone
    seen = node.at - node.seen_down
    return node.at - node.down_since >= limit and seen >= min(SEEN_DOWN, limit)


def _verdict(pod: PodSeen, node: NodeSeen) -> Verdict:
    if pod.stopped is not None and pod.stopped.failure not in _EXPLAINED:
        return pod.stopped
    how = "it is gone"
    if node.down_since is not None:
        how = f"not Ready for {duration(node.at - node.down_since)}"
    return Verdict(FailureClass.NODE_LOST, f"the node {pod.node} is lost: {how}")
