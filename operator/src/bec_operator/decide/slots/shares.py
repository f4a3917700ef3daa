"""Fair shares: how many pods each job may have, when all want more than there may be."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Demand:
    """What a job has and wants, in pods. `wants` includes what it `holds`."""

    priority: int = 0
    holds: int = 0
    wants: int = 0


def shares(demands: Mapping[K, Demand], most: int) -> dict[K, int]:
    """Return how many pods each job should have of the `most` that there may be.

    A higher priority is served first, jobs of the same one evenly: what one does not want goes to
    the others. What does not divide goes to those who come first.
    """
    given: dict[K, int] = {}
    left = most
    for priority in sorted({demand.priority for demand in demands.values()}, reverse=True):
        equals = {key: d.wants for key, d in demands.items() if d.priority == priority}
        while equals:
            even, odd = divmod(left, len(equals))
            modest = {key: wants for key, wants in equals.items() if wants <= even}
            if not modest:
                for place, key in enumerate(equals):
                    given[key] = even + (place < odd)
                left = 0
                break
            given |= modest
            left -= sum(modest.values())
            equals = {key: wants for key, wants in equals.items() if key not in modest}
    return given


def allowance(demands: Mapping[K, Demand], key: K, most: int) -> int:
    """Return how many pods the job `key` may have now.

    Nobody's pods are taken away for it: it grows to its share as others' pods end.
    """
    free = most - sum(demand.holds for demand in demands.values())
    holds = demands[key].holds
    return min(shares(demands, most)[key], holds + max(free, 0))
