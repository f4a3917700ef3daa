"""Before the worker runs: whether its pod takes too long to start, and what is said of it."""

from collections.abc import Iterator

from bec_operator.decide.attempts.actions import AskKubelet
from bec_operator.decide.attempts.view import TaskView
from bec_operator.decide.sight.action import Action
from bec_operator.decide.sight.failures import FailureClass, failure_of_waiting
from bec_operator.decide.sight.moments import duration
from bec_operator.decide.sight.seen import PodSeen, Verdict

TROUBLE_GRACE = 300.0  # seconds for an image or a container's configuration to come right
STRANDED_FOR = 60.0  # seconds for which a pod has to look as if nobody went on with it
ASK_AFTER = 0.5  # of timeouts.start, before the kubelet's Events are looked at
UNHEARD = 1.5  # of timeouts.start, after which nobody waits for these Events any more
ASK_AGAIN = 60.0  # seconds between two looks


def overdue_start(view: TaskView, pod: PodSeen) -> Verdict | None:
    """Return why a pod whose worker does not run is to be given up, if it is.

    Measured by our own clock from when this process first saw it: after a restart it begins anew.
    What keeps a pod from being scheduled, such as a queue, may take as long as it likes.
    """
    if pod.gated:
        return None
    if not pod.node:
        return _without_node(view, pod)
    if pod.seen_troubled is not None and (pod.stranded or pod.waiting):
        return _troubled(view, pod, view.now - pod.seen_troubled)
    limit, took = view.limits.start, view.now - _placed(pod)
    if took < limit or (view.heard is None and took < UNHEARD * limit):
        return None
    said = f"the worker did not run in {duration(limit)} (timeouts.start)"
    heard = view.heard.message if view.heard is not None else ""
    return Verdict(FailureClass.START_TIMEOUT, ": ".join(filter(None, (said, heard))))


def _troubled(view: TaskView, pod: PodSeen, since: float) -> Verdict | None:
    """Give up what has been in trouble for long, `since` seconds."""
    if pod.stranded:
        said = f"the node {pod.node} went down under it"
        return Verdict(FailureClass.DISRUPTED, said) if since >= STRANDED_FOR else None
    failure = failure_of_waiting(pod.waiting, pod.waiting_message)
    grace = min(TROUBLE_GRACE, view.limits.start)
    if failure is None or since < grace:
        return None
    return Verdict(failure, f"not within {duration(grace)}: {trouble(pod)}")


def _without_node(view: TaskView, pod: PodSeen) -> Verdict | None:
    limit = view.limits.node
    if view.now - pod.seen_free < limit:
        return None
    why = pod.unschedulable or "the scheduler does not say why"
    message = f"no node within {duration(limit)} (timeouts.node): {why}"
    return Verdict(FailureClass.UNSCHEDULABLE, message)


def ask_kubelet(view: TaskView, pod: PodSeen) -> Iterator[Action]:
    """Look what the kubelet says of a pod that takes long to start, such as of a missing Secret."""
    if not pod.node or pod.waiting or view.now - _placed(pod) < ASK_AFTER * view.limits.start:
        return
    if view.heard is None or view.now - view.heard.at >= ASK_AGAIN:
        yield AskKubelet(view.task, view.attempt, pod)


def _placed(pod: PodSeen) -> float:
    return pod.seen_placed if pod.seen_placed is not None else pod.seen_first


def trouble(pod: PodSeen) -> str:
    """Return why a container cannot start, in the kubelet's words; empty if it can."""
    return ": ".join(filter(None, (pod.waiting, pod.waiting_message.strip())))
