"""The failure classes: what an attempt that did not succeed is called, and what follows."""

from dataclasses import dataclass
from enum import IntEnum


class FailureClass(IntEnum):
    """Why an attempt ended without a valid marker. The number is its code in the ledger."""

    RETRYABLE = 1
    TERMINAL = 2
    MARKER_MISSING = 3
    OUT_OF_MEMORY = 4
    DISRUPTED = 5

    @property
    def label(self) -> str:
        """The name that people see."""
        return "".join(part.capitalize() for part in self.name.split("_"))


@dataclass(frozen=True, slots=True)
class Rule:
    """What follows from a failure class."""

    final: bool = False  # no further attempt
    free: bool = False  # takes nothing from retry.limit
    meaning: str = ""


RULES: dict[FailureClass, Rule] = {
    FailureClass.RETRYABLE: Rule(meaning="the worker ended with an error"),
    FailureClass.TERMINAL: Rule(final=True, meaning="the worker says that no retry can help"),
    FailureClass.MARKER_MISSING: Rule(meaning="the worker ended well but left no valid marker"),
    FailureClass.OUT_OF_MEMORY: Rule(meaning="the container was killed for its memory"),
    FailureClass.DISRUPTED: Rule(free=True, meaning="the pod was taken away"),
}

EXIT_TERMINAL = 65
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
    disruptions = len(failures) - counted
    return RULES[failures[-1]].final or counted >= limit or disruptions >= MAX_DISRUPTIONS
