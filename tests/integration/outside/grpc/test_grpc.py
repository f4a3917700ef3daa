"""Workers to whom tasks are pushed, and scheduler clients that ask, with a real operator."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml

from bec_operator.act.ground.api_server import core
from bec_ops.contract import jobscheduler_pb2 as wire
from tests.integration.outside.conftest import Gate
from tests.integration.outside.grpc.conftest import VISITORS
from tests.support.jobs import counts, job, numbered
from tests.support.kube import Body
from tests.support.operator_process import Operator
from tests.support.outsiders import enrolment
from tests.support.schedulers import SchedulerCalls
from tests.support.served import Served, Toml
from tests.support.space import Space
from tests.support.waiting import until

EXAMPLE = Path(__file__).parents[4] / "examples/faces/grpc"
ELSEWHERE: Body = {"allowed": True, "only": True, "marker": "OnDone"}

pytestmark = pytest.mark.usefixtures("operator")


def pushed(command: str, path: str) -> Body:
    """Return the worker of a Job whose volumes are commands."""
    template = {"spec": {"containers": [{"name": "worker", "image": "unused:1"}]}}
    return {"template": template, "parameters": {"grpc": {"command": command, "path": path}}}


def register(face: str, address: str) -> wire.RegisterRes:
    with grpc.insecure_channel(face) as channel:
        call = channel.unary_unary(
            "/jobscheduler.Scheduler/RegisterWorker",
            wire.RegisterReq.SerializeToString,
            wire.RegisterRes.FromString,
        )
        answer: wire.RegisterRes = call(wire.RegisterReq(address=address), timeout=1)
        return answer


def refused(do: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as raised:
        do()
    return raised.value.code(), raised.value.details() or ""


def worker_of(face: str, folder: Path) -> Served:
    return Served(folder, {"scheduler": {"addr": face}})


def test_a_worker_does_the_volumes_of_a_job(space: Space, face: str, tmp_path: Path) -> None:
    worker = worker_of(face, tmp_path)
    script = worker.script("echo worked on it\n")
    live = space.submit(
        job("push", space.bucket, numbered(2), outside=ELSEWHERE, worker=pushed("sh", script))
    )
    with worker:
        found = live.wait_complete()
    assert counts(found)["succeeded"] == 2
    keys = space.stored()
    (marker, _) = sorted(key for key in keys if key.endswith("success.json"))
    assert json.loads(space.read(marker))["face"] == "grpc"
    assert all(space.read(key) == b"worked on it\n" for key in keys if key.endswith(".log"))
    assert sum(key.endswith(".log") for key in keys) == 2


def test_over_tls_in_both_directions(
    space: Space, secure_face: str, home: Path, tmp_path: Path
) -> None:
    ca = str(home / "ca.crt")
    own: Body = {
        "use_tls": True,
        "crt_file": str(home / "tls.crt"),
        "key_file": str(home / "tls.key"),
    }
    toml: Toml = {"scheduler": {"addr": secure_face, "ca_file": ca}, "grpc_server": own}
    worker = Served(tmp_path, toml)
    script = worker.script("true\n")
    live = space.submit(
        job("tls", space.bucket, numbered(1), outside=ELSEWHERE, worker=pushed("sh", script))
    )
    with worker:
        found = live.wait_complete()
    assert counts(found)["succeeded"] == 1


def test_a_command_that_fails(space: Space, face: str, tmp_path: Path) -> None:
    worker = worker_of(face, tmp_path)
    script = worker.script("exit 3\n")
    spec = job("fails", space.bucket, numbered(1), outside=ELSEWHERE, worker=pushed("sh", script))
    spec["spec"]["retry"]["maxAttempts"] = 1
    live = space.submit(spec)
    with worker:
        found = live.wait_phase("Failed")
    assert counts(found) == {"total": 1, "failed": 1}
    (report,) = space.reported("fails")
    assert "exit status 3" in json.dumps(report)


def test_a_worker_that_leaves_gives_back_its_task(space: Space, face: str, tmp_path: Path) -> None:
    first, second = worker_of(face, tmp_path / "1"), worker_of(face, tmp_path / "2")
    started = tmp_path / "started"
    script = tmp_path / "script.sh"
    script.write_text(f"test -e {started} && exit 0; touch {started}; exec sleep 60\n")
    live = space.submit(
        job("gone", space.bucket, numbered(1), outside=ELSEWHERE, worker=pushed("sh", str(script)))
    )
    with first:
        until(started.exists, "the command runs")
    with second:
        found = live.wait_complete()
    assert counts(found)["succeeded"] == 1


def test_which_addresses_are_called(face: str) -> None:
    for address in ("10.0.0.7:30000", "gpu1:30000", "[::1]:30000", "0x7f.1:30000"):
        code, said = refused(lambda address=address: register(face, address))
        assert code is grpc.StatusCode.PERMISSION_DENIED
        assert "workers of the face grpc" in said
    code, said = refused(lambda: register(face, "127.0.0.1:80"))
    assert (code, "1024" in said) == (grpc.StatusCode.PERMISSION_DENIED, True)
    for address in ("unix:/run/x", "127.0.0.1", "http://127.0.0.1:3000/", "127.0.0.1:30000 "):
        code, _ = refused(lambda address=address: register(face, address))
        assert code is grpc.StatusCode.INVALID_ARGUMENT


def test_an_id_is_the_same_after_a_restart(face: str, operator: Operator) -> None:
    before = register(face, "127.0.0.1:30000").workerID
    assert register(face, "127.0.0.1:30000").workerID == before
    assert register(face, "127.0.0.1:30001").workerID != before
    operator.stop()
    operator.start()
    assert register(face, "127.0.0.1:30000").workerID == before


def test_an_enrolment_that_is_taken_away(gate: Gate, face: str) -> None:
    calls = SchedulerCalls(face)
    assert refused(lambda: calls.query("nobody.0"))[0] is grpc.StatusCode.UNKNOWN
    gate.kube.delete(core(gate.home, "secrets", VISITORS))
    try:
        until(lambda: _nobody_may(lambda: register(face, "127.0.0.1:30000")), "nobody may come in")
        code, said = refused(lambda: calls.query("nobody.0"))
        assert (code, "no enrolment" in said) == (grpc.StatusCode.PERMISSION_DENIED, True)
    finally:
        enrolment(gate.kube, gate.home, VISITORS, namespaces="*")
    until(lambda: not _nobody_may(lambda: register(face, "127.0.0.1:30000")), "they may again")


def test_a_scheduler_client_asks(space: Space, face: str, tmp_path: Path) -> None:
    worker = worker_of(face, tmp_path)
    manifest = yaml.safe_load((EXAMPLE / "job.yaml").read_text())
    manifest["metadata"]["namespace"] = space.namespace
    manifest["spec"]["output"]["bucket"] = space.bucket
    parameters = manifest["spec"]["worker"]["parameters"]["grpc"]
    parameters.update(command="sh", path=worker.script("true\n"))
    live = space.submit(manifest)
    calls, name = SchedulerCalls(face), f"{space.namespace}/scans"
    job_id = until(lambda: _started(calls, name), "the Job is loaded")
    assert not calls.query(str(job_id)).done
    code, said = refused(lambda: calls.stop(str(job_id)))
    assert (code, "suspend" in said) == (grpc.StatusCode.INVALID_ARGUMENT, True)
    assert refused(lambda: calls.start(name, "W1/I9"))[0] is grpc.StatusCode.INVALID_ARGUMENT
    assert refused(lambda: calls.start("nobody/scans", "W1/I1"))[0] is (
        grpc.StatusCode.PERMISSION_DENIED
    )
    assert refused(lambda: calls.query("nobody.0")) == (grpc.StatusCode.UNKNOWN, "job not found")
    command = [sys.executable, str(EXAMPLE / "client.py"), face, name, "W1/I1"]
    with worker:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        live.wait_complete()
    assert (done.returncode, done.stdout) == (0, "W1/I1: done\n"), done.stderr
    assert calls.query(str(job_id)).done


def _started(calls: SchedulerCalls, name: str) -> str | None:
    try:
        return calls.start(name, "W1/I1")
    except grpc.RpcError:
        return None


def _nobody_may(do: Callable[[], object]) -> bool:
    try:
        do()
    except grpc.RpcError as error:
        return error.code() is grpc.StatusCode.PERMISSION_DENIED
    return False
