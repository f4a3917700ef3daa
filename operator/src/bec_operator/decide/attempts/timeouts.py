"""When an attempt takes too long: to start, to call, to get on, to end.

All is measured by our own clock, from what this process saw itself.
"""

from bec_operator.decide.attempts.starting import placed, trouble
from bec_operator.decide.attempts.view import TaskView
from bec_operator.decide.sight.failures import FailureClass, failure_of_waiting
from bec_operator.decide.sight.moments import duration
from bec_operator.decide.sight.seen import PodSeen, Verdict

TROUBLE_GRACE = 300.0  # seconds for an image or a container's configuration to come right
STRANDED_FOR = 60.0  # seconds for which a pod has to look as if nobody went on with it
UNHEARD = 1.5  # of timeouts.start, after which nobody waits for the kubelet's Events any more


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
    limit, took = view.limits.start, view.now - placed(pod)
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


def overdue(view: TaskView, pod: PodSeen, since: float) -> Verdict | None:
    """Return why a running attempt is to be ended, if it is.

    All is measured by our own clock, from what this process saw itself: after a restart every
    time-out begins anew, but for that of the task, whose worker's first call stands on its pod.
    A worker from elsewhere has a lease in place of the heartbeat, and may not tell of progress.
    """
    worker, limits, now = view.worker, view.limits, view.now
    began = min(since, pod.called_since or since)
    if now - began >= limits.task:
        return Verdict(
            FailureClass.TOO_LONG, f"it ran for {duration(limits.task)} (timeouts.task){_at(view)}"
        )
    if worker is None and pod.called_since is None:
        return None  # it never calls: a plain container
    heard = max(since, view.turned_away)  # who is not listened to is not silent
    if pod.lease:
        return _without_progress(view, heard) if worker and worker.activity else None
    if now - max(heard, worker.called if worker else 0.0) >= limits.heartbeat:
        return Verdict(
            FailureClass.SILENT,
            f"no sign of life for {duration(limits.heartbeat)} (timeouts.heartbeat){_at(view)}",
        )
    return _without_progress(view, heard)


def _without_progress(view: TaskView, heard: float) -> Verdict | None:
    worker, limit = view.worker, view.limits.progress
    if view.now - max(heard, worker.moved if worker else 0.0) < limit:
        return None
    said = f"no progress for {duration(limit)} (timeouts.progress){_at(view)}"
    return Verdict(FailureClass.STUCK, said)


def _at(view: TaskView) -> str:
    progress = told_progress(view)
    return f", at {progress}" if progress else ""


def told_progress(view: TaskView) -> str:
    """Return how far its worker says it is; empty if it does not."""
    return str(view.worker.progress) if view.worker and view.worker.progress else ""
