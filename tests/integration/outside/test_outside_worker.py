"""bec-worker on a machine that is not of the cluster, and a hand at its prompt, over TLS."""

import json
import re
import shutil
import signal
import subprocess
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bec_operator.act.ground.api_server import core
from bec_ops.contract.exit_codes import ExitCode
from bec_ops.outside.reports import Records
from tests.cluster import S3
from tests.integration.outside.conftest import Gate
from tests.support.jobs import counts, job, numbered
from tests.support.space import Space
from tests.support.waiting import until
from tests.support.worker_runs import POD, Ended, WorkerRun, wait_done, wait_ended

ONLY = {"allowed": True, "only": True}
HANDLER = """
import pathlib, time
from bec_ops import TerminalError, worker

@worker.job("read")
def read(task):
    pathlib.Path(f"begun-{task.volume.i_id}-{task.attempt}").touch()
    slow = pathlib.Path(f"slow-{task.volume.i_id}")
    for _ in task.track(range(10_000)):
        if not slow.exists():
            break
        time.sleep(0.05)
    if pathlib.Path("illegible").exists():
        raise TerminalError("nobody can read this")
    task.write("text.txt", "བོད")
"""
MakeMachine = Callable[..., WorkerRun]


@pytest.fixture
def machine(gate: Gate, space: Space, s3: S3, tmp_path: Path) -> MakeMachine:
    """Make a machine with a worker on it, which has registered."""

    def make(name: str = "desk", **terms: str) -> WorkerRun:
        none = dict.fromkeys((*POD, "BEC_WORKER_ID", "BEC_OPERATOR_URL"), "")
        own = {"HOME": str(tmp_path / name), "AWS_DEFAULT_REGION": s3.region}
        run = WorkerRun(tmp_path / name / "here", {**none, **own, **s3.environment()})
        run.folder.mkdir(parents=True)
        token = run.folder / "token"
        token.write_text(gate.token(space, **terms))
        arguments = ("--url", gate.url, "--ca", str(gate.ca), "--name", name)
        command = ("register", *arguments, "--token-file", str(token))
        assert wait_done(run.start_command(*command)).out.startswith(f"registered as {name}-")
        return run

    return make


def start(run: WorkerRun, *arguments: str) -> subprocess.Popen[str]:
    return run.start_command("run", str(run.write(HANDLER)), *arguments)


def start_waiting(gate: Gate, run: WorkerRun) -> subprocess.Popen[str]:
    """Start a worker for which there is nothing, and return as it asks for a task."""

    def registered() -> str:
        found = re.search(
            r'bec_worker_calls_total\{call="outside.register".*', gate.operator.metrics()
        )
        return found.group() if found else ""

    before = registered()
    process = start(run)
    until(lambda: registered() != before, "it has registered", timeout=60)
    return process


def call(run: WorkerRun, *arguments: str) -> Ended:
    return wait_ended(run.start_command(*arguments))


def described(space: Space, name: str, volumes: int, **outside: Any) -> dict[str, Any]:
    found = job(name, space.bucket, numbered(volumes), outside=ONLY | outside)
    found["spec"]["worker"]["handler"] = "read"
    return found


def begun(run: WorkerRun, *, attempt: int = 1) -> list[str]:
    return sorted(file.name.split("-")[1] for file in run.folder.glob(f"begun-*-{attempt}"))


def markers(space: Space) -> list[str]:
    return [key for key in space.stored("artefacts/") if key.endswith("success.json")]


def test_a_job_that_names_no_handler_means_the_only_one(space: Space, machine: MakeMachine) -> None:
    live = space.submit(job("plain", space.bucket, numbered(1), outside=ONLY))
    start(machine(), "--job", f"{space.namespace}/plain")
    assert counts(live.wait_complete())["succeeded"] == 1


def test_a_machine_without_keys(space: Space, machine: MakeMachine) -> None:
    """With `presigned` the operator signs each request; and nobody else's keys are there."""
    live = space.submit(described(space, "keyless", 2, presigned=True))
    run = machine()
    keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL_S3")
    run.environment = {**run.environment, **dict.fromkeys(keys, "")}
    start(run, "--job", f"{space.namespace}/keyless")
    assert counts(live.wait_complete(60))["succeeded"] == 2
    assert len(markers(space)) == 2
    assert len([key for key in space.stored("artefacts/") if key.endswith("text.txt")]) == 2


def test_two_machines_one_of_them_killed(space: Space, machine: MakeMachine) -> None:
    one, two = machine("one"), machine("two")
    for number in range(8):
        (one.folder / f"slow-I{number}").touch()
    live = space.submit(described(space, "both", 8))
    name = f"{space.namespace}/both"
    first = start(one, "--job", name)
    until(lambda: begun(one), "the first one works", timeout=60)
    second = start(two, "--job", name)
    until(lambda: len(begun(two)) >= 3, "the second one works", timeout=60)
    first.send_signal(signal.SIGKILL)
    wait_ended(first)
    for file in one.folder.glob("slow-*"):
        file.unlink()
    again = start(one, "--job", name)
    found = live.wait_complete()
    assert counts(found)["succeeded"] == 8
    assert len(markers(space)) == 8
    for process in (again, second):
        assert "are over" in wait_done(process).err
    assert not space.pods()
    (lost,) = begun(one)[:1]
    assert lost in begun(one, attempt=2) + begun(two, attempt=2), "it was given once more"


def test_a_stop_gives_the_volume_back_at_once(space: Space, machine: MakeMachine) -> None:
    one, two = machine("one"), machine("two")
    (one.folder / "slow-I0").touch()
    live = space.submit(described(space, "stopped", 1))
    process = start(one)
    until(lambda: begun(one), "it works", timeout=60)
    process.send_signal(signal.SIGINT)
    assert "Interrupted" in wait_done(process).err
    wait_done(start(two, "--once"))
    found = live.wait_complete()
    assert counts(found)["succeeded"] == 1
    assert begun(two, attempt=2) == ["I0"]


def test_a_machine_that_sleeps_gives_its_volume_up_as_it_wakes(
    space: Space, machine: MakeMachine
) -> None:
    one, two = machine("one"), machine("two")
    (one.folder / "slow-I0").touch()
    live = space.submit(described(space, "asleep", 1, lease="5s"))
    process = start(one, "--once")
    until(lambda: begun(one), "it works", timeout=60)
    process.send_signal(signal.SIGSTOP)
    wait_done(start(two, "--once"))
    process.send_signal(signal.SIGCONT)
    ended = wait_ended(process)
    assert ended.code == ExitCode.INTERRUPTED
    assert "Interrupted: " in ended.err
    assert counts(live.wait_complete())["succeeded"] == 1
    (key,) = markers(space)
    assert json.loads(space.read(key))["attempt"] == 2


def test_what_nobody_wants_any_more_is_aborted(space: Space, machine: MakeMachine) -> None:
    one = machine("one")
    (one.folder / "slow-I0").touch()
    live = space.submit(described(space, "dropped", 1, lease="6s"))
    process = start(one, "--until-idle", "3s")
    until(lambda: begun(one), "it works", timeout=60)
    live.delete()
    ended = wait_done(process)
    assert "Interrupted" in ended.err
    assert "there was no task for 3 s" in ended.err
    assert markers(space) == []


def test_who_ends_while_it_waits_takes_no_volume_with_it(
    space: Space, gate: Gate, machine: MakeMachine
) -> None:
    one, two = machine("one"), machine("two")
    process = start_waiting(gate, one)
    process.terminate()
    wait_done(process)
    live = space.submit(described(space, "later", 1))
    wait_done(start(two, "--once"))
    live.wait_complete()
    assert begun(two) == ["I0"]


def test_of_two_machines_with_one_id_the_later_one_works(
    space: Space, gate: Gate, machine: MakeMachine
) -> None:
    one = machine("one")
    two = WorkerRun(one.folder.parent.parent / "two" / "here", dict(one.environment))
    home = str(two.folder.parent)
    shutil.copytree(one.folder.parent, home)
    two.environment = {**two.environment, "HOME": home}
    first = start_waiting(gate, one)
    second = start(two, "--once")
    ended = wait_ended(first)
    assert ended.code == ExitCode.MISCONFIGURED
    assert "has its state folder been copied?" in ended.err
    live = space.submit(described(space, "copied", 1))
    wait_done(second)
    assert counts(live.wait_complete())["succeeded"] == 1


def test_what_could_not_be_told_is_told_though_all_were_restarted(
    space: Space, gate: Gate, machine: MakeMachine
) -> None:
    one = machine("one")
    (one.folder / "slow-I0").touch()
    live = space.submit(described(space, "restarts", 1))
    process = start(one)
    until(lambda: begun(one), "it works", timeout=60)
    gate.operator.kill()
    (one.folder / "illegible").touch()
    (one.folder / "slow-I0").unlink()
    records = Records(Path(one.environment["HOME"]) / ".local/state/bec-worker")
    until(lambda: records.count() == {"failed": 1}, "the report is kept", timeout=60)
    process.kill()
    wait_ended(process)
    gate.operator.start()
    wait_done(start(one, "--until-idle", "1s"))
    assert records.count() == {}
    live.wait_counts(failed=1)
    (task,) = space.tasks()
    (attempt,) = task["status"]["attempts"]
    assert (attempt["failure"], attempt["message"]) == ("Terminal", "nobody can read this")


def test_who_is_revoked_ends(gate: Gate, machine: MakeMachine) -> None:
    one = machine("one")
    worker_id = call(one, "id").out.strip()
    assert call(one, "status").code == 0
    revoke(gate, worker_id)
    until(lambda: call(one, "status").code == 1, "the operator knows", timeout=30)
    ended = wait_ended(start(one))
    assert ended.code == ExitCode.MISCONFIGURED
    assert "bec-worker register --again" in ended.err


def test_who_is_revoked_with_something_to_tell_ends(
    space: Space, gate: Gate, machine: MakeMachine
) -> None:
    one = machine("one")
    (one.folder / "slow-I0").touch()
    space.submit(described(space, "revoked", 1))
    process = start(one, "--job", f"{space.namespace}/revoked")
    until(lambda: begun(one), "it works", timeout=60)
    revoke(gate, call(one, "id").out.strip())
    until(lambda: call(one, "status").code == 1, "the operator knows", timeout=30)
    (one.folder / "slow-I0").unlink()
    ended = wait_ended(process)
    assert ended.code == ExitCode.MISCONFIGURED
    assert "bec-worker register --again" in ended.err


def revoke(gate: Gate, worker_id: str) -> None:
    """Take away the Secret of a worker."""
    for secret in gate.kube.items(core(gate.home, "secrets")):
        values = map(b64decode, secret.get("data", {}).values())
        if worker_id.encode() in values or worker_id in json.dumps(secret["metadata"]):
            gate.kube.delete(core(gate.home, "secrets", secret["metadata"]["name"]))


def test_by_hand_from_the_first_volume_to_the_end(space: Space, machine: MakeMachine) -> None:
    desk = machine("desk")
    live = space.submit(described(space, "hands", 3))
    one, two = (json.loads(call(desk, "next", "hands", "--json").out) for _ in range(2))
    assert one["i_id"] != two["i_id"]
    listed = wait_done(desk.start_command("list")).out
    assert {line.split("\t")[0] for line in listed.splitlines()} == {
        one["task_uid"],
        two["task_uid"],
    }
    wait_done(desk.start_command("beat"))
    space.put(f"{one['output_uri'].split('/', 3)[3]}page.txt", b"text")
    assert call(desk, "done", one["task_uid"]).code == 0
    assert call(desk, "failed", two["task_uid"], "--message", "illegible").code == 0
    rest = []
    while (given := call(desk, "next", "hands")).code == 0:
        rest.append(given.out.split("\t")[2])
        assert call(desk, "done").code == 0
    assert given.code == 3, given
    assert len(rest) == 2
    assert two["i_id"] in rest, "it was tried again"
    found = live.wait_complete()
    assert counts(found)["succeeded"] == 3
    marker = json.loads(space.read(markers(space)[0]))
    assert marker["worker_id"].split("/")[-1]


def test_a_prompt_that_waits_is_told_that_there_is_nothing_now(
    space: Space, machine: MakeMachine
) -> None:
    desk = machine("desk")
    space.submit(described(space, "one", 1))
    assert call(desk, "next", "one").code == 0
    assert call(desk, "next", "one", "--timeout", "2").code == 4
    assert call(desk, "next", "no-such-job", "--timeout", "2").code == 1


def test_a_certificate_that_is_not_trusted(gate: Gate, tmp_path: Path) -> None:
    run = WorkerRun(tmp_path, {"HOME": str(tmp_path)})
    ended = call(run, "register", "--url", gate.url, "--token", "TOKEN")
    assert ended.code == 1
    assert "CERTIFICATE_VERIFY_FAILED" in ended.err
    assert "TOKEN" not in ended.err
