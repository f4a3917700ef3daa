"""How an attempt ended that left no valid marker: its failure class, and a sentence."""

import re
from dataclasses import dataclass

from bec_operator.decide.sight.failures import CLAIMS, EXIT_CLASSES, FailureClass, failure_of_start
from bec_operator.decide.sight.seen import (
    Cut,
    MarkerSeen,
    MarkerState,
    PodSeen,
    Report,
    Verdict,
    WorkerSeen,
)
from bec_ops.contract.exit_codes import ExitCode

CANNOT_RUN = {"StartError", "ContainerCannotRun"}  # the runtime's words: no such file, say
# All that runc prints of a command that is no program: it is the container's own log.
_NOT_A_PROGRAM = re.compile(r"exec \S+: exec format error")
_UNSEEN = {"Unknown", "ContainerStatusUnknown"}  # nobody saw the end of the container
_CUTS = {
    Cut.REFUSED: (FailureClass.NODE_REFUSED, "its node did not take the pod"),
    Cut.STORAGE: (FailureClass.STORAGE_EXCEEDED, "ended for what it wrote to disk"),
    Cut.DEADLINE: (FailureClass.TOO_LONG, "activeDeadlineSeconds of worker.template is over"),
}


@dataclass(frozen=True, slots=True)
class Ending:
    """All that is known of the end of an attempt.

    `pod` is None if it is gone; `gone` is it then as it was last, if we saw it. `worker` is None
    if it never called, `verdict` if we did not end it.
    `reading` is a look at the marker from after the end, and did not show a valid one.
    """

    pod: PodSeen | None
    reading: MarkerSeen
    worker: WorkerSeen | None = None
    verdict: Verdict | None = None
    gone: PodSeen | None = None


def classify(ending: Ending) -> tuple[FailureClass, str]:
    """Return class and sentence for an attempt."""
    pod = ending.pod
    if ending.verdict is not None:
        return ending.verdict.failure, ending.verdict.message
    if pod is None:
        if _has_told(ending.worker) or not _has_seen_end(ending.gone):
            return _of_gone(ending.worker, ending.gone)
        pod = ending.gone
    assert pod is not None
    if pod.report is not None:
        return _of_report(pod.report, ending.reading)
    if pod.cut is not None:
        failure, said = _CUTS[pod.cut]
        return failure, _sentence(said, ": ".join(filter(None, (pod.reason, pod.message))))
    if pod.disrupted or pod.deleting or pod.exit_code is None:
        return _of_taken_away(pod)
    failure, said = _of_exit(pod, pod.exit_code, ending.reading)
    return failure, f"init container {pod.ended_in}: {said}" if pod.ended_in else said


def _has_told(worker: WorkerSeen | None) -> bool:
    report = worker.report if worker is not None else None
    return report is not None and report.failure is not None


def _has_seen_end(gone: PodSeen | None) -> bool:
    """Whether a pod had ended by itself before somebody took it away."""
    return gone is not None and gone.worker_ended and not gone.deleting


def _of_exit(pod: PodSeen, exit_code: int, reading: MarkerSeen) -> tuple[FailureClass, str]:
    """Judge by how the container itself ended."""
    if pod.reason == "OOMKilled":
        return FailureClass.OUT_OF_MEMORY, _sentence("killed for its memory", pod.message)
    if pod.reason in CANNOT_RUN:
        failure = failure_of_start(pod.message)
        own = failure is FailureClass.CONTAINER_CONFIG
        what = "its command cannot be run" if own else "its node could not start it"
        return failure, _sentence(what, pod.message)
    if _NOT_A_PROGRAM.fullmatch(pod.message.strip()):
        return FailureClass.CONTAINER_CONFIG, f"its command cannot be run: {pod.message.strip()}"
    if exit_code == ExitCode.DONE:
        return FailureClass.MARKER_MISSING, f"exit 0, but {_no_marker(reading)}"
    failure = EXIT_CLASSES.get(exit_code) or pod.reported or FailureClass.RETRYABLE
    return failure, pod.message if pod.reported else _sentence(f"exit {exit_code}", pod.message)


def says_done(ending: Ending) -> bool:
    """Whether the worker says that it has done its work, though S3 shows no marker.

    Not every store shows at once what was written to it, and some of them stand behind a cache.
    """
    if ending.verdict is not None or ending.reading.state is not MarkerState.ABSENT:
        return False
    report = ending.pod.report if ending.pod is not None else None
    if report is None and ending.worker is not None:
        report = ending.worker.report
    if report is not None:
        return report.failure is None
    return ending.pod is not None and ending.pod.exit_code == ExitCode.DONE


def claims_misconfigured(pod: PodSeen | None, failure: FailureClass) -> bool:
    """Whether an attempt of this class ended with an exit code that calls the job set up wrongly.

    Nothing but the code says so: it may be one of a tool of the program's own. A worker of a pool
    lives on, and reports it.
    """
    if pod is None or failure is not FailureClass.RETRYABLE:
        return False
    code = pod.exit_code if pod.report is None else pod.report.exit_code
    return code in CLAIMS


def _no_marker(reading: MarkerSeen) -> str:
    if reading.state is MarkerState.INVALID:
        return f"the marker is not valid: {reading.message}"
    return "no success.json at the output location"


def _of_report(report: Report, reading: MarkerSeen) -> tuple[FailureClass, str]:
    """Judge by what a worker of a pool says, which goes on to other work."""
    if report.failure is None:
        return FailureClass.MARKER_MISSING, f"the worker says done, but {_no_marker(reading)}"
    return report.failure, report.message


def _of_taken_away(pod: PodSeen) -> tuple[FailureClass, str]:
    if pod.node_lost:
        return FailureClass.NODE_LOST, f"the node {pod.node} is lost: {pod.node_lost}"
    if pod.reason in _UNSEEN and pod.disrupted:
        said = f"the node {pod.node} went down under it"
        return FailureClass.DISRUPTED, _sentence(said, pod.message)
    why = pod.reason if pod.disrupted else ""
    why = why or ("deleted" if pod.deleting else "its status does not say why")
    return FailureClass.DISRUPTED, _sentence(f"the pod was taken away: {why}", pod.message)


def _of_gone(worker: WorkerSeen | None, pod: PodSeen | None) -> tuple[FailureClass, str]:
    """Judge as if its pod was there, by what was last seen of it, or by the worker's last word."""
    if pod is not None and pod.disrupted:
        return _of_taken_away(pod)
    report = worker.report if worker is not None else None
    if report is not None and report.failure is not None:
        return report.failure, report.message
    return FailureClass.DISRUPTED, "the pod is gone, and it left no marker"


def _sentence(what: str, detail: str) -> str:
    detail = detail.strip()
    return f"{what}: {detail}" if detail else what
