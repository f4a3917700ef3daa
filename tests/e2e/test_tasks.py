"""Tasks in real containers: what ends well, what does not, and what is taken away."""

from functools import partial

from bec_operator.act.ground.api_server import core
from examples.deploy import OPERATOR_NAMESPACE
from tests.e2e.site import SUCCEED, Site
from tests.support.jobs import counts
from tests.support.kube import Body
from tests.support.waiting import until

MINUTES = 60.0


def _running(site: Site) -> list[Body]:
    return [pod for pod in site.pods() if pod["status"]["phase"] == "Running"]


def _phases(site: Site) -> list[str]:
    return [pod["status"]["phase"] for pod in site.pods()]


def _failures(task: Body) -> list[str]:
    return [attempt.get("failure", "") for attempt in task["status"]["attempts"]]


def test_exit_0_without_a_marker_is_a_failure(site: Site) -> None:
    """tekton#6145, argo-workflows#4080: no valid marker, no success."""
    found = site.run("", 1, retry={"limit": 2}, maxFailed="100%").wait_phase(
        "Complete", timeout=2 * MINUTES
    )
    assert counts(found) == {"total": 1, "failed": 1}
    (task,) = site.tasks()
    assert task["status"]["phase"] == "Failed"
    assert _failures(task) == ["MarkerMissing", "MarkerMissing"]
    assert "no success.json" in task["status"]["message"]
    assert site.runs() == {"I0": 2}


def test_a_marker_that_stands_beats_a_failed_pod(site: Site) -> None:
    found = site.run(SUCCEED + "sys.exit(1)", 1).wait_complete(2 * MINUTES)
    assert counts(found) == {"total": 1, "succeeded": 1}
    assert site.runs() == {"I0": 1}
    until(lambda: _phases(site) == ["Failed"], "the kubelet calls the pod failed", timeout=MINUTES)


def test_the_end_of_its_log_is_in_the_message_of_a_failure(site: Site) -> None:
    script = "print('the page images are gone', file=sys.stderr); sys.exit(65)"
    site.run(script, 1, maxFailed="100%").wait_phase("Complete", timeout=2 * MINUTES)
    (task,) = site.tasks()
    assert _failures(task) == ["Terminal"]
    assert "the page images are gone" in task["status"]["message"]


def test_a_running_pod_deleted_by_hand(site: Site) -> None:
    """argo-workflows#893, #1414, #13951: a disruption, and the budget is untouched."""
    wait_for_go = "while task.attempt == 1: time.sleep(0.1)"
    work = site.run(wait_for_go + SUCCEED, 1, retry={"limit": 1})
    (pod,) = until(lambda: _running(site), "the pod runs", timeout=MINUTES)
    until(lambda: site.runs() == {"I0": 1}, "the worker runs", timeout=MINUTES)
    site.kube.delete(core(site.namespace, "pods", pod["metadata"]["name"]))
    found = work.wait_complete(2 * MINUTES)
    assert counts(found) == {"total": 1, "succeeded": 1}
    (task,) = site.tasks()
    assert _failures(task)[0] == "Disrupted"
    assert site.attempts() == {("I0", "1"): 1, ("I0", "2"): 1}


def test_the_operator_killed_in_mid_run(site: Site) -> None:
    volumes = 12
    work = site.run("time.sleep(2)" + SUCCEED, volumes, parallelism=3)
    for done in (2, 6):
        until(partial(_have_run, site, done), "some have run", timeout=2 * MINUTES)
        _kill_operator(site)
    found = work.wait_complete(4 * MINUTES)
    assert counts(found)["succeeded"] == volumes
    assert site.runs() == {f"I{number}": 1 for number in range(volumes)}


def _have_run(site: Site, more_than: int) -> bool:
    return len(site.runs()) > more_than


def _kill_operator(site: Site) -> None:
    """End its container with SIGKILL, and wait for the next one."""
    pods = core(OPERATOR_NAMESPACE, "pods")
    old = site.kube.items(pods)
    for pod in old:
        site.kube.delete(f"{pods}/{pod['metadata']['name']}", grace=0)
    gone = {pod["metadata"]["uid"] for pod in old}

    def ready() -> bool:
        return any(
            condition["type"] == "Ready" and condition["status"] == "True"
            for pod in site.kube.items(pods)
            if pod["metadata"]["uid"] not in gone
            for condition in pod["status"].get("conditions", [])
        )

    until(ready, "the operator is back", timeout=2 * MINUTES)


def test_a_namespace_goes_though_the_operator_is_gone(site: Site) -> None:
    site.run("time.sleep(3600)", 8, parallelism=4)
    until(lambda: len(_running(site)) == 4, "four pods run", timeout=2 * MINUTES)
    site.cluster.kubectl(
        "-n", OPERATOR_NAMESPACE, "scale", "deployment/bec-operator", "--replicas=0"
    )
    try:
        until(
            lambda: not site.kube.items(core(OPERATOR_NAMESPACE, "pods")),
            "the operator is gone",
            timeout=MINUTES,
        )
        site.cluster.kubectl("delete", "namespace", site.namespace, "--timeout=60s")
    finally:
        site.cluster.kubectl(
            "-n", OPERATOR_NAMESPACE, "scale", "deployment/bec-operator", "--replicas=1"
        )
        site.cluster.kubectl(
            "-n", OPERATOR_NAMESPACE, "rollout", "status", "deployment/bec-operator"
        )
