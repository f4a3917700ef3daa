"""One Job by all who may do volumes: pods, a pool, two machines, a grid client, and a hand."""

import json
import logging
import signal
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from bec_operator.act.ground.api_server import core
from bec_ops.contract.marker import Marker
from bec_ops.contract.volume import Volume
from tests.cluster import Cluster
from tests.e2e.acts import MINUTES
from tests.e2e.conftest import HEARTBEAT_SECONDS
from tests.e2e.site import Site, worker_pod
from tests.e2e.way_in import WayIn, open_doors, way_in
from tests.support.ddisp import NEW, Ddisp
from tests.support.jobs import LiveJob, counts, numbered
from tests.support.kube import Body
from tests.support.waiting import until
from tests.support.worker_runs import POD, Ended, WorkerRun, end_started, wait_done, wait_ended

log = logging.getLogger(__name__)

VOLUMES = numbered(40)
HANDLER = """
import pathlib, time
from bec_ops import worker

@worker.job("read")
def read(task):
    pathlib.Path("begun").touch() if pathlib.Path("here").exists() else None
    for _ in task.track(range(6)):
        time.sleep(0.25)
        while pathlib.Path("slow").exists():
            time.sleep(0.1)
    task.write("text.txt", task.volume.i_id)
"""
LOOP = Path(__file__).parents[2] / "examples/faces/data_dispatcher/worker.py"


@pytest.fixture
def way(cluster: Cluster, tmp_path: Path) -> Iterator[WayIn]:
    ca = open_doors(cluster, tmp_path, f"--set=worker.heartbeatSeconds={HEARTBEAT_SECONDS}")
    with way_in(cluster, ca) as way:
        yield way


@pytest.fixture(autouse=True)
def no_worker_is_left() -> Iterator[None]:
    yield
    end_started()


class Machine:
    """A machine that is not of the cluster, with a worker on it that has registered."""

    def __init__(self, site: Site, way: WayIn, token: str, folder: Path, name: str) -> None:
        none = dict.fromkeys((*POD, "BEC_WORKER_ID", "BEC_OPERATOR_URL"), "")
        s3 = {**site.cluster.s3.environment(), "AWS_DEFAULT_REGION": site.cluster.s3.region}
        self.run = WorkerRun(folder / name / "here", {**none, "HOME": str(folder / name), **s3})
        self.run.folder.mkdir(parents=True)
        (self.run.folder / "here").touch()
        (self.run.folder / "token").write_text(token)
        said = ("--url", way.url, "--ca", str(way.ca), "--name", name, "--token-file", "token")
        wait_done(self.run.start_command("register", *said))

    def start(self, job: str) -> "subprocess.Popen[str]":
        """Let it work until the Job is over."""
        return self.run.start_command("run", str(self.run.write(HANDLER)), "--job", job)

    def call(self, *arguments: str) -> Ended:
        """Run a command by hand."""
        return wait_ended(self.run.start_command(*arguments))


def begin(site: Site) -> LiveJob:
    """Apply the Job, whose volumes are done elsewhere at first, so that all come to their turn."""
    script = {"metadata": {"name": "read"}, "data": {"worker.py": HANDLER}}
    site.kube.create(core(site.namespace, "configmaps"), script)
    mounts = [{"name": "script", "mountPath": "/opt/worker"}]
    command = ["bec-worker", "run", "/opt/worker/worker.py"]
    template = worker_pod(command, 2, volumeMounts=mounts)
    template["volumes"] = [{"name": "script", "configMap": {"name": "read"}}]
    worker: Body = {"template": {"spec": template}, "handler": "read"}
    outside = {"allowed": True, "only": True, "marker": "OnDone", "lease": "10s"}
    history = {"succeeded": 100, "failed": 100}
    return site.apply(
        "all", site.namespace, VOLUMES, worker, outside=outside, history=history, parallelism=8
    )


def test_one_job_by_all_who_may(site: Site, way: WayIn, tmp_path: Path) -> None:
    token = way.enrol(site.namespace, site.namespace)
    one, two, hand = (Machine(site, way, token, tmp_path, n) for n in ("one", "two", "hand"))
    grid = Ddisp(NEW, way.data_dispatcher_url, tmp_path / "grid", way.ca)
    grid.home.mkdir()
    grid.log_in(site.namespace, token)
    job = f"{site.namespace}/all"
    (two.run.folder / "slow").touch()
    live = begin(site)

    killed, works = two.start(job), one.start(job)
    project = until(lambda: number_of(grid), "the grid sees the Job", MINUTES)
    loop = grid.start("python", str(LOOP), str(project), "grid", "sh", "-c", "sleep 1")
    given = hand.call("next", job, "--timeout", "60", "--json")
    assert given.code == 0, given
    until((two.run.folder / "begun").exists, "it has a volume", MINUTES)
    killed.send_signal(signal.SIGKILL)
    until(lambda: "/dd" in json.dumps(site.tasks()), "the grid has had a volume", 2 * MINUTES)
    live.patch(outside={"only": False})
    until(site.pods, "there is a pod", MINUTES)
    live.patch(pool={"maxWorkers": 2})
    (hand.run.folder / "text.txt").write_text("by hand")
    assert hand.call("done").code == 0

    found = live.wait_complete(4 * MINUTES)
    assert counts(found) == {"total": 40, "succeeded": 40}
    assert hand.call("next", job).code == 3, "it is over"
    wait_done(works)
    out, err = loop.communicate(timeout=MINUTES)
    assert "the project is over" in out, err
    done = see_who_has_done_what(site)
    told = {
        line.split()[0].partition("@")[0] for line in out.splitlines() if "ended with 0" in line
    }
    assert told == done["data-dispatcher"], "the grid and the markers agree"


def number_of(grid: Ddisp) -> int:
    """Return the number of the one project that the grid sees; 0 while there is none."""
    ran = grid.script("print(*[p['project_id'] for p in client.list_projects()])")
    return int(ran.out or 0)


def see_who_has_done_what(site: Site) -> dict[str, set[str]]:
    """See that each volume was done once, and return which were by whom, as their markers say."""
    doers, failed = defaultdict[str, set[str]](set), Counter[str]()
    for task in site.tasks():
        *before, last = task["status"]["attempts"]
        assert not last.get("failure"), task
        failed.update(attempt["failure"] for attempt in before)
        volume = Volume(*(task["spec"]["volume"][name] for name in ("wId", "iId", "iVersion")))
        place = task["status"]["output"].removeprefix(f"s3://{site.bucket}/")
        marker = site.store.read_marker(site.bucket, place, site.namespace, volume, None)
        assert marker is not None
        doers[doer(marker, last)].add(f"{volume.w_id}:{volume.i_id}")
    log.info("done by %s; failed before: %s", dict(doers), dict(failed))
    assert set(doers) == {"pod", "pool", "outside", "data-dispatcher", "hand"}, doers
    assert sum(map(len, doers.values())) == 40
    assert failed == Counter({"Disrupted": 1}), "the one that was killed"
    return doers


def doer(marker: Marker, attempt: Body) -> str:
    """Return who has done a volume: the marker says so, and the attempt on record no other."""
    face = (marker.model_extra or {}).get("face", "")
    if face:
        assert attempt.get("leaseSeconds"), attempt
        return str(face)
    if attempt.get("leaseSeconds"):
        return "hand" if attempt["pod"] == "hand" else "outside"
    assert attempt["podUid"] in marker.worker_id
    return "pool" if attempt.get("session") else "pod"
