"""While a worker runs: whether it takes too long, and what people should see of it."""

from collections.abc import Iterator

from bec_operator.api.volume_task import TaskPhase
from bec_operator.decide.attempts.actions import RecordHeartbeat, StopPod
from bec_operator.decide.attempts.starting import ask_kubelet
from bec_operator.decide.attempts.timeouts import overdue, overdue_start, told_progress
from bec_operator.decide.attempts.view import TaskView
from bec_operator.decide.sight.action import Action
from bec_operator.decide.sight.seen import PodSeen, Verdict
from bec_operator.decide.volumes.actions import ReadMarker

STOP_SECONDS = 30  # that a worker of a pool gets which we stop; else as long as a task may take
RECORD_RUNNING_AFTER = 5.0  # seconds: a status that somebody can still read
RECORD_PROGRESS_EVERY = 300.0  # seconds, or
RECORD_PROGRESS_STEP = 0.1  # of the work, whichever comes first
LOOK_AGAIN_AFTER = 60.0  # seconds between two looks for the marker of a running task


def accompany(view: TaskView, pod: PodSeen) -> Iterator[Action]:
    """Let people see how far it is, look whether it has succeeded, and end it if it is overdue."""
    told = pod.lease and pod.stopped  # a worker from elsewhere, which ends as it hears it
    if not told and (not pod.deleting or _leaves(pod)):
        verdict = pod.stopped or view.stop or view.superseded or _overdue(view, pod)
        if verdict is not None:
            yield StopPod(pod, verdict)
            return
    if pod.seen_running is None:
        yield from ask_kubelet(view, pod)
        return
    worker = view.worker
    probed = worker is not None and worker.called > view.probed and _is_probe_due(view, pod)
    if worker is not None and probed and not pod.lease:
        yield RecordHeartbeat(pod, worker.called, told_progress(view) or "the worker calls")
    last_look = max(pod.seen_running, view.reading.asked if view.reading else 0.0)
    if view.now - last_look >= LOOK_AGAIN_AFTER or _says_done(view):
        yield ReadMarker(view.task.index)


def _leaves(pod: PodSeen) -> bool:
    """Whether it is a seat in a worker that is to go once its volume is done: it has hours."""
    return bool(pod.seat_in) and pod.grace > STOP_SECONDS


def _overdue(view: TaskView, pod: PodSeen) -> Verdict | None:
    if pod.seen_running is None:
        return overdue_start(view, pod)
    return overdue(view, pod, pod.seen_running)


def _is_probe_due(view: TaskView, pod: PodSeen) -> bool:
    return pod.called_since is None or view.now - view.probed >= view.record_every


def _says_done(view: TaskView) -> bool:
    """Whether the worker has told that its marker stands, and nobody has looked since."""
    report = view.worker.report if view.worker is not None else None
    if report is None or report.failure is not None:
        return False
    return view.reading is None or view.reading.asked < report.at


def share_done(view: TaskView) -> float:
    """Return how much of the attempt's work is done: 0 to 1; 0 where that is not known."""
    progress = view.worker.progress if view.worker is not None else None
    return progress.share if progress is not None else 0.0


def is_record_due(view: TaskView, pod: PodSeen) -> bool:
    """Whether its VolumeTask should be made to say that it runs, or how far it is."""
    if pod.seen_running is None or view.now - pod.seen_running < RECORD_RUNNING_AFTER:
        return False
    recorded = view.task.recorded_begun
    if view.task.phase is not TaskPhase.RUNNING or not recorded or recorded.pod_uid != pod.uid:
        return True
    progress = told_progress(view)
    if not progress or progress == view.task.progress:
        return False
    shown = view.shown
    return (
        shown is None
        or abs(share_done(view) - shown.share) >= RECORD_PROGRESS_STEP
        or view.now - shown.at >= RECORD_PROGRESS_EVERY
    )
