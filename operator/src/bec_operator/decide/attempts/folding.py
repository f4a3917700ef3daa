"""Attempts that may come and go without end: what is on record of them must not grow with them."""

from collections.abc import Sequence

from bec_operator.api.volume_task import Attempt
from bec_operator.decide.sight.failures import RULES, class_of

KEPT = 10  # attempts, the last ones, that are never folded


def fold(attempts: Sequence[Attempt]) -> list[Attempt]:
    """Return the attempts with those of the past put together that cost nothing and have no cap.

    Of each such class the last one of these stays, and says for how many others it stands. A task
    that no node takes has one every few minutes for weeks, and etcd takes 1.5 MB.
    """
    old, recent = attempts[:-KEPT], attempts[-KEPT:]
    kept: dict[int | str, Attempt] = {}
    for attempt in old:
        rule, key = RULES[class_of(attempt.failure)], attempt.failure
        if not rule.free or rule.capped:
            kept[attempt.number] = attempt
            continue
        before = kept.pop(key, None)
        repeats = attempt.repeats + (before.repeats + 1 if before is not None else 0)
        kept[key] = attempt.model_copy(update={"repeats": repeats})
    return [*sorted(kept.values(), key=lambda attempt: attempt.number), *recent]
