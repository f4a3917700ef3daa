"""The failure classes: what an attempt that did not succeed is called, and what follows."""

from dataclasses import dataclass
from enum import IntEnum

from bec_ops.exit_codes import ExitCode


class FailureClass(IntEnum):
    """Why an attempt ended without a valid marker. The number is its code in the ledger."""

    RETRYABLE = 1
    TERMINAL = 2
    MARKER_MISSING = 3
    OUT_OF_MEMORY = 4
    DISRUPTED = 5
    INTERRUPTED = 6
    SILENT = 7
    STUCK = 8
    TOO_LONG = 9
    MISCONFIGURED = 10

    @property
    def label(self) -> str:
        """The name that people see."""
        return "".join(part.capitalize() for part in self.name.split("_"))


@dataclass(frozen=True, slots=True)
class Rule:
    """What follows from a failure class."""

    final: bool = False  # no further attempt
    free: bool = False  # takes nothing from retry.limit
    capped: bool = False  # and yet does not happen for ever
    meaning: str = ""


RULES: dict[FailureClass, Rule] = {
    FailureClass.RETRYABLE: Rule(meaning="the worker ended with an error"),
    FailureClass.TERMINAL: Rule(final=True, meaning="the worker says that no retry can help"),
    FailureClass.MARKER_MISSING: Rule(meaning="the worker ended well but left no valid marker"),
    FailureClass.OUT_OF_MEMORY: Rule(meaning="the container was killed for its memory"),
    FailureClass.DISRUPTED: Rule(free=True, capped=True, meaning="the pod was taken away"),
    FailureClass.INTERRUPTED: Rule(
        free=True, capped=True, meaning="the worker was told to stop, and stopped"
    ),
    FailureClass.SILENT: Rule(meaning="no sign of life for timeouts.heartbeat"),
    FailureClass.STUCK: Rule(meaning="signs of life, but no progress for timeouts.progress"),
    FailureClass.TOO_LONG: Rule(meaning="it ran longer than timeouts.task"),
    FailureClass.MISCONFIGURED: Rule(
        free=True, meaning="the worker says that the job is set up wrongly: nothing is launched"
    ),
}

EXIT_CLASSES: dict[int, FailureClass] = {
    ExitCode.USAGE: FailureClass.MISCONFIGURED,
    ExitCode.TERMINAL: FailureClass.TERMINAL,
    ExitCode.RETRYABLE: FailureClass.RETRYABLE,
    ExitCode.MISCONFIGURED: FailureClass.MISCONFIGURED,
    ExitCode.INTERRUPTED: FailureClass.INTERRUPTED,
}
"""What an exit code says, whatever the worker has told besides."""
MAX_DISRUPTIONS = 20


def class_of(label: str) -> FailureClass:
    """Return the class that `label` names; one that this version does not know is retryable."""
    return _BY_LABEL.get(label, FailureClass.RETRYABLE)


_BY_LABEL = {member.label: member for member in FailureClass}


def is_final(failures: list[FailureClass], limit: int) -> bool:
    """Return whether a task whose attempts failed like this gets no further attempt.

    `failures` is in the order of the attempts, `limit` is `retry.limit`.
    """
    if not failures:
        return False
    counted = sum(not RULES[f].free for f in failures)
    disruptions = sum(RULES[f].capped for f in failures)
    return RULES[failures[-1]].final or counted >= limit or disruptions >= MAX_DISRUPTIONS
