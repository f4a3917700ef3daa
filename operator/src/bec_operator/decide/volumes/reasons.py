"""Why volumes failed or were skipped, with counts: the sentences in conditions and Events."""

from bec_operator.decide.sight.failures import RULES, FailureClass
from bec_operator.decide.volumes.ledger import Ledger, Outcome

INTERNAL_ERROR = "InternalError"
"""The reason of a stall that is a fault of the operator's own."""
TOLD = 5  # classes that are named; the others are counted together
_UNKNOWN = "Unknown"  # a class that a later version of the operator has written


def label_of(code: int) -> str:
    """Return the name of the class with this code in the ledger; empty where there is none."""
    if code == 0:
        return ""
    return FailureClass(code).label if code in RULES else _UNKNOWN


def meaning_of(code: int) -> str:
    """Return what the class with this code in the ledger means, as a sentence."""
    return RULES[FailureClass(code)].meaning if code in RULES else ""


def top_reasons(ledger: Ledger, outcome: Outcome) -> str:
    """Return the classes of all volumes of an outcome, such as `Terminal 2, OutOfMemory 1`.

    The most frequent come first; empty if no class is known.
    """
    counts = [(label_of(code), number) for code, number in ledger.classes(outcome).items() if code]
    counts.sort(key=lambda count: (-count[1], count[0]))
    others = sum(number for _, number in counts[TOLD:])
    named = [f"{label} {number}" for label, number in counts[:TOLD]]
    return ", ".join([*named, *([f"others {others}"] if others else [])])


def tell_unsuccessful(ledger: Ledger) -> str:
    """Return `3 failed: Terminal 2, OutOfMemory 1; 2 skipped`; empty if there are none."""
    parts = (_part(ledger, Outcome.FAILED, "failed"), _part(ledger, Outcome.SKIPPED, "skipped"))
    return "; ".join(filter(None, parts))


def failed_of_total(ledger: Ledger) -> str:
    """Return `3 of 6 volumes failed: Terminal 2, OutOfMemory 1`, and how many were skipped."""
    failed = _with_reasons(
        f"{ledger.count(Outcome.FAILED)} of {len(ledger)} volumes failed",
        top_reasons(ledger, Outcome.FAILED),
    )
    return "; ".join(filter(None, (failed, _part(ledger, Outcome.SKIPPED, "skipped"))))


def _part(ledger: Ledger, outcome: Outcome, what: str) -> str:
    number = ledger.count(outcome)
    return _with_reasons(f"{number} {what}", top_reasons(ledger, outcome)) if number else ""


def _with_reasons(sentence: str, reasons: str) -> str:
    return f"{sentence}: {reasons}" if reasons else sentence


def count_volumes(number: int) -> str:
    """Say how many volumes."""
    return "1 volume" if number == 1 else f"{number} volumes"
