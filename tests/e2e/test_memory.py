"""Workers that run out of memory: the class says so, and the next attempt gets more."""

from tests.e2e.site import Site, worker_pod
from tests.support.jobs import counts, numbered

MINUTES = 60.0
GREEDY = "x = bytearray(200_000_000)"
MARK = (
    "from bec_ops.store import Store; from bec_ops.contract.task import Task; "
    "t = Task.from_environment(); "
    "Store().put(t.bucket, t.prefix + 'success.json', t.marker().dump())"
)
RETRY = {"limit": 2, "backoff": {"initial": "1s"}, "outOfMemory": {"factor": 4}}


def test_the_only_process_is_killed(site: Site) -> None:
    """`argo-workflows#13373`, `prefect#21022`."""
    _check_it_gets_more(site, "python", "-c", f"{GREEDY}; {MARK}")


def test_a_child_process_is_killed(site: Site) -> None:
    """`argo-workflows#13373`, `prefect#21022`: the container itself ends like any other."""
    _check_it_gets_more(site, "bec-worker", "exec", "--", "python", "-c", GREEDY)


def _check_it_gets_more(site: Site, *command: str) -> None:
    pod = worker_pod([*command], resources={"limits": {"memory": "128Mi"}})
    worker = {"template": {"spec": pod}}
    job = site.apply("greedy", site.namespace, numbered(1), worker, retry=RETRY)
    assert counts(job.wait_complete(2 * MINUTES)) == {"total": 1, "succeeded": 1}
    (task,) = site.tasks()
    first, second = task["status"]["attempts"]
    assert (first["failure"], second["failure"]) == ("OutOfMemory", "")
    (last,) = (pod for pod in site.pods() if pod["metadata"]["name"] == second["pod"])
    assert last["spec"]["containers"][0]["resources"]["limits"] == {"memory": "512Mi"}
