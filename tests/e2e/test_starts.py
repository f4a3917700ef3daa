"""Pods that cannot start on a real node: each cause is shown, named, and does not hold its slot."""

import pytest

from tests.e2e.plain import MINUTES, before, begin, last_failed, shell
from tests.e2e.site import Site, worker_pod
from tests.support.jobs import counts
from tests.support.kube import Body

START = {"start": "15s", "node": "15s"}

CAUSES: dict[str, tuple[Body, str, str]] = {
    # kubernetes#122300
    "bad-tag": ({"image": "registry.invalid/ocr:v9"}, "ImagePull", "ImagePull"),
    "no-secret": (
        {"envFrom": [{"secretRef": {"name": "not-there"}}]},
        "ContainerConfig",
        'secret "not-there" not found',
    ),
    # kueue#14041, cowait#243
    "no-node": (
        {"resources": {"requests": {"memory": "1Ti"}}},
        "Unschedulable",
        "Insufficient memory",
    ),
}


@pytest.mark.parametrize("cause", CAUSES)
def test_it_is_shown_and_then_given_up(shared_site: Site, cause: str) -> None:
    container, failure, said = CAUSES[cause]
    pod = worker_pod(["true"], **{"imagePullPolicy": "IfNotPresent", **container})
    job = begin(shared_site, cause, pod, timeouts=START)
    assert said in job.wait_stalled(failure, timeout=MINUTES)
    ended = last_failed(shared_site, job)
    assert ended["failure"] == failure
    assert said in ended["message"]
    job.delete()


def test_a_command_that_is_not_there_fails_at_once(shared_site: Site) -> None:
    job = begin(shared_site, "no-command", worker_pod(["/no/such/program"]))
    found = job.wait_phase("Complete", timeout=2 * MINUTES)
    assert counts(found) == {"total": 1, "failed": 1}
    ended = last_failed(shared_site, job)
    assert ended["failure"] == "ContainerConfig"
    assert "/no/such/program" in ended["message"]


def test_a_start_that_takes_too_long(shared_site: Site) -> None:
    """An init container that never ends holds up the worker no longer than allowed."""
    job = begin(shared_site, "slow", before(shell("true"), "sleep 3600"), timeouts=START)
    found = job.wait_phase("Complete", timeout=2 * MINUTES)
    assert counts(found) == {"total": 1, "failed": 1}
    assert last_failed(shared_site, job)["failure"] == "StartTimeout"
