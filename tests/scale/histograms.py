"""Quantiles of what a histogram of the operator has counted."""

import math
from collections import defaultdict

from prometheus_client.parser import text_string_to_metric_families

from tests.support.kube import Body


def quantiles(name: str, before: str, after: str) -> Body:
    """Return p50 and p99, in milliseconds, of what came between two readings of /metrics.

    Within a bucket what was counted is taken to lie evenly; all labels together.
    """
    counts = _between(name, before, after)
    return {f"p{share}_ms": _at(counts, share / 100) for share in (50, 99)}


def has_counted(name: str, before: str, after: str) -> bool:
    """Whether there is such a histogram, and it has counted something between two readings."""
    return max(_between(name, before, after).values(), default=0.0) > 0


def _between(name: str, before: str, after: str) -> dict[float, float]:
    earlier, later = _buckets(name, before), _buckets(name, after)
    return {edge: later[edge] - earlier.get(edge, 0.0) for edge in later}


def _buckets(name: str, metrics: str) -> dict[float, float]:
    """Return how many values were at most so large, by the edge of the bucket."""
    found: defaultdict[float, float] = defaultdict(float)
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples:
            if sample.name == f"{name}_bucket":
                found[float(sample.labels["le"])] += sample.value
    return found


def _at(counts: dict[float, float], share: float) -> float:
    """Return the value below which this share of the counted values lies, in milliseconds."""
    total = max(counts.values())
    below, floor = 0.0, 0.0
    for edge, count in sorted(counts.items()):
        if count >= share * total and count > below:
            inside = (share * total - below) / (count - below)
            top = edge if math.isfinite(edge) else 2 * floor
            return round(1000 * (floor + inside * (top - floor)), 1)
        below, floor = count, edge
    raise AssertionError("nothing was counted")
