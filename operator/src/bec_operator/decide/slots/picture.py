"""One picture of all jobs: what each has and wants of the pods that there may be.

A round of the reconciler takes one, and grants from that; what a job begins is in it at once.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from bec_operator.decide.slots.shares import Demand, allowance

K = TypeVar("K", bound=Hashable)


@dataclass(slots=True)
class Picture(Generic[K]):
    """Demand and supply. `most` is how many pods all jobs may have together."""

    most: int
    demands: dict[K, Demand] = field(default_factory=dict)

    @classmethod
    def of(cls, demands: Mapping[K, Demand], max_pods: int, homeless: int) -> "Picture[K]":
        """Return the picture; `homeless` pods, whose job is gone, hold slots until they end."""
        return cls(max_pods - homeless, dict(demands))

    def grant(self, key: K, demand: Demand) -> int:
        """Return how many pods a job may have that has and wants as much as is said now."""
        self.demands[key] = demand
        return allowance(self.demands, key, self.most)

    def offer(self, key: K, wants: int) -> int:
        """Return how many pods a job could have if it wanted so many: it is granted none."""
        demand = self.demands[key]
        more = replace(demand, wants=max(demand.wants, wants))
        return allowance({**self.demands, key: more}, key, self.most)

    def begin(self, key: K) -> Demand:
        """Take in that a job begins one more; return what it has and wants then."""
        demand = self.demands[key]
        self.demands[key] = replace(demand, holds=demand.holds + 1)
        return self.demands[key]
