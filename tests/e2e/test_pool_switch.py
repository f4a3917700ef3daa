"""The hand on the switch of a Job with warm workers, and a volume that needs more memory."""

from datetime import UTC, datetime

from bec_operator.api.names import TASK_LABEL
from tests.e2e.acts import MINUTES
from tests.e2e.site import Site, worker_pod
from tests.e2e.warm import begin_one
from tests.support.jobs import counts, numbered
from tests.support.waiting import until
from tests.support.warm_pool import WarmPool

ONE_DONE = {"total": 1, "succeeded": 1}


def test_a_stopped_job_takes_the_volume_from_its_worker(site: Site) -> None:
    """No worker is left meanwhile, and it costs no attempt."""
    acts, pool = begin_one(site, "held", retry={"limit": 1})
    acts.job.patch(suspend=True, suspendMode="Stop")
    until(pool.is_at_zero, "no worker is left", 2 * MINUTES)
    acts.job.patch(suspend=False)
    assert counts(acts.job.wait_complete(2 * MINUTES)) == ONE_DONE
    assert [attempt.get("failure", "") for attempt in acts.attempts("held")] == ["Stopped", ""]


def test_what_a_worker_has_is_done_anew(site: Site) -> None:
    acts, _ = begin_one(site, "anew", retry={"limit": 1})
    acts.job.patch(redoAt=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    assert counts(acts.job.wait_complete(2 * MINUTES)) == ONE_DONE
    assert [attempt.get("failure", "") for attempt in acts.attempts("anew")] == ["Stopped", ""]


def test_a_volume_that_needs_more_memory_gets_a_pod_of_its_own(site: Site) -> None:
    """`argo-workflows#13373`: and the worker that was killed for it starts again."""
    retry = {"limit": 2, "backoff": {"initial": "1s"}, "outOfMemory": {"factor": 4}}
    acts, pool = begin_one(site, "greedy", limits={"memory": "160Mi"}, retry=retry)
    assert counts(acts.job.wait_complete(2 * MINUTES)) == ONE_DONE
    first, second = acts.attempts("greedy")
    assert (first["failure"], second.get("failure", "")) == ("OutOfMemory", "")
    (last,) = (pod for pod in site.pods() if pod["metadata"]["uid"] == second["podUid"])
    assert last["metadata"]["labels"][TASK_LABEL] == acts.task("greedy")["metadata"]["name"]
    assert last["spec"]["containers"][0]["resources"]["limits"] == {"memory": "640Mi"}
    until(pool.is_gone, "the pool is gone", 2 * MINUTES)


def test_workers_that_end_before_any_volume_are_told_of(site: Site) -> None:
    """No attempt has failed, and without a word nobody would know why nothing happens."""
    template = {"spec": worker_pod(["python", "-c", "raise OSError('no CUDA device')"])}
    pool = {"maxWorkers": 2}
    live = site.apply("work", site.namespace, numbered(4), {"template": template}, pool=pool)
    assert "no CUDA device" in live.wait_stalled("CrashLoop", 3 * MINUTES)
    live.patch(suspend=True)
    until(WarmPool(site.kube, site.namespace).is_at_zero, "no worker is left", 2 * MINUTES)


def test_a_worker_that_is_stuck_on_its_way_out_is_found_out(site: Site) -> None:
    """Somebody has lowered `replicas`: it would have six hours."""
    acts, pool = begin_one(site, "stuck", retry={"limit": 1}, timeouts={"progress": "20s"})
    (worker,) = pool.staying()
    pool.scale(0)
    uid = worker["metadata"]["uid"]
    until(lambda: uid not in [pod["metadata"]["uid"] for pod in pool.staying()], "it is to go", 60)
    (attempt,) = acts.wait_ended("stuck", "Failed")
    assert (attempt["failure"], attempt["podUid"]) == ("Stuck", uid)
