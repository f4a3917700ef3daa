"""The conditions of a Job: how they are kept, and which reason speaks."""

from collections.abc import Mapping
from typing import Literal

from bec_operator.api.job import Condition, JobStatus


def conditions(
    wanted: Mapping[str, tuple[bool, str, str]], old: JobStatus, generation: int, now: str
) -> list[Condition]:
    """Return the conditions for `wanted` (true or false, reason, message).

    The moment of the last transition is kept where the truth did not change.
    """
    before = {condition.type: condition for condition in old.conditions}
    made: list[Condition] = []
    for kind, (true, reason, message) in wanted.items():
        status: Literal["True", "False"] = "True" if true else "False"
        last = before.get(kind)
        same = last is not None and last.status == status
        made.append(
            Condition(
                type=kind,
                status=status,
                reason=reason,
                message=message,
                last_transition_time=last.last_transition_time if last and same else now,
                observed_generation=generation,
            )
        )
    # What others keep there stays: a merge patch would replace the whole list.
    return made + [condition for condition in old.conditions if condition.type not in wanted]


def find(status: JobStatus, kind: str) -> Condition | None:
    """Return the condition of that kind."""
    return next((c for c in status.conditions if c.type == kind), None)
