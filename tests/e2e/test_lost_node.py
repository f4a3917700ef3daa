"""The only node that takes pods goes silent in mid-volume, and comes back."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from examples.deploy import OPERATOR_NAMESPACE
from tests.cluster import Cluster
from tests.e2e.acts import signal_worker
from tests.e2e.site import SUCCEED, Site
from tests.e2e.warm import begin_one
from tests.support.jobs import counts
from tests.support.kube import Body, Kube
from tests.support.node import PlayedNode
from tests.support.waiting import until

MINUTES = 60.0
LOST_SECONDS = "BEC_OPERATOR_NODE_LOST_SECONDS"
IMPATIENT = [
    {"key": f"node.kubernetes.io/{what}", "operator": "Exists", "effect": "NoExecute",
     "tolerationSeconds": 5}
    for what in ("not-ready", "unreachable")
]  # fmt: skip
FIRST_HANGS = "while task.attempt == 1: time.sleep(0.1)" + SUCCEED


@contextmanager
def nodes_lost_after(seconds: int, cluster: Cluster) -> Iterator[None]:
    """Let the operator call a node lost after so many seconds."""
    _set_variable(cluster, f"{LOST_SECONDS}={seconds}")
    try:
        yield
    finally:
        _set_variable(cluster, f"{LOST_SECONDS}-")


def _set_variable(cluster: Cluster, change: str) -> None:
    where = ("-n", OPERATOR_NAMESPACE)
    cluster.kubectl(*where, "set", "env", "deployment/bec-operator", change)
    cluster.kubectl(*where, "rollout", "status", "deployment/bec-operator", "--timeout=120s")


@contextmanager
def kubelet_away(cluster: Cluster) -> Iterator[None]:
    """Stop the kubelet; containers run on.

    Another node, with room for nothing, is there meanwhile: where none at all is heard of,
    Kubernetes takes it for its own fault, and ends no pod.
    """
    cluster.processes["kubelet"].stop()
    try:
        with PlayedNode(Kube(cluster.kubeconfig), "beside"):
            yield
    finally:
        cluster.processes["kubelet"].restart()
        ready = ("--for=condition=Ready", "--timeout=120s")
        cluster.kubectl("wait", f"node/{cluster.site.name}", *ready)


def test_what_ran_on_a_lost_node_is_tried_again(site: Site) -> None:
    """`jobset#576`, `tekton#7218`: the one attempt that is allowed is not used up by it."""
    with nodes_lost_after(10, site.cluster):
        work = site.run(FIRST_HANGS, 1, pod={"tolerations": IMPATIENT}, retry={"limit": 1})
        until(lambda: site.runs() == {"I0": 1}, "the worker runs", 2 * MINUTES)
        (old,) = site.pods()
        with kubelet_away(site.cluster):
            until(lambda: _failures(site)[:1] == ["NodeLost"], "it is given up", 4 * MINUTES)
            until(lambda: _new_pods(site, old), "the next attempt waits for a node", MINUTES)
            assert _runs(old), "there is no zombie"
        found = work.wait_complete(4 * MINUTES)
    assert counts(found) == {"total": 1, "succeeded": 1}
    assert _failures(site) == ["NodeLost", ""]
    (task,) = site.tasks()
    first, second = task["status"]["attempts"]
    assert first["node"] == second["node"] == site.cluster.site.name
    assert first["message"].startswith(f"the node {first['node']} is lost: not Ready for ")
    until(lambda: not _runs(old), "the node has ended the zombie", MINUTES)
    assert site.attempts() == {("I0", "1"): 1, ("I0", "2"): 1}


def test_the_volume_of_a_silent_worker_on_a_lost_node_is_tried_again(site: Site) -> None:
    """A worker of a pool has hours to end where its node is well, and not where it is lost."""
    with nodes_lost_after(10, site.cluster):
        acts, pool = begin_one(site, "lost", pod={"tolerations": IMPATIENT}, retry={"limit": 1})
        (old,) = pool.staying()
        signal_worker(old["metadata"]["uid"], signal.SIGSTOP)
        with kubelet_away(site.cluster):
            until(lambda: _failures(site)[:1] == ["NodeLost"], "it is given up", 4 * MINUTES)
            until(lambda: _new_pods(site, old), "another worker waits for a node", 2 * MINUTES)
        assert counts(acts.job.wait_complete(4 * MINUTES)) == {"total": 1, "succeeded": 1}
    first, second = acts.attempts("lost")
    assert first["podUid"] == old["metadata"]["uid"] != second["podUid"]
    until(lambda: not _runs(old), "the node has ended the silent one", MINUTES)


def _failures(site: Site) -> list[str]:
    (task,) = site.tasks()
    return [a.get("failure", "") for a in task.get("status", {}).get("attempts", [])]


def _new_pods(site: Site, old: Body) -> list[Body]:
    return [pod for pod in site.pods() if pod["metadata"]["uid"] != old["metadata"]["uid"]]


def _runs(pod: Body) -> bool:
    """Whether a process of a pod's worker runs on this machine, whatever the API server says."""
    return any(
        (process.info["environ"] or {}).get("BEC_POD_UID") == pod["metadata"]["uid"]
        for process in psutil.process_iter(["environ"])
    )
