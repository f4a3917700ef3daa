"""A worker as the first process of its pod: what its work leaves behind does not pile up."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bec_ops.processes.proc import children, processes
from tests.support.fake_operator import Answer, FakeOperator
from tests.support.worker_runs import WorkerRun, wait_ended

VOLUMES = 6
_AS_FIRST = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
COUNT = "set -- /proc/[0-9]*; echo $# > $BEC_OUTPUT_DIR/count; "
HANDLER = """
import glob, subprocess
from bec_ops import worker

@worker.job("ocr")
def ocr(task):
    task.write("count", str(len(glob.glob("/proc/[0-9]*"))))
    subprocess.run(["sh", "-c", "sleep 0.01 & sleep 0.01 &"])
    mine = subprocess.Popen(["sh", "-c", "exit 7"])
    for _ in range(2):
        subprocess.run(["sleep", "0.05"])
    assert mine.wait() == 7

worker.main()
"""


@pytest.fixture
def operator() -> Iterator[FakeOperator]:
    with FakeOperator() as operator:
        yield operator


@pytest.fixture
def run(tmp_path: Path, operator: FakeOperator) -> WorkerRun:
    none = ("BEC_W_ID", "BEC_I_ID", "BEC_I_VERSION", "BEC_OUTPUT_URI", "BEC_TASK_UID")
    more = {"BEC_POOL": "true", "BEC_OPERATOR_URL": operator.url}
    rights = () if os.getuid() == 0 else ("--user", "--map-root-user")
    under = (_AS_FIRST[0], *rights, *_AS_FIRST[1:])
    operator.answers["next"] = [task(tmp_path, n) for n in range(VOLUMES)]
    return WorkerRun(tmp_path, dict.fromkeys(none, "") | more, under)


def task(folder: Path, number: int) -> Answer:
    given: dict[str, Any] = {
        "job_id": "ocr",
        "w_id": "W1",
        "i_id": f"I{number}",
        "task_uid": f"uid-{number}",
        "output_uri": f"file://{folder}/{number}/",
        "worker_id": "pod-1/uid-1",
    }
    return 200, {"task": given}


def counts(run: WorkerRun) -> list[int]:
    return [int((run.folder / str(n) / "count").read_text()) for n in range(VOLUMES)]


def leave(process: "subprocess.Popen[str]") -> None:
    """Tell the first process of the other process's namespace to go."""
    (first,) = (each for each in processes() if each.parent == process.pid)
    os.kill(first.pid, signal.SIGTERM)
    assert wait_ended(process).code == 0


def test_short_orphans_of_a_program(run: WorkerRun, operator: FakeOperator) -> None:
    """`PikoCI/pikoci#681`: 9,000 zombies, then no process could be started."""
    script = COUNT + "sh -c 'sleep 0.1 & setsid sleep 0.01 & true'; sleep 0.05"
    process = run.start_command("exec", "--", "sh", "-c", script)
    operator.wait(lambda: len(operator.bodies("done")) == VOLUMES, "all are done")
    leave(process)
    assert len(set(counts(run))) == 1, counts(run)


def test_lasting_orphans_of_a_program(run: WorkerRun, operator: FakeOperator) -> None:
    """`PikoCI/pikoci#681`: as it stands there; each is told, and ended with its volume."""
    script = "sh -c 'sleep 100 & setsid sleep 100 & true'; touch $BEC_OUTPUT_DIR/1"
    told = run.folder / "count"
    script = f"{COUNT} cat $BEC_OUTPUT_DIR/count >> {told}; {script}"
    process = run.start_command("exec", "--grace=0.1", "--", "sh", "-c", script)
    operator.wait(lambda: len(operator.bodies("failed")) == VOLUMES, "all have failed")
    leave(process)
    assert len(set(told.read_text().split())) == 1
    for body in operator.bodies("failed"):
        assert body["failure"] == "Retryable"
        assert body["message"].count(" (") == 2


def test_orphans_of_a_handler(run: WorkerRun, operator: FakeOperator) -> None:
    """`PikoCI/pikoci#681`: also where Python starts what leaves them."""
    process = run.start_script(HANDLER)
    operator.wait(lambda: len(operator.bodies("done")) == VOLUMES, "all are done")
    leave(process)
    assert max(counts(run)) - min(counts(run)) <= 4  # the dead are believed at the second look


def test_what_python_waits_for_is_left_to_it() -> None:
    script = """
import os, subprocess, sys, time
from multiprocessing import get_context
from bec_ops.processes.orphans import Orphans
from bec_ops.processes.proc import adopt_orphans, children
adopt_orphans()
first = subprocess.Popen(["sh", "-c", "exit 7"])
second = get_context("fork").Process(target=sys.exit, args=(8,))
second.start()
subprocess.run(["sh", "-c", "sleep 0 &"])
while sum(child.dead for child in children()) < 3:
    time.sleep(0.01)
orphans = Orphans()
assert orphans.look() == []
(gone,) = orphans.look()
assert gone.name == "sleep", gone
second.join()
assert (first.wait(), second.exitcode) == (7, 8)
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_who_gets_no_orphans_leaves_all_alone() -> None:
    script = """
import subprocess
from bec_ops.processes.orphans import Orphans
from bec_ops.processes.proc import adopt_orphans, gets_orphans
assert not gets_orphans()
assert Orphans().look() == []
adopt_orphans()
assert gets_orphans()
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_name_may_hold_anything(tmp_path: Path) -> None:
    program = tmp_path / "a) Z 1 (b"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([program, "1000"]) as process:
        (found,) = (child for child in children() if child.pid == process.pid)
        process.kill()
    assert (found.name, found.dead) == ("a) Z 1 (b", False)


def test_where_nothing_is_listed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("bec_ops.processes.proc._PROC", tmp_path / "none")
    assert children() == []
