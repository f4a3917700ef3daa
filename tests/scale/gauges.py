"""What an operator shows of itself over time: a line each so many seconds.

Metrics that it does not have are left out.
"""

import statistics
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

from tests.scale.beats import Beats
from tests.scale.histograms import has_counted, quantiles
from tests.scale.meter import memory_now
from tests.support.operator_process import Operator

LAG, PASS, OLD_PASS = "bec_loop_lag_seconds", "bec_pass_seconds", "bec_decide_seconds"
_FEW = 10  # of so few calls there is no p99


@dataclass(frozen=True)
class Reading:
    """How it was between two looks; times in milliseconds, a p50 and a p99 each."""

    at: float
    memory_mb: int
    requests: float  # to the API server, a second
    calls: tuple[float, float] | None  # a worker's call answered in
    machine: tuple[float, float] | None  # how late the machine lets these workers run
    lag: tuple[float, float] | None  # of the event loop
    passes: tuple[float, float] | None  # over a job
    books: dict[str, float]  # what is remembered, by book
    phases: dict[str, int]  # Jobs by phase

    def __str__(self) -> str:
        """Return it as a line."""
        times = (
            ("lag", self.lag),
            ("call", self.calls),
            ("machine", self.machine),
            ("pass", self.passes),
        )
        parts = [f"{self.at:5.0f} s"]
        parts += [f"{name} {of[0]:.1f}/{of[1]:.1f} ms" for name, of in times if of is not None]
        parts += [f"{self.memory_mb} MB", f"{self.requests:.0f} requests/s"]
        parts.append(", ".join(f"{n} {phase}" for phase, n in sorted(self.phases.items())))
        if self.books:
            parts.append(" ".join(f"{book}={n:g}" for book, n in sorted(self.books.items()) if n))
        return " | ".join(parts)


@dataclass
class Gauges:
    """Looks at one operator, which may be restarted between two looks."""

    operator: Operator
    beats: Beats
    readings: list[Reading] = field(default_factory=list)
    took: list[float] = field(default_factory=list)  # of all calls so far, in milliseconds
    _began: float = field(default_factory=time.monotonic)
    _last: tuple[int, float, str] | None = None  # pid, moment and metrics of the last look

    def look(self, phases: Iterable[str]) -> Reading:
        """Read everything, and keep it; `phases` are those of the Jobs."""
        pid, now, metrics = self.operator.pid, time.monotonic(), self.operator.metrics()
        if self._last is None or self._last[0] != pid:
            since, before = self._began if self._last is None else self._last[1], ""
        else:
            since, before = self._last[1:]
        beats = self.beats.taken()
        took = [1000 * each.seconds for each in beats]
        self.took += took
        reading = Reading(
            at=now - self._began,
            memory_mb=memory_now(pid),
            requests=(requests_of(metrics) - requests_of(before)) / max(now - since, 0.001),
            calls=cuts(took),
            machine=cuts([1000 * each.late for each in beats]),
            lag=_quantiles(LAG, before, metrics) or _value(LAG, metrics),
            passes=_quantiles(PASS, before, metrics) or _quantiles(OLD_PASS, before, metrics),
            books=_books(metrics),
            phases=dict(Counter(phases)),
        )
        self._last = (pid, now, metrics)
        self.readings.append(reading)
        return reading


def cuts(values: list[float]) -> tuple[float, float] | None:
    """Return p50 and p99; None of a few values."""
    if len(values) < _FEW:
        return None
    parts = statistics.quantiles(values, n=100)
    return round(parts[49], 1), round(parts[98], 1)


def requests_of(metrics: str) -> float:
    """Return how many requests to the API server were counted."""
    return sum(_values("bec_api_requests_total", metrics))


def _quantiles(name: str, before: str, after: str) -> tuple[float, float] | None:
    if not has_counted(name, before, after):
        return None
    found = quantiles(name, before, after)
    return found["p50_ms"], found["p99_ms"]


def _value(name: str, metrics: str) -> tuple[float, float] | None:
    """Return a gauge in seconds as if it were a histogram of one value."""
    found = _values(name, metrics)
    return (1000 * found[0], 1000 * max(found)) if found else None


def _values(name: str, metrics: str) -> list[float]:
    families = text_string_to_metric_families(metrics)
    return [s.value for family in families for s in family.samples if s.name == name]


def _books(metrics: str) -> dict[str, float]:
    """Return the sizes of the operator's books, those of all jobs together."""
    found: Counter[str] = Counter()
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples:
            if sample.name == "bec_remembered":
                found[sample.labels["book"]] += int(sample.value)
    return dict(found)
