"""ReefGuide's workers, from their login to the end of a Job."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import yaml

from tests.cluster import S3
from tests.integration.outside.reefguide.conftest import ELSEWHERE, Face, kind, markers
from tests.support.jobs import counts, job, numbered
from tests.support.space import Space
from tests.support.waiting import until

EXAMPLE = Path(__file__).parents[4] / "examples/faces/reefguide"


def test_the_loop_of_a_worker_does_a_job(space: Space, face: Face, s3: S3) -> None:
    """The example, as it is: two of them race for each volume."""
    spec = yaml.safe_load((EXAMPLE / "job.yaml").read_text())
    spec["spec"]["output"]["bucket"] = space.bucket
    live = space.submit(spec)
    known = face.worker(space)
    environment = {
        **os.environ,
        **s3.environment(),
        "API_ENDPOINT": face.url,
        "JOB_TYPES": "REGIONAL_ASSESSMENT",
        "WORKER_USERNAME": f"{known.name}@example.org",
        "WORKER_PASSWORD": known.secret,
        "POLL_INTERVAL_MS": "200",
        "IDLE_TIMEOUT_MS": "2000",
    }
    program = [sys.executable, str(EXAMPLE / "worker.py")]
    workers = [subprocess.Popen(program, env=environment) for _ in range(2)]
    try:
        found = live.wait_complete()
        assert [worker.wait(30) for worker in workers] == [0, 0]
    finally:
        for worker in workers:
            worker.send_signal(signal.SIGKILL)
            worker.wait()
    assert counts(found)["succeeded"] == 3
    prefix = "artefacts/reefs/mackay-2025-v1/"
    assert space.read(f"{prefix}regional_assessment.tiff") == b"the reefs of mackay"
    marker = json.loads(space.read(f"{prefix}success.json"))
    assert marker["face"] == "reefguide"
    assert marker["result"] == {"cog_path": "regional_assessment.tiff"}


def test_each_call_as_typescript_makes_it(space: Space, face: Face) -> None:
    parameters = {"id": 7, "region": "{w_id}/{i_id}@{i_version}", "deep": [{"x": "{i_id}"}]}
    spec = job("test", space.bucket, numbered(1), worker=kind("TEST", **parameters),
               outside=ELSEWHERE)  # fmt: skip
    live = space.submit(spec)
    worker = face.worker(space)
    shown, assignment = worker.take("TEST")
    assert isinstance(shown["id"], int)
    assert 0 < shown["id"] < 2**53
    assert shown["type"] == "TEST"
    filled = {"id": 7, "region": "W1/I0@v1", "deep": [{"x": "I0"}]}
    assert shown["input_payload"] == filled
    assert isinstance(assignment["id"], int)
    assert 0 < assignment["id"] < 2**53
    assert assignment["job_id"] == shown["id"]
    assert assignment["storage_uri"] == f"s3://{space.bucket}/artefacts/test/W1-I0-v1"
    assert assignment["storage_scheme"] == "S3"
    assert not markers(space)  # no marker before it says that it is done
    assert worker.result(assignment["id"], "SUCCEEDED", {}).status == 200
    live.wait_complete()


def test_what_has_failed_is_a_job_again(space: Space, face: Face) -> None:
    spec = job("again", space.bucket, numbered(1), worker=kind("TEST"), outside=ELSEWHERE,
               retry={"limit": 2})  # fmt: skip
    live = space.submit(spec)
    worker = face.worker(space)
    job_of_first, first = worker.take()
    assert worker.result(first["id"], "FAILED").status == 200
    job_of_second, second = worker.take()
    assert job_of_second == job_of_first
    assert second["id"] != first["id"]
    assert worker.result(second["id"], "FAILED", None).status == 200
    found = live.wait_phase("Failed")
    assert counts(found)["failed"] == 1
    assert not markers(space)


def test_what_does_not_fit_into_the_marker_is_no_success(space: Space, face: Face) -> None:
    spec = job("large", space.bucket, numbered(1), worker=kind("TEST"), outside=ELSEWHERE)
    live = space.submit(spec)
    worker = face.worker(space)
    _, assignment = worker.take()
    answer = worker.result(assignment["id"], "SUCCEEDED", {"points": "x" * 70_000})
    assert answer.status == 400
    assert "write more into a file below storage_uri" in answer.body["message"]
    live.wait_phase("Failed")
    assert not markers(space)


def test_what_is_expected_has_to_be_there(space: Space, face: Face) -> None:
    """Its worker does not say it twice: so the volume is begun anew, and not in hours."""
    output = {"bucket": space.bucket, "expect": ["*.tiff"]}
    spec = job("bare", space.bucket, numbered(1), worker=kind("TEST"), outside=ELSEWHERE)
    spec["spec"]["output"] = output
    live = space.submit(spec)
    worker = face.worker(space)
    _, assignment = worker.take()
    answer = worker.result(assignment["id"], "SUCCEEDED", {})
    assert answer.status == 400
    assert "*.tiff" in answer.body["message"]
    _, assignment = worker.take()
    key = assignment["storage_uri"].removeprefix(f"s3://{space.bucket}/")
    space.put(f"{key}/a.tiff", b"reef")
    assert worker.result(assignment["id"], "SUCCEEDED", {}).status == 200
    live.wait_complete()


def test_what_cannot_be_read_fails_the_attempt(space: Space, face: Face) -> None:
    spec = job("odd", space.bucket, numbered(1), worker=kind("TEST"), outside=ELSEWHERE)
    live = space.submit(spec)
    worker = face.worker(space)
    for sent in (b'{"status": "DONE"}', b"{", b" " * 140_000):
        _, assignment = worker.take()
        answer = worker.send("POST", f"/jobs/assignments/{assignment['id']}/result", sent)
        assert answer.status == 400
        assert set(answer.body) == {"status", "message"}
    live.wait_phase("Failed")
    assert not markers(space)


def test_what_nothing_keeps_is_refused(space: Space, face: Face) -> None:
    worker = face.worker(space)
    answer = worker.send("POST", "/admin/data-specification", {"regions": []})
    assert answer.status == 403
    assert "leave DATA_SPECIFICATION_UPDATE to ReefGuide" in answer.body["message"]
    assert worker.send("GET", "/jobs/17").status == 404


def test_a_restart_changes_nothing(space: Space, face: Face) -> None:
    """The trap of a forgotten key: who is logged in stays so, and what it has stays its own."""
    spec = job("long", space.bucket, numbered(3), worker=kind("TEST"), outside=ELSEWHERE)
    live = space.submit(spec)
    worker = face.worker(space)
    before = {shown["id"]: shown["input_payload"] for shown in worker.wait_jobs(3)}
    taken, assignment = worker.take()
    face.operator.kill()
    face.operator.start()
    assert worker.result(assignment["id"], "SUCCEEDED", {"after": "a restart"}).status == 200
    until(lambda: len(worker.poll()) == 2, "the others are shown")
    assert {shown["id"] for shown in worker.poll()} == before.keys() - {taken["id"]}
    for _ in range(2):
        _, assignment = worker.take()
        assert worker.result(assignment["id"]).status == 200
    assert counts(live.wait_complete())["succeeded"] == 3
