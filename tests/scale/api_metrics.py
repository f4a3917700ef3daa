"""Requests as the API server itself counts them, by verb and resource."""

from collections import Counter

from prometheus_client.parser import text_string_to_metric_families

from tests.cluster import Cluster

Requests = Counter[tuple[str, str]]
_METRIC = "apiserver_request_total"


def requests(cluster: Cluster) -> Requests:
    """Return all requests so far by (verb, resource); resources with their subresource."""
    found: Requests = Counter()
    for family in text_string_to_metric_families(cluster.kubectl("get", "--raw", "/metrics")):
        for sample in family.samples:
            if sample.name == _METRIC:
                labels = sample.labels
                resource = "/".join(filter(None, (labels["resource"], labels["subresource"])))
                found[labels["verb"], resource] += int(sample.value)
    return found


def per_task(before: Requests, after: Requests, tasks: int) -> dict[str, float]:
    """Return requests a task, the most frequent first; what is below a hundredth is left out."""
    spent = after - before
    rates = {f"{verb} {what}": count / tasks for (verb, what), count in spent.most_common()}
    return {name: round(rate, 2) for name, rate in rates.items() if rate >= 0.01}
