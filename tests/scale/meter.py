"""What an operator spends: processor time, memory, requests to the API server and to S3."""

from collections import Counter
from pathlib import Path

import psutil
from prometheus_client.parser import text_string_to_metric_families

from tests.cluster import Cluster
from tests.scale.api_metrics import per_task, requests
from tests.support.kube import Body
from tests.support.operator_process import Operator

_MB = 1024.0  # kB, as /proc counts


class Meter:
    """What has been spent since it was made."""

    def __init__(self, cluster: Cluster, operator: Operator) -> None:
        self._cluster, self._operator = cluster, operator
        self._cpu = cpu_seconds(operator.pid)
        self._own = _counters(operator.metrics())
        self._server = requests(cluster)

    def cpu_seconds(self) -> float:
        """Return the operator's processor time, user and system."""
        return cpu_seconds(self._operator.pid) - self._cpu

    def counts(self) -> tuple[Counter[str], Counter[str]]:
        """Return the operator's requests to the API server, and those to S3."""
        spent = _counters(self._operator.metrics()) - self._own
        found: tuple[Counter[str], Counter[str]] = Counter(), Counter()
        for (where, what), number in spent.items():
            found[where == "s3"][what] += number
        return found

    def per_task(self, tasks: int) -> Body:
        """Return what a task has cost of each kind of request, and the memory."""
        own, s3 = self.counts()
        return {
            "memory_peak_mb": peak_memory(self._operator.pid),
            "api_requests": round(own.total() / tasks, 2),
            "api_requests_by_kind": _rates(own, tasks),
            "s3_requests": round(s3.total() / tasks, 2),
            "s3_requests_by_kind": _rates(s3, tasks),
            "api_requests_of_all": per_task(self._server, requests(self._cluster), tasks),
        }


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has had, user and system."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def peak_memory(pid: int) -> int:
    """Return the most memory that a process has ever had, in MB."""
    return round(_memory(pid, "VmHWM"))


def memory_now(pid: int) -> int:
    """Return the memory that a process has, in MB."""
    return round(_memory(pid, "VmRSS"))


def _memory(pid: int, what: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{what}:"):
            return int(line.split()[1]) / _MB
    raise AssertionError(f"/proc/{pid}/status has no {what}")


def _counters(metrics: str) -> Counter[tuple[str, str]]:
    """Return the requests that an operator has counted: ("api" or "s3", what)."""
    found: Counter[tuple[str, str]] = Counter()
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples:
            labels = sample.labels
            if sample.name == "bec_api_requests_total":
                found["api", f"{labels['verb']} {labels['resource']}"] += int(sample.value)
            elif sample.name == "bec_s3_requests_total":
                found["s3", labels["operation"]] += int(sample.value)
    return found


def _rates(counts: Counter[str], tasks: int) -> dict[str, float]:
    rates = {what: round(number / tasks, 3) for what, number in counts.most_common()}
    return {what: rate for what, rate in rates.items() if rate >= 0.005}
