"""The worker's library, as a process of its own, and the operator that serves it."""

import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bec_operator.api.names import HEARTBEAT_CONDITION
from bec_ops.contract.location import log_key
from tests.cluster import S3
from tests.integration.conftest import MakeOperator
from tests.support.behaviours import hang, in_turn, succeed
from tests.support.callers import CallingWorker
from tests.support.jobs import job, numbered
from tests.support.kube import Body, Kube
from tests.support.operator_process import Operator
from tests.support.runs import Run
from tests.support.space import Space
from tests.support.waiting import until
from tests.support.worker_runs import WorkerRun, wait_done, wait_ended
from tests.support.workers import Workers

# It waits for its test after the third page, counting nothing, and looks whether to stop.
SCRIPT = """
import pathlib, time
from bec_ops import worker

@worker.job("ocr")
def ocr(task):
    for page in task.track(range(5)):
        task.write(f"{page}.txt", str(page))
        while page == 2 and not pathlib.Path("go").exists():
            if task.should_stop:
                return
            time.sleep(0.05)

worker.main()
"""


@pytest.fixture(scope="module")
def operator(make_operator: MakeOperator) -> Iterator[Operator]:
    """An operator whose workers call each second."""
    with make_operator(heartbeat_seconds=1) as operator:
        yield operator


@pytest.fixture
def start(
    kube: Kube, operator: Operator, s3: S3, tmp_path: Path
) -> Callable[[Run], tuple[WorkerRun, subprocess.Popen[str]]]:
    """Return what starts the worker of a pod, with all that it would find there."""

    def begin(run: Run) -> tuple[WorkerRun, subprocess.Popen[str]]:
        caller = CallingWorker.of(run.pod, kube, operator.worker_url)
        token = tmp_path / "token"
        token.write_text(caller.token)
        found = {
            **run.pod.task.environment(),
            **s3.environment(),
            "BEC_TASK_UID": caller.about["task_uid"],
            "BEC_OPERATOR_URL": operator.worker_url,
            "BEC_TOKEN_FILE": str(token),
            "BEC_HEARTBEAT_SECONDS": "0.2",
        }
        work = WorkerRun(tmp_path / run.pod.name, found)
        return work, work.start_script(SCRIPT)

    return begin


def progress(kube: Kube, run: Run) -> str:
    """Return what the pod's heartbeat condition says."""
    pod: Body = kube.get(run.pod.path)
    conditions = pod["status"].get("conditions", [])
    return next((c["message"] for c in conditions if c["type"] == HEARTBEAT_CONDITION), "")


Start = Callable[[Run], tuple[WorkerRun, "subprocess.Popen[str]"]]


def test_progress_arrives_and_a_report_ends_the_task(
    space: Space, workers: Workers, kube: Kube, start: Start
) -> None:
    workers.behaviour = hang
    live = space.submit(job("library", space.bucket, numbered(1)))
    (run,) = workers.running(1)
    work, process = start(run)
    until(lambda: "2/5 pages" in progress(kube, run), "the pod's condition shows progress")
    (work.folder / "go").touch()
    wait_done(process)
    live.wait_counts(succeeded=1)  # on the report: the pod itself still runs
    workers.release()
    live.wait_complete()
    names = [key.removeprefix(run.pod.task.prefix) for key in space.stored(run.pod.task.prefix)]
    log = log_key("", 1, run.pod.task.task_uid)
    assert names == [*(f"{n}.txt" for n in range(5)), log, "success.json"]


def test_an_interrupted_worker_says_so_and_is_requeued(
    space: Space, workers: Workers, kube: Kube, start: Start
) -> None:
    workers.behaviour = in_turn(hang, succeed)
    live = space.submit(job("stopped", space.bucket, numbered(1), retry={"limit": 1}))
    (run,) = workers.running(1)
    work, process = start(run)
    until(lambda: "2/5 pages" in progress(kube, run), "the pod's condition shows progress")
    process.send_signal(signal.SIGTERM)
    assert wait_ended(process).code == 143
    assert work.told == {"class": "Interrupted", "message": "got SIGTERM"}
    last_words = (work.folder / "termination-log").read_text()
    workers.play(run, lambda pod: pod.end(143, message=last_words))
    live.wait_complete()
    (task,) = space.tasks()
    assert [attempt.get("failure", "") for attempt in task["status"]["attempts"]] == [
        "Interrupted",
        "",
    ]
