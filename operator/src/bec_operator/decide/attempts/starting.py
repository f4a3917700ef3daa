"""Before the worker runs: whether its pod takes too long to start, and what is said of it."""

from collections.abc import Iterator

from bec_operator.decide.attempts.actions import AskKubelet
from bec_operator.decide.attempts.view import TaskView
from bec_operator.decide.sight.action import Action
from bec_operator.decide.sight.seen import PodSeen

ASK_AFTER = 0.5  # of timeouts.start, before the kubelet's Events are looked at
ASK_AGAIN = 60.0  # seconds between two looks


def ask_kubelet(view: TaskView, pod: PodSeen) -> Iterator[Action]:
    """Look what the kubelet says of a pod that takes long to start, such as of a missing Secret."""
    if not pod.node or pod.waiting or view.now - placed(pod) < ASK_AFTER * view.limits.start:
        return
    if view.heard is None or view.now - view.heard.at >= ASK_AGAIN:
        yield AskKubelet(view.task, view.attempt, pod)


def placed(pod: PodSeen) -> float:
    """Return when we first saw it on a node."""
    return pod.seen_placed if pod.seen_placed is not None else pod.seen_first


def trouble(pod: PodSeen) -> str:
    """Return why a container cannot start, in the kubelet's words; empty if it can."""
    return ": ".join(filter(None, (pod.waiting, pod.waiting_message.strip())))
