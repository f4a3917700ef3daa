"""A worker from elsewhere as a process: bec-worker, an operator that answers, folders for S3."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bec_ops.contract.exit_codes import ExitCode
from bec_ops.outside.client import Seat
from bec_ops.outside.identity import Identity, StateFolder
from bec_ops.outside.reports import KeptReports, Records
from tests.support.fake_operator import Answer, Call, FakeOperator, refusal
from tests.support.worker_runs import POD, WorkerRun, wait_done, wait_ended

HANDLERS = """
import pathlib, time
from bec_ops import worker

@worker.job("ocr")
def ocr(task):
    if task.volume.i_id == "long":
        for _ in task.track(range(10_000)):
            time.sleep(0.02)
    if task.volume.i_id == "deaf":
        print("deaf", flush=True)
        time.sleep(600)
    task.write("text.txt", task.volume.i_id)

@worker.job("lines")
def lines(task):
    raise AssertionError
"""
# Its own process and a child of it, in one group: both are named in files.
SLEEPS = "echo $$ > %s/pids; sleep 600 & echo $! >> %s/pids; wait"


def task(run: WorkerRun, i_id: str, lease: float | None = 60, **more: Any) -> Answer:
    """Return the answer that gives a task."""
    given: dict[str, Any] = {
        "job_id": "ocr",
        "handler": "ocr",
        "w_id": "W1",
        "i_id": i_id,
        "task_uid": f"uid-{i_id}",
        "output_uri": f"file://{run.folder}/{i_id}/",
        "worker_id": "outside/w-1",
        **more,
    }
    return 200, {"task": given, "job": "ns/ocr", "lease_seconds": lease}


def start(run: WorkerRun, *arguments: str) -> subprocess.Popen[str]:
    return run.start_command("run", str(run.write(HANDLERS)), *arguments)


def start_hasty(run: WorkerRun, *arguments: str) -> subprocess.Popen[str]:
    """Start a worker that waits for nothing as long as others do."""
    code = """
import sys
from bec_ops.link import link
from bec_ops.outside import outside_worker, pace
from bec_ops.program import command
outside_worker._OUTLIVES = command.GRACE = link.DELIVERY_SECONDS = pace._FIRST = 0.3
sys.argv[0] = "bec-worker"
command.main()
"""
    command = (sys.executable, "-c", code, "run", str(run.write(HANDLERS)))
    return run.start(*command, *arguments)


def is_alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def test_task_after_task_of_what_it_has_handlers_for(
    run: WorkerRun, operator: FakeOperator
) -> None:
    operator.answers["next"] = [task(run, "one"), task(run, "two"), (200, {"over": True})]
    ended = wait_done(start(run, "--job", "ns/ocr", "--site", "desk"))
    assert "all Jobs that this worker is for are over" in ended.err
    assert [body["task_uid"] for body in operator.bodies("done")] == ["uid-one", "uid-two"]
    asked = operator.bodies("next")[0]
    assert (asked["jobs"], asked["handlers"], asked["site"]) == (
        ["ns/ocr"],
        ["lines", "ocr"],
        "desk",
    )
    assert operator.bodies("register")[0]["seat"] == "run-1"
    marker = json.loads((run.folder / "two/success.json").read_text())
    assert marker["worker_id"] == "outside/w-1"


def test_once_is_one_task_and_ends_as_that_did(run: WorkerRun, operator: FakeOperator) -> None:
    operator.answers["next"] = [task(run, "one"), task(run, "two")]
    script = 'echo "$BEC_I_ID" > "$BEC_OUTPUT_DIR/id.txt"'
    wait_done(run.start_command("exec", "--once", "--", "sh", "-c", script))
    assert (run.folder / "one/id.txt").read_text() == "one\n"
    ended = wait_ended(run.start_command("exec", "--once", "--", "sh", "-c", "exit 65"))
    assert ended.code == ExitCode.TERMINAL
    assert operator.bodies("failed")[0]["failure"] == "Terminal"
    assert len(operator.bodies("next")) == 2


def test_until_idle_is_counted_from_the_last_task(run: WorkerRun, operator: FakeOperator) -> None:
    operator.answers["next"] = [task(run, "one")]
    ended = wait_done(start(run, "--until-idle", "1s"))
    assert "there was no task for 1 s" in ended.err
    assert len(operator.bodies("done")) == 1
    assert 2 <= len(operator.bodies("next")) <= 5, "no task is not asked for again at once"


def test_in_a_pod_nothing_is_different(run: WorkerRun, operator: FakeOperator) -> None:
    pod = {name: run.environment[name] for name in run.environment if name not in POD}
    run.environment = {**pod, "BEC_HANDLER": "ocr", "BEC_WORKER_NOTHING": "is not looked at"}
    wait_done(start(run))
    assert operator.calls == []
    assert run.marker is not None
    ended = wait_ended(start(run, "--once"))
    assert ended.code == ExitCode.USAGE
    assert "the environment describes the task of a pod" in " ".join(ended.err.split())


def test_who_is_not_registered_is_told_as_ever_or_what_to_do(
    run: WorkerRun, folder: StateFolder
) -> None:
    (folder.path / "identity.json").unlink()
    assert "BEC_JOB_ID is not set" in wait_ended(start(run)).err
    ended = wait_ended(start(run, "--once"))
    assert ended.code == ExitCode.MISCONFIGURED
    assert "this worker is not registered" in ended.err


def test_a_machine_that_has_just_been_made_registers_by_its_token(
    run: WorkerRun, operator: FakeOperator, folder: StateFolder
) -> None:
    (folder.path / "identity.json").unlink()
    run.environment = {
        **run.environment,
        "BEC_WORKER_URL": operator.url,
        "BEC_WORKER_TOKEN": "TOKEN",
        "BEC_WORKER_NAME": "vm-7",
    }
    operator.answers["enrol"] = [(200, {"worker_id": "w-7"})]
    operator.answers["next"] = [task(run, "one")]
    see = 'env > "$BEC_OUTPUT_DIR/env"'
    ended = wait_done(run.start_command("exec", "--once", "--", "sh", "-c", see))
    assert operator.bodies("enrol")[0]["name"] == "vm-7"
    assert "TOKEN" not in (run.folder / "one/env").read_text()
    assert "TOKEN" not in ended.err
    found = folder.identity()
    assert found is not None
    assert found.worker_id == "w-7"


def test_a_stop_ends_the_whole_group_and_requeues_the_task(
    run: WorkerRun, operator: FakeOperator
) -> None:
    operator.answers["next"] = [task(run, "one"), task(run, "never")]
    script = SLEEPS % (run.folder, run.folder)
    process = run.start_command("exec", "--", "sh", "-c", script)
    operator.wait(lambda: operator.bodies("heartbeat"), "it works")
    pids = [int(line) for line in (run.folder / "pids").read_text().split()]
    process.send_signal(signal.SIGINT)
    wait_done(process)
    assert len(pids) == 2
    assert not any(map(is_alive, pids))
    (failed,) = operator.bodies("failed")
    assert (failed["failure"], failed["message"]) == ("Interrupted", "got SIGINT")
    assert len(operator.bodies("next")) == 1


def test_a_second_stop_ends_all_at_once(run: WorkerRun, operator: FakeOperator) -> None:
    operator.answers["next"] = [task(run, "one")]
    script = f"trap '' TERM; {SLEEPS % (run.folder, run.folder)}; wait"
    process = run.start_command("exec", "--grace", "300", "--", "sh", "-c", script)
    operator.wait(lambda: operator.bodies("heartbeat"), "it works")
    pids = [int(line) for line in (run.folder / "pids").read_text().split()]
    process.send_signal(signal.SIGINT)
    seen = len(operator.bodies("heartbeat"))
    operator.wait(lambda: len(operator.bodies("heartbeat")) > seen, "it waits for the program")
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == ExitCode.INTERRUPTED
    process.communicate()
    assert not is_alive(pids[0])


def test_what_the_operator_aborts_is_stopped_and_the_next_is_asked_for(
    run: WorkerRun, operator: FakeOperator
) -> None:
    aborted = (200, {"directive": "abort", "reason": "not wanted"})
    operator.answers["heartbeat"] = [aborted]
    operator.answers["next"] = [task(run, "long"), task(run, "two"), (200, {"over": True})]
    wait_done(start(run))
    (failed,) = operator.bodies("failed")
    assert failed["failure"] == "Interrupted"
    assert "not wanted" in failed["message"]
    assert [body["task_uid"] for body in operator.bodies("done")] == ["uid-two"]


def test_a_job_that_is_over_ends_no_worker_of_other_jobs(
    run: WorkerRun, operator: FakeOperator
) -> None:
    operator.answers["heartbeat"] = [(200, {"directive": "finish", "reason": "it is over"})] * 99
    operator.answers["next"] = [task(run, "one"), task(run, "two"), (200, {"over": True})]
    script = f"until test -e {run.folder}/go; do sleep 0.05; done"
    process = run.start_command("exec", "--", "sh", "-c", script)
    operator.wait(lambda: operator.bodies("heartbeat"), "it hears")
    (run.folder / "go").touch()
    wait_done(process)
    assert [body["task_uid"] for body in operator.bodies("done")] == ["uid-one", "uid-two"]


def test_a_worker_that_nobody_hears_stops_before_its_volume_is_anothers(
    run: WorkerRun, operator: FakeOperator
) -> None:
    operator.answers["next"] = [task(run, "long", lease=2), (200, {"over": True})]
    operator.answers["heartbeat"] = [(503, {})] * 999
    ended = wait_done(start(run))
    (failed,) = operator.bodies("failed")
    assert failed["failure"] == "Interrupted"
    assert "after 2 s the volume is another worker's" in failed["message"]
    assert "long is done" not in ended.err
    assert not (run.folder / "long/success.json").exists()


def test_a_short_lease_is_renewed_in_time(run: WorkerRun, operator: FakeOperator) -> None:
    """The operator says 30 s between two signs of life, and one second of lease."""
    with FakeOperator(heartbeat_seconds=30) as slow:
        me = Identity(url=slow.url, worker_id="w-1", secret="s" * 64)
        StateFolder(Path(run.environment["BEC_WORKER_STATE"])).keep(me)
        slow.answers["next"] = [task(run, "one", lease=1), (200, {"over": True})]
        wait_done(run.start_command("exec", "--", "sh", "-c", "sleep 3"))
        assert len(slow.bodies("heartbeat")) >= 4
        assert len(slow.bodies("done")) == 1
    assert operator.calls == []


class Slow(FakeOperator):
    """An operator whose tasks are long on their way."""

    def take(self, call: Call) -> Answer:
        answer = super().take(call)
        if "task" in answer[1]:
            time.sleep(1.2)
        return answer


def test_a_task_that_was_long_on_its_way_is_told_of_at_once(run: WorkerRun) -> None:
    with Slow(heartbeat_seconds=30) as slow:
        me = Identity(url=slow.url, worker_id="w-1", secret="s" * 64)
        StateFolder(Path(run.environment["BEC_WORKER_STATE"])).keep(me)
        slow.answers["next"] = [task(run, "one", lease=6), (200, {"over": True})]
        wait_done(run.start_command("exec", "--", "true"))
        assert slow.paths()[:4] == ["register", "next", "heartbeat", "done"]


def test_work_that_does_not_look_ends_with_the_process(
    run: WorkerRun, operator: FakeOperator
) -> None:
    operator.answers["next"] = [task(run, "deaf")]
    aborted = (200, {"directive": "abort", "reason": "not wanted"})
    operator.answers["heartbeat"] = [aborted] * 999
    ended = wait_ended(start_hasty(run))
    assert ended.code == ExitCode.INTERRUPTED
    assert "the work does not stop: the process ends" in ended.err
    (failed,) = operator.bodies("failed")
    assert failed["failure"] == "Interrupted"


def test_what_could_not_be_told_is_told_by_the_next_process_first(
    run: WorkerRun, operator: FakeOperator, folder: StateFolder
) -> None:
    operator.answers["next"] = [task(run, "one")]
    operator.answers["done"] = [(503, {})] * 999
    ended = wait_done(start_hasty(run, "--once"))
    assert "kept until a worker runs here again: 1" in ended.err
    assert Records(folder.path).count() == {"done": 1}
    (first,) = operator.bodies("register")
    operator.answers["done"] = []
    seen = len(operator.calls)
    operator.answers["next"] = [(200, {"over": True})]
    wait_done(start(run))
    assert operator.paths()[seen:] == ["register", "done", "register", "next"]
    assert operator.calls[seen].body == first, "in the session of the process that did it"
    assert operator.calls[seen + 2].body["process"] != first["process"]
    assert Records(folder.path).count() == {}


def test_what_is_about_a_task_that_is_gone_holds_up_nothing(
    run: WorkerRun, operator: FakeOperator, folder: StateFolder
) -> None:
    left = KeptReports(Records(folder.path), Seat("run-3", "a" * 32))
    left.add("log", {"task_uid": "uid-0", "attempt": 1, "text": "x"})
    left.add("done", {"task_uid": "uid-0", "attempt": 1})
    operator.answers["log"] = [refusal(410, "Gone")]
    operator.answers["done"] = [refusal(409, "StaleSession")]
    operator.answers["next"] = [task(run, "one"), (200, {"over": True})]
    ended = wait_done(start(run))
    assert ended.err.count("the operator does not take the report") == 2
    assert len(operator.bodies("done")) == 2


def test_an_operator_that_is_away_is_asked_for_ever_and_told_of_once(
    run: WorkerRun, operator: FakeOperator
) -> None:
    away = refusal(503, "Unavailable")
    operator.answers |= {"next": [away, (502, {}), task(run, "one"), (200, {"over": True})]}
    ended = wait_done(start_hasty(run))
    assert ended.err.count("no task: ") == 1, "a word a minute"
    assert len(operator.bodies("done")) == 1


def test_who_is_not_known_any_more_registers_again_once(
    run: WorkerRun, operator: FakeOperator, folder: StateFolder
) -> None:
    token = run.folder.parent / "token"
    token.write_text("TOKEN\n")
    run.environment = {**run.environment, "BEC_WORKER_TOKEN_FILE": str(token)}
    operator.answers["enrol"] = [(200, {"worker_id": "w-2"})]
    unknown = refusal(401, "Unauthenticated")
    operator.answers["register"] = [unknown]
    operator.answers["next"] = [task(run, "one"), unknown, unknown]
    ended = wait_ended(start(run))
    assert ended.code == ExitCode.MISCONFIGURED
    assert "bec-worker register --again" in ended.err
    assert len(operator.bodies("enrol")) == 1
    assert len(operator.bodies("done")) == 1
    found = folder.identity()
    assert found is not None
    assert found.worker_id == "w-2"


@pytest.mark.parametrize(
    ("status", "error", "said"),
    [
        (401, "Unauthenticated", "register --again"),
        (409, "StaleSession", "has its state folder been copied?"),
        (400, "Invalid", "correct the configuration"),
    ],
)
def test_what_no_patience_helps_ends_it(
    run: WorkerRun, operator: FakeOperator, status: int, error: str, said: str
) -> None:
    operator.answers["next"] = [refusal(status, error)]
    ended = wait_ended(start(run))
    assert ended.code == ExitCode.MISCONFIGURED
    assert said in ended.err
    assert len(operator.bodies("next")) == 1


def test_a_job_that_is_not_there_yet_is_waited_for_until_idle(
    run: WorkerRun, operator: FakeOperator
) -> None:
    no_job = refusal(403, "Forbidden")
    operator.answers["next"] = [no_job, task(run, "one"), *[no_job] * 999]
    ended = wait_done(start_hasty(run, "--until-idle", "1s"))
    assert "no task: Forbidden" in ended.err
    assert len(operator.bodies("done")) == 1


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("MIN_DISK", "1000TB", "and min_disk is"),
        ("MIN_MEMORY", "1000TB", "and min_memory is"),
        ("S3_CHECK", "s3://no-such-bucket-anywhere/", "no task: "),
        ("REST", "00:00-24:00", "hours of rest begin"),
    ],
)
def test_a_machine_that_is_not_fit_takes_no_work(
    run: WorkerRun, operator: FakeOperator, key: str, value: str, said: str
) -> None:
    more = {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1", "AWS_ACCESS_KEY_ID": "a"}
    more |= {"AWS_SECRET_ACCESS_KEY": "b", "AWS_MAX_ATTEMPTS": "1"}
    run.environment = {**run.environment, f"BEC_WORKER_{key}": value, **more}
    process = start(run)
    assert process.stderr is not None
    while said not in (line := process.stderr.readline()):
        assert line, "it has ended"
    os.kill(process.pid, signal.SIGTERM)
    wait_done(process)
    assert "next" not in operator.paths()


def test_a_task_whose_output_cannot_be_reached_is_given_back(
    run: WorkerRun, operator: FakeOperator
) -> None:
    """It costs the volume nothing, and the machine takes no other one meanwhile."""
    more = {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1", "AWS_ACCESS_KEY_ID": "a"}
    run.environment = {**run.environment, "AWS_SECRET_ACCESS_KEY": "b", **more}
    nowhere = task(run, "one", output_uri="s3://no-bucket/one/")
    operator.answers["next"] = [nowhere, task(run, "two")]
    process = start_hasty(run)
    operator.wait(lambda: operator.bodies("failed"), "it is given back")
    (failed,) = operator.bodies("failed")
    assert failed["failure"] == "Interrupted"
    assert failed["message"].startswith("this machine cannot write its output: ")
    process.terminate()
    wait_done(process)
    assert len(operator.bodies("next")) == 1


def test_two_processes_have_two_seats(run: WorkerRun, operator: FakeOperator) -> None:
    operator.answers["next"] = [task(run, "long"), task(run, "two"), (200, {"over": True})]
    first = start(run)
    operator.wait(lambda: operator.bodies("heartbeat"), "the first one works")
    second = start(run)
    operator.wait(lambda: operator.bodies("done"), "the second one has done a task")
    first.terminate()
    wait_done(first)
    wait_done(second)
    assert {body["seat"] for body in operator.bodies("register")} == {"run-1", "run-2"}


def test_handlers_that_cannot_be_loaded_end_it(run: WorkerRun, operator: FakeOperator) -> None:
    ended = wait_ended(run.start_command("run", str(run.write("import nothing_of_that_name"))))
    assert ended.code == ExitCode.MISCONFIGURED
    assert "nothing_of_that_name" in ended.err
    assert operator.calls == []
