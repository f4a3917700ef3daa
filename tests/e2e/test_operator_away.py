"""The operator goes in mid-run and comes back: workers go on, nothing is lost, reports arrive."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from bec_operator.act.ground.api_server import core
from examples.deploy import OPERATOR_NAMESPACE
from tests.e2e.acts import MINUTES, Acts
from tests.e2e.site import Site
from tests.support.jobs import counts
from tests.support.waiting import throughout, until

AWAY = 30.0
"""Seconds, longer than the Job's `timeouts.heartbeat`."""


@contextmanager
def operator_away(site: Site) -> Iterator[None]:
    """Scale the operator to 0, and bring it back."""
    where = ("-n", OPERATOR_NAMESPACE)
    deployment = "deployment/bec-operator"
    pods = core(OPERATOR_NAMESPACE, "pods")
    site.cluster.kubectl(*where, "scale", deployment, "--replicas=0")
    try:
        until(lambda: not site.kube.items(pods), "the operator is gone", MINUTES)
        yield
    finally:
        site.cluster.kubectl(*where, "scale", deployment, "--replicas=1")
        site.cluster.kubectl(*where, "rollout", "status", deployment)


def test_workers_go_on_and_nothing_is_lost(site: Site) -> None:
    at_once = ("stays", "finishes", "broken")
    acts = Acts.begin(site, "work", *at_once, "late", parallelism=3, timeouts={"heartbeat": "10s"})
    acts.wait_at_work(*at_once)

    with operator_away(site):
        acts.let_go("finishes", "broken", "late")
        until(lambda: acts.is_done("finishes"), "its marker is written", MINUTES)
        until(lambda: acts.pod_phase("broken") == "Failed", "it has failed", MINUTES)
        throughout(AWAY, lambda: acts.pod_phase("stays") == "Running", "the worker goes on")
        back = datetime.now(UTC)

    until(lambda: acts.last_heard("stays") > back, "its heartbeats arrive again", MINUTES)
    (failed, _) = acts.wait_ended("broken", "Succeeded")
    assert (failed["failure"], failed["message"]) == (
        "Retryable",
        "ValueError: page 7 is upside down",
    )
    acts.let_go("stays")
    assert counts(acts.job.wait_complete(2 * MINUTES)) == {"total": 4, "succeeded": 4}
    for i_id in ("stays", "finishes", "late"):
        assert len(acts.attempts(i_id)) == 1
