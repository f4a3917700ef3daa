"""How an attempt ended that left no valid marker: its failure class, and a sentence."""

from bec_operator.decide.failures import EXIT_TERMINAL, FailureClass
from bec_operator.decide.seen import MarkerSeen, MarkerState, PodSeen


def classify(pod: PodSeen | None, reading: MarkerSeen) -> tuple[FailureClass, str]:
    """Return class and sentence for an attempt. `pod` is None if it is gone.

    `reading` is a look at the marker from after the end, and did not show a valid one.
    """
    if pod is None:
        return FailureClass.DISRUPTED, "the pod is gone, and it left no marker"
    if pod.disrupted or pod.deleting or pod.exit_code is None:
        why = pod.reason or ("deleted" if pod.deleting else "lost its node")
        return FailureClass.DISRUPTED, _sentence(f"the pod was taken away: {why}", pod.message)
    if pod.reason == "OOMKilled":
        return FailureClass.OUT_OF_MEMORY, _sentence("killed for its memory", pod.message)
    if pod.exit_code == 0:
        what = (
            f"the marker is not valid: {reading.message}"
            if reading.state is MarkerState.INVALID
            else "no success.json at the output location"
        )
        return FailureClass.MARKER_MISSING, f"exit 0, but {what}"
    said = _sentence(f"exit {pod.exit_code}", pod.message)
    if pod.exit_code == EXIT_TERMINAL:
        return FailureClass.TERMINAL, said
    return FailureClass.RETRYABLE, said


def _sentence(what: str, detail: str) -> str:
    detail = detail.strip()
    return f"{what}: {detail}" if detail else what
