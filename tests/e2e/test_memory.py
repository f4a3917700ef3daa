"""Workers that run out of memory: the class says so, and the next attempt gets more."""

import pytest

from tests.e2e.site import Site, worker_pod
from tests.support.jobs import counts, numbered

MINUTES = 60.0
GREEDY = "x = bytearray(200_000_000)"
MARK = (
    "from bec_ops.store import Store; from bec_ops.task import Task; t = Task.from_environment(); "
    "Store().put(t.bucket, t.prefix + 'success.json', t.marker().dump())"
)
COMMANDS = {
    "main process": ["python", "-c", f"{GREEDY}; {MARK}"],
    "child process": ["bec-worker", "exec", "--", "python", "-c", GREEDY],
}
RETRY = {"limit": 2, "backoff": {"initial": "1s"}, "outOfMemory": {"factor": 4}}


@pytest.mark.parametrize("which", COMMANDS)
def test_the_next_attempt_has_more_and_succeeds(site: Site, which: str) -> None:
    """`argo-workflows#13373`, `prefect#21022`."""
    pod = worker_pod(COMMANDS[which], resources={"limits": {"memory": "128Mi"}})
    worker = {"template": {"spec": pod}}
    job = site.apply("greedy", site.namespace, numbered(1), worker, retry=RETRY)
    assert counts(job.wait_complete(2 * MINUTES)) == {"total": 1, "succeeded": 1}
    (task,) = site.tasks()
    first, second = task["status"]["attempts"]
    assert (first["failure"], second["failure"]) == ("OutOfMemory", "")
    limits = [pod["spec"]["containers"][0]["resources"]["limits"] for pod in site.pods()]
    assert sorted(limit["memory"] for limit in limits) == ["128Mi", "512Mi"]
