"""`bec-worker exec` and the processes of a program: what they say, and what they leave dead."""

from collections import Counter

from bec_ops.contract.volume import Volume
from tests.e2e.plain import MINUTES, attempts, failures
from tests.e2e.site import Site, worker_pod
from tests.support.jobs import LiveJob, counts, numbered
from tests.support.kube import Body
from tests.support.waiting import until

VOLUMES, LEFT = 20, 30


def begin(site: Site, name: str, script: str, volumes: list[Volume], **spec: Body) -> LiveJob:
    """Apply a Job whose program is a shell script; one attempt a volume."""
    pod = worker_pod(["bec-worker", "exec", "--", "sh", "-c", script])
    worker = {"template": {"spec": pod}}
    return site.apply(name, site.namespace, volumes, worker, retry={"limit": 1}, **spec)


def test_a_bar_of_progress_is_seen(site: Site) -> None:
    """`argoproj/argo-workflows#7671`, `kubeflow/pipelines#9593`: lines end in carriage returns."""
    script = (
        r"printf 'bec-progress 1/3 pages\rbec-progress 2/3 pages\r'; "
        "until test -e /tmp/go; do sleep 0.1; done; printf 'bec-progress 3/3 pages'"
    )
    job = begin(site, "bar", script, numbered(1))

    def progress() -> str:
        return "".join(task.get("status", {}).get("progress", "") for task in site.tasks())

    until(lambda: progress() == "2/3 pages", "it is seen", 2 * MINUTES)
    (pod,) = site.pods()
    name = pod["metadata"]["name"]
    site.cluster.kubectl("-n", site.namespace, "exec", name, "--", "touch", "/tmp/go")  # noqa: S108
    assert counts(job.wait_complete(2 * MINUTES)) == {"total": 1, "succeeded": 1}


def test_what_programs_leave_dead_is_buried(site: Site) -> None:
    """`PikoCI/pikoci#681`: a worker of a pool outlives more processes than its pod may have."""
    orphans = f"sh -c 'for n in $(seq {LEFT}); do sh -c \"sleep 0.05 &\"; done'"
    pool: Body = {"maxWorkers": 1, "idle": "5s"}
    volumes = numbered(VOLUMES)
    script = f"{orphans}; echo 1 > $BEC_OUTPUT_DIR/1.txt"
    job = begin(site, "orphans", script, volumes, pool=pool)
    done = job.wait_complete(5 * MINUTES)
    assert counts(done) == {"total": VOLUMES, "succeeded": VOLUMES}
    assert not failures(site, job)
    listed = attempts(site, job).values()
    assert len(Counter(attempt["podUid"] for each in listed for attempt in each)) == 1
