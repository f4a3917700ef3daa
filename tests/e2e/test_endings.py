"""Workers in mid-volume: what is seen of them, and what follows when something ends them."""

import signal
from datetime import UTC, datetime, timedelta

import pytest

from bec_operator.act.ground.api_server import core
from tests.e2e.acts import AT_WORK, MINUTES, Acts
from tests.e2e.site import Site
from tests.support.jobs import counts
from tests.support.waiting import until

IDS = ("waits", "killed", "broken", "terminated", "evicted")


@pytest.fixture(scope="module")
def acts(shared_site: Site) -> Acts:
    """One Job, one attempt a volume: whoever gets a second one has got it for free."""
    return Acts.begin(shared_site, "endings", *IDS, retry={"limit": 1})


def test_heartbeat_and_progress_are_seen(acts: Acts, shared_site: Site) -> None:
    acts.wait_at_work("waits")
    assert acts.heartbeat("waits")["status"] == "True"
    assert datetime.now(UTC) - acts.last_heard("waits") < timedelta(minutes=2)
    until(lambda: acts.status("waits").get("progress") == AT_WORK, "it is recorded", MINUTES)
    listed = shared_site.cluster.kubectl("-n", shared_site.namespace, "get", "vt")
    assert AT_WORK in next(line for line in listed.splitlines() if "waits" in line)
    acts.let_go("waits")
    (attempt,) = acts.wait_ended("waits", "Succeeded")
    assert attempt["failure"] == ""
    acts.check_log("waits", 1, "attempt 1 at W1/waits@v1, 300 dpi")


def test_the_log_of_a_killed_worker_is_taken_from_its_node(acts: Acts) -> None:
    acts.wait_at_work("killed")
    acts.signal("killed", signal.SIGKILL)
    (attempt,) = acts.wait_ended("killed", "Failed")
    assert (attempt["failure"], attempt["exitCode"]) == ("Retryable", 137)
    acts.check_log("killed", 1, "attempt 1 at W1/killed@v1, 300 dpi")


def test_the_log_of_an_exception_is_written_by_the_worker(acts: Acts) -> None:
    acts.let_go("broken")
    (attempt,) = acts.wait_ended("broken", "Failed")
    assert (attempt["failure"], attempt["exitCode"]) == ("Retryable", 75)
    assert attempt["message"] == "ValueError: page 7 is upside down"
    acts.check_log("broken", 1, "attempt 1 at W1/broken@v1", "Traceback", "page 7 is upside down")


def test_a_worker_that_gets_sigterm_stops_well_and_is_tried_again_for_free(acts: Acts) -> None:
    acts.wait_at_work("terminated")
    acts.signal("terminated", signal.SIGTERM)
    first, _ = acts.wait_ended("terminated", "Succeeded")
    assert (first["failure"], first["exitCode"]) == ("Interrupted", 143)
    assert first["message"] == "got SIGTERM"
    acts.check_log("terminated", 1, "Interrupted: got SIGTERM")


def test_an_evicted_pod_stops_well_and_is_tried_again_for_free(
    acts: Acts, shared_site: Site
) -> None:
    acts.wait_at_work("evicted")
    pods, name = core(shared_site.namespace, "pods"), acts.pod("evicted")["metadata"]["name"]
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    shared_site.kube.create(f"{pods}/{name}/eviction", eviction)
    first, _ = acts.wait_ended("evicted", "Succeeded")
    assert first["failure"] == "Disrupted"
    # Its node tells it by SIGTERM, and the answer to its next heartbeat does: one of them is first.
    acts.check_log("evicted", 1, "attempt 1 at W1/evicted@v1", "Interrupted: ")


def test_all_are_counted(acts: Acts) -> None:
    acts.let_go(*IDS)
    assert counts(acts.job.wait_complete(2 * MINUTES)) == {
        "total": 5,
        "succeeded": 3,
        "failed": 2,
    }
