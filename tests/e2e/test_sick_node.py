"""A node whose runtime is in trouble, and one that goes down under its pods and comes back."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from bec_operator.api.names import JOB_LABEL
from tests.cluster import Cluster, cgroups
from tests.cluster.process import Running, end, marked
from tests.e2e.plain import MINUTES, attempts, before, begin, failures
from tests.e2e.site import SUCCEED, Site, script_of
from tests.support.jobs import LiveJob, counts
from tests.support.kube import Body
from tests.support.waiting import until

LOOK = 0.05  # seconds
FIRST_HANGS = script_of("while task.attempt == 1: time.sleep(0.1)" + SUCCEED)


def test_a_runtime_in_trouble(site: Site) -> None:
    """`argo-workflows#941`, `flyte#1234`, `flyte#6786`: a full disk is not the template's fault."""
    pod = before(script_of(SUCCEED), "sleep 5")
    job = begin(site, "full", pod, timeouts={"start": "30s"}, retry={"limit": 3})
    until(lambda: _init_runs(site, job), "its init container runs", MINUTES)
    with no_room_for_containers(site.cluster):
        assert "no space left on device" in job.wait_stalled("RuntimeTrouble", MINUTES)
        until(lambda: failures(site, job), "it is given up", 2 * MINUTES)
    assert counts(job.wait_complete(4 * MINUTES)) == {"total": 1, "succeeded": 1}
    assert failures(site, job)[0] == "RuntimeTrouble"
    assert "no space left on device" in attempts(site, job)["I0"][0]["message"]


def test_what_ran_when_a_node_went_down_is_tried_again(site: Site) -> None:
    """`argo-workflows#11354`, `kubernetes#61051`: the only attempt is not used up by it."""
    work = begin(site, "work", FIRST_HANGS, volumes=2)
    name = [{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
    hangs = "case $POD in *-1) sleep 600;; esac"
    first = begin(site, "first", before(script_of(SUCCEED), hangs, env=name))
    until(lambda: _have_run(site, work) == 2, "two workers run", MINUTES)
    until(lambda: _init_runs(site, first), "an init container runs", MINUTES)
    power_cycle(site.cluster)
    assert counts(work.wait_complete(4 * MINUTES)) == {"total": 2, "succeeded": 2}
    assert failures(site, work) == ["Disrupted", "Disrupted"]
    assert "went down" in attempts(site, work)["I0"][0]["message"]
    first.wait_complete(4 * MINUTES)
    assert failures(site, first) == ["Disrupted"]


def _have_run(site: Site, job: LiveJob) -> int:
    return len(list(site.store.list_keys(site.bucket, f"runs/{job.namespace}-{job.name}/")))


def _init_runs(site: Site, job: LiveJob) -> bool:
    pods = [pod for pod in site.pods() if pod["metadata"]["labels"][JOB_LABEL] == job.name]
    return bool(pods) and all(_first_state(pod) == {"running"} for pod in pods)


def _first_state(pod: Body) -> set[str]:
    listed = pod["status"].get("initContainerStatuses") or [{"state": {}}]
    return set(listed[0]["state"])


@contextmanager
def no_room_for_containers(cluster: Cluster) -> Iterator[None]:
    """Let the place of the node's images be full: it is a file system of the cluster's own."""
    place = cluster.site.home / "containerd"
    before_it = os.statvfs(place).f_files
    over = threading.Event()

    def fill() -> None:
        while not over.wait(LOOK):  # containers that go make room
            seen = os.statvfs(place)
            _bound(place, seen.f_files - seen.f_ffree)

    filler = threading.Thread(target=fill)
    filler.start()
    try:
        yield
    finally:
        over.set()
        filler.join()
        assert _bound(place, before_it)


def _bound(place: Path, files: int) -> bool:
    """Allow so many files there; refused if there are more."""
    remount = ("mount", "-o", f"remount,nr_inodes={files}", str(place))
    return subprocess.run(remount, capture_output=True, check=False).returncode == 0


def power_cycle(cluster: Cluster) -> None:
    """End all that runs on the node at once, and start what a machine starts when it is booted."""
    kubelet, containerd = cluster.processes["kubelet"], cluster.processes["containerd"]
    kubelet.kill()
    containerd.kill()
    end(_shims(cluster), signal.SIGKILL, 20)
    while processes := cgroups.processes(cluster.site.system_name):
        end(processes, signal.SIGKILL, 20)
    containerd.restart()
    kubelet.restart()
    ready = ("--for=condition=Ready", "--timeout=120s")
    cluster.kubectl("wait", f"node/{cluster.site.name}", *ready)


def _shims(cluster: Cluster) -> list[Running]:
    """Find the processes that hold containers for the runtime."""
    return [
        running
        for running in marked(cluster.site.home)
        if "containerd-shim" in psutil.Process(running.pid).name()
    ]
