"""Pods that cannot start on a real node: each cause is shown, named, and does not hold its slot."""

import pytest

from tests.cluster.images import image_ref
from tests.e2e.site import Site, worker_pod
from tests.support.jobs import LiveJob, counts, numbered
from tests.support.kube import Body
from tests.support.waiting import until

MINUTES = 60.0
START = {"start": "15s", "node": "15s"}


def begin(site: Site, name: str, pod: Body) -> LiveJob:
    """Apply a Job of one volume whose pods are like this."""
    worker = {"template": {"spec": pod}}
    job_id = f"{site.namespace}-{name}"
    limits = {"timeouts": START, "retry": {"limit": 1}, "maxFailed": "100%"}
    return site.apply(name, job_id, numbered(1), worker, **limits)


def last_attempt(site: Site, job: LiveJob) -> Body:
    """Return how the last attempt at the volume of a Job has failed, once one has."""

    def look() -> Body | None:
        (task,) = [task for task in site.tasks() if task["spec"]["job"] == job.name]
        ended = [a for a in task.get("status", {}).get("attempts", []) if a.get("failure")]
        return ended[-1] if ended else None

    job.wait_counts(total=1, timeout=MINUTES)
    return until(look, f"an attempt of {job.name} fails", timeout=2 * MINUTES) or {}


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
    job = begin(shared_site, cause, pod)
    assert said in job.wait_stalled(failure, timeout=MINUTES)
    ended = last_attempt(shared_site, job)
    assert ended["failure"] == failure
    assert said in ended["message"]
    job.delete()


def test_a_command_that_is_not_there_fails_at_once(shared_site: Site) -> None:
    job = begin(shared_site, "no-command", worker_pod(["/no/such/program"]))
    found = job.wait_phase("Complete", timeout=2 * MINUTES)
    assert counts(found) == {"total": 1, "failed": 1}
    ended = last_attempt(shared_site, job)
    assert ended["failure"] == "ContainerConfig"
    assert "/no/such/program" in ended["message"]


def test_a_start_that_takes_too_long(shared_site: Site) -> None:
    """An init container that never ends holds up the worker no longer than allowed."""
    pod = worker_pod(["true"])
    first = {"name": "first", "image": image_ref("worker"), "imagePullPolicy": "Never"}
    pod["initContainers"] = [{**first, "command": ["sleep", "3600"]}]
    job = begin(shared_site, "slow", pod)
    found = job.wait_phase("Complete", timeout=2 * MINUTES)
    assert counts(found) == {"total": 1, "failed": 1}
    assert last_attempt(shared_site, job)["failure"] == "StartTimeout"
