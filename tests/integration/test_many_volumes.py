"""38,836 volumes as one Job, on nodes that are not there."""

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bec_ops.contract.s3.store import Store
from tests.cluster import Cluster, Parts
from tests.scale.fleet import fleet
from tests.scale.lists import volume_list
from tests.support.kube import Kube
from tests.support.operator_process import Operator
from tests.support.space import s3_client
from tests.support.waiting import until

pytestmark = pytest.mark.alone

log = logging.getLogger(__name__)

ROOT = Path(__file__).parents[2]
JOBS = "/apis/bec.bdrc.io/v1alpha1/namespaces/default/jobs"
TASKS = "/apis/bec.bdrc.io/v1alpha1/namespaces/default/volumetasks"
PODS = "/api/v1/namespaces/default/pods"
TOTAL = 38_836
WINDOW = 500
UNSAVED = 500  # results that the ledger may not have yet, at most

JOB = {
    "apiVersion": "bec.bdrc.io/v1alpha1",
    "kind": "Job",
    "metadata": {"name": "lines", "namespace": "default"},
    "spec": {
        "volumes": {"manifest": {"uri": "s3://bec/lists/ldv1-volumes.csv"}},
        "worker": {
            "template": {
                "spec": {
                    "containers": [{"name": "worker", "image": "none"}],
                    "tolerations": [{"operator": "Exists"}],
                }
            }
        },
        "output": {"bucket": "bec"},
        "parallelism": WINDOW,
        "history": {"succeeded": 0, "failed": 0},
    },
}


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    with Cluster.start(f"many-{os.getpid()}", Parts.KWOK) as running:
        running.add_fake_nodes(2)
        running.kubectl("apply", "-f", str(ROOT / "crds"))
        for name, value in running.environment().items():
            monkeypatch.setenv(name, value)
        yield running


class Window:
    """Looks at the cluster again and again, and keeps the most that it has seen."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.tasks = 0
        self.live_pods = 0

    def __enter__(self) -> "Window":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.5):
            self.tasks = max(self.tasks, len(self._kube.items(TASKS)))
            pods = self._kube.items(PODS)
            live = [p for p in pods if p["status"]["phase"] in {"Pending", "Running"}]
            self.live_pods = max(self.live_pods, len(live))


def _counts(kube: Kube) -> dict[str, int]:
    counts: dict[str, int] = kube.get(f"{JOBS}/lines").get("status", {}).get("counts", {})
    return counts


def test_one_job_over_all_volumes(cluster: Cluster, tmp_path: Path) -> None:
    """kueue#4266, kubernetes#95492, #124680, flyte#4349, flamenco#104201: the window is bounded."""
    kube = Kube(cluster.kubeconfig)
    store = Store()
    s3_client(cluster.s3).create_bucket(Bucket="bec")  # the operator never makes one
    store.put("bec", "lists/ldv1-volumes.csv", volume_list("ldv1-volumes.csv"))
    with (
        fleet(cluster, tmp_path / "fleet.log"),
        Operator(cluster.kubeconfig, cluster.s3, tmp_path / "operator.log") as operator,
    ):
        kube.create(JOBS, JOB)
        _timed(lambda: _counts(kube).get("total") == TOTAL, "the total is right")

        with Window(kube) as window:
            until(lambda: _counts(kube)["succeeded"] > 1000, "a thousand are done", timeout=240)
            operator.kill()
            started = _starts(kube)
            operator.start()
            _timed(lambda: bool(_starts(kube) - started), "new pods after the restart")
            before = _counts(kube)["succeeded"]
            until(lambda: _counts(kube)["succeeded"] > before + 500, "it goes on", timeout=240)

        counts = _counts(kube)
        parts = ("waiting", "queued", "running", "retrying", "succeeded", "failed", "skipped")
        assert sum(counts[part] for part in parts) == TOTAL
        assert counts["failed"] == counts["retrying"] == 0
        assert window.live_pods <= WINDOW
        assert window.tasks <= WINDOW + UNSAVED
        assert len(json.dumps(kube.get(f"{JOBS}/lines"))) < 20_000
        assert _ledger_size(kube) < 60_000


def _timed(look: Callable[[], bool], what: str) -> None:
    """Wait for what should take less than ten seconds; how long it took is for people to read."""
    began = time.monotonic()
    until(look, what, timeout=60)
    log.info("%s: %.1f s", what, time.monotonic() - began)


def _starts(kube: Kube) -> set[str]:
    return {pod["metadata"]["uid"] for pod in kube.items(PODS)}


def _ledger_size(kube: Kube) -> int:
    return len(json.dumps(kube.get("/api/v1/namespaces/default/configmaps/lines-ledger")))
