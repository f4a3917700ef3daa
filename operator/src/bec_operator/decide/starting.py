"""Before the worker runs: whether its pod takes too long to start, and what is said of it."""

from bec_operator.decide.failures import START_TROUBLES, FailureClass
from bec_operator.decide.moments import duration
from bec_operator.decide.seen import PodSeen, Verdict
from bec_operator.decide.view import TaskView

TROUBLE_GRACE = 300.0  # seconds for an image or a container's configuration to come right


def overdue_start(view: TaskView, pod: PodSeen) -> Verdict | None:
    """Return why a pod whose worker does not run is to be given up, if it is.

    Measured by our own clock from when this process first saw it: after a restart it begins anew.
    """
    limit, now = view.limits.start, view.now
    grace = min(TROUBLE_GRACE, limit)
    failure = START_TROUBLES.get(pod.waiting)
    if failure is not None and pod.seen_troubled is not None:
        if now - pod.seen_troubled < grace:
            return None
        return Verdict(failure, f"not within {duration(grace)}: {trouble(pod)}")
    if now - pod.seen_first < limit:
        return None
    if pod.unschedulable and not pod.node:
        return Verdict(
            FailureClass.UNSCHEDULABLE,
            f"no node within {duration(limit)} (timeouts.start): {pod.unschedulable}",
        )
    return Verdict(
        FailureClass.START_TIMEOUT, f"the worker did not run in {duration(limit)} (timeouts.start)"
    )


def trouble(pod: PodSeen) -> str:
    """Return why a container cannot start, in the kubelet's words; empty if it can."""
    return ": ".join(filter(None, (pod.waiting, pod.waiting_message.strip())))
