"""How an attempt ended that left no valid marker: its failure class, and a sentence."""

from dataclasses import dataclass

from bec_operator.decide.failures import EXIT_CLASSES, FailureClass
from bec_operator.decide.seen import MarkerSeen, MarkerState, PodSeen, Report, Verdict, WorkerSeen
from bec_ops.exit_codes import ExitCode

CANNOT_RUN = {"StartError", "ContainerCannotRun"}  # the runtime's words: no such file, say


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
    if ending.reading.state is MarkerState.IMPOSSIBLE:
        return FailureClass.OUTPUT_IMPOSSIBLE, ending.reading.message
    if ending.verdict is not None:
        return ending.verdict.failure, ending.verdict.message
    if pod is None:
        return _of_gone(ending.worker, ending.gone)
    if pod.report is not None:
        return _of_report(pod.report, ending.reading)
    if pod.disrupted or pod.deleting or pod.exit_code is None:
        return _of_taken_away(pod)
    return _of_exit(pod, pod.exit_code, ending.reading)


def _of_exit(pod: PodSeen, exit_code: int, reading: MarkerSeen) -> tuple[FailureClass, str]:
    """Judge by how the container itself ended."""
    if pod.reason == "OOMKilled":
        return FailureClass.OUT_OF_MEMORY, _sentence("killed for its memory", pod.message)
    if pod.reason in CANNOT_RUN:
        return FailureClass.CONTAINER_CONFIG, _sentence("its command cannot be run", pod.message)
    if exit_code == ExitCode.DONE:
        return FailureClass.MARKER_MISSING, f"exit 0, but {_no_marker(reading)}"
    failure = EXIT_CLASSES.get(exit_code) or pod.told or FailureClass.RETRYABLE
    said = pod.message if pod.told else _sentence(f"exit {exit_code}", pod.message)
    return failure, said


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
    why = pod.reason or ("deleted" if pod.deleting else "lost its node")
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
