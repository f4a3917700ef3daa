"""What an output must hold, `output.expect`: by the library, and by the operator for others."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from mypy_boto3_s3 import S3Client

from bec_ops import is_successfully_done
from tests.cluster import S3
from tests.integration.conftest import MakeOperator
from tests.support.behaviours import Behaviour, hang, in_turn
from tests.support.jobs import counts, job, numbered
from tests.support.kube import Body
from tests.support.pods import PlayedPod
from tests.support.s3_faults import S3Faults
from tests.support.space import Space, keys_of
from tests.support.waiting import until
from tests.support.worker_runs import WorkerRun, wait_done, wait_ended
from tests.support.workers import Workers

EXPECT = ["*.txt", "volume.json"]
PREFIX = "artefacts/ocr/W1-I1-v1/"
PLAIN = b'{"worker_id": "w", "success_timestamp": "2026-11-25T00:00:00Z"}'
HANDLER = """
import os
from bec_ops import worker

@worker.job("ocr")
def ocr(task):
    for name in os.environ["NAMES"].split():
        task.write(name, "བོད")

worker.main()
"""


@pytest.fixture(scope="module")
def proxy(s3: S3, make_operator: MakeOperator) -> Iterator[S3Faults]:
    """A proxy, and an operator that reaches S3 through it."""
    with S3Faults(s3) as proxy, make_operator(s3=proxy.s3):
        yield proxy


@pytest.fixture
def faults(proxy: S3Faults) -> Iterator[S3Faults]:
    """The proxy, which is well before and after each test."""
    yield proxy
    proxy.heal()


def output(space: Space, *patterns: str) -> Body:
    return {"bucket": space.bucket, "expect": list(patterns or EXPECT)}


def write(*names: str, marker: bytes | None = PLAIN) -> Behaviour:
    """Return a plain container that writes artefacts, then the marker, and ends well."""

    def behaviour(pod: PlayedPod) -> None:
        pod.start()
        for name in names:
            pod.put_artefact(name)
        pod.put_marker(marker)
        pod.end(0)

    return behaviour


def attempts(space: Space) -> list[Body]:
    (task,) = space.tasks()
    found: list[Body] = task["status"]["attempts"]
    return found


def environment(s3: S3, bucket: str, **more: str) -> dict[str, str]:
    return s3.environment() | {
        "BEC_OUTPUT_URI": f"s3://{bucket}/{PREFIX}",
        "BEC_EXPECT": json.dumps(EXPECT),
        **more,
    }


def test_a_handler(s3: S3, client: S3Client, bucket: str, tmp_path: Path) -> None:
    with S3Faults(s3) as counted:
        run = WorkerRun(tmp_path, environment(counted.s3, bucket, NAMES="pages/1.txt"))
        assert wait_ended(run.start_script(HANDLER)).code == 75
        assert run.told == {
            "class": "Retryable",
            "message": f"s3://{bucket}/{PREFIX}: nothing there matches 'volume.json', which "
            "spec.output.expect demands; there is 'pages/1.txt'",
        }
        missed = counted.requests["ListObjectsV2"]
        assert PREFIX + "success.json" not in keys_of(client, bucket)

        run = WorkerRun(tmp_path, environment(counted.s3, bucket, NAMES="2.txt volume.json"))
        wait_done(run.start_script(HANDLER))
        met = counted.requests["ListObjectsV2"] - missed
        assert missed == met + 1, "what is written need not be looked for"
    marker = json.loads(
        client.get_object(Bucket=bucket, Key=PREFIX + "success.json")["Body"].read()
    )
    assert marker["expect_met"] == EXPECT
    assert (marker["nb_artefacts"], marker["artefact_bytes"]) == (2, 18)


def test_what_an_earlier_attempt_left_counts_but_for_redo_at(
    s3: S3, client: S3Client, bucket: str, tmp_path: Path
) -> None:
    client.put_object(Bucket=bucket, Key=PREFIX + "volume.json", Body=b"{}")
    redo_at = {"BEC_REDO_AT": "2999-01-01T00:00:00Z"}
    run = WorkerRun(tmp_path, environment(s3, bucket, NAMES="1.txt", **redo_at))
    assert wait_ended(run.start_script(HANDLER)).code == 75
    assert "1 that would do are from before redoAt" in run.told["message"]
    run = WorkerRun(tmp_path, environment(s3, bucket, NAMES="1.txt"))
    wait_done(run.start_script(HANDLER))


def test_exec_and_a_program_that_writes_elsewhere(
    s3: S3, client: S3Client, bucket: str, tmp_path: Path
) -> None:
    """plantit#269, luigi#2112: a script that writes to its own folder."""
    run = WorkerRun(tmp_path, environment(s3, bucket))
    script = "touch $0/1.txt $0/volume.json"
    assert wait_ended(run.start_command("exec", "--", "sh", "-c", script, ".")).code == 75
    assert "nothing there matches '*.txt', 'volume.json'" in run.told["message"]
    assert "it is empty" in run.told["message"]
    (log,) = keys_of(client, bucket)
    assert log.startswith(PREFIX + "_logs/")
    inside = script.replace("$0", "$BEC_OUTPUT_DIR")
    wait_done(run.start_command("exec", "--", "sh", "-c", inside))
    assert PREFIX + "success.json" in keys_of(client, bucket)


def test_a_loop_asks_the_same(
    s3: S3, client: S3Client, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = {"BEC_JOB_ID": "ocr", "BEC_W_ID": "W1", "BEC_I_ID": "I1", "BEC_I_VERSION": "v1"}
    for name, value in (environment(s3, bucket) | task).items():
        monkeypatch.setenv(name, value)
    client.put_object(Bucket=bucket, Key=PREFIX + "success.json", Body=PLAIN)
    assert not is_successfully_done("ocr", "W1", "I1")
    for name in ("pages/1.txt", "volume.json"):
        client.put_object(Bucket=bucket, Key=PREFIX + name, Body=b"x")
    assert is_successfully_done("ocr", "W1", "I1")


@pytest.mark.usefixtures("faults")
def test_a_plain_container_whose_marker_proves_too_little(space: Space, workers: Workers) -> None:
    """plantit#269, luigi#2112: each attempt says what is missing, and what is there instead."""
    workers.behaviour = in_turn(
        write(), write("pages/1.txt", "out.log"), write("pages/1.txt", "volume.json")
    )
    live = space.submit(job("plain", space.bucket, numbered(1), output=output(space)))

    assert counts(live.wait_complete()) == {"total": 1, "succeeded": 1}

    until(lambda: len(attempts(space)) == 3, "three attempts are recorded")
    first, second, last = attempts(space)
    assert [a.get("failure", "") for a in (first, second, last)] == [*["MarkerMissing"] * 2, ""]
    where = f"exit 0, but the marker is not valid: s3://{space.bucket}/artefacts/plain/W1-I0-v1/: "
    assert first["message"] == (
        f"{where}nothing there matches '*.txt', 'volume.json', which spec.output.expect demands; "
        "it is empty"
    )
    assert second["message"] == (
        f"{where}nothing there matches 'volume.json', which spec.output.expect demands; there is "
        "'out.log', 'pages/1.txt'"
    )


def test_one_list_for_each_marker_that_does_not_say(
    space: Space, workers: Workers, faults: S3Faults
) -> None:
    """None for one that says that a worker of ours has found it all, or where nothing is meant."""

    def lists(name: str, output: Body, behaviour: Behaviour) -> int:
        workers.behaviour = behaviour
        before = faults.requests["ListObjectsV2"]
        live = space.submit(job(name, space.bucket, numbered(4), output=output))
        assert counts(live.wait_complete()) == {"total": 4, "succeeded": 4}
        return faults.requests["ListObjectsV2"] - before

    told = json.dumps({**json.loads(PLAIN), "expect_met": EXPECT, "nb_artefacts": 0}).encode()
    usual = lists("usual", {"bucket": space.bucket}, write())
    assert lists("told", output(space), write(marker=told)) == usual
    assert lists("plain", output(space), write("1.txt", "volume.json")) == usual + 4
    messages = {task["spec"]["job"]: task["status"]["message"] for task in space.tasks()}
    assert messages["told"] == "no artefact was written"


@pytest.mark.usefixtures("faults")
def test_markers_from_before_the_job_go_through_the_same(space: Space, workers: Workers) -> None:
    done, empty, fresh = (f"artefacts/before/W1-I{n}-v1/" for n in range(3))
    for prefix in (done, empty):
        space.put(f"{prefix}success.json", PLAIN)
    space.put(f"{done}a/1.txt", b"x")
    workers.behaviour = write("1.txt")
    live = space.submit(job("before", space.bucket, numbered(3), output=output(space, "*.txt")))

    assert counts(live.wait_complete()) == {"total": 3, "succeeded": 3, "alreadyDone": 1}

    ran = {run.pod.task.prefix for run in workers.runs.all()}
    assert ran == {empty, fresh}


@pytest.mark.usefixtures("faults")
def test_under_redo_at_only_what_was_written_since_counts(space: Space, workers: Workers) -> None:
    space.put("artefacts/again/W1-I0-v1/1.txt", b"x")
    space.put("artefacts/again/W1-I0-v1/success.json", PLAIN)
    space.wait_next_second()
    workers.behaviour = in_turn(write("1.log"), write("1.txt"))
    redo = job("again", space.bucket, numbered(1), output=output(space, "*.txt"))
    redo["spec"]["redoAt"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    space.submit(redo).wait_complete()

    until(lambda: len(attempts(space)) == 2, "two attempts are recorded")
    first, last = attempts(space)
    assert first["failure"] == "MarkerMissing"
    assert "1 that would do are from before redoAt" in first["message"]
    assert not last.get("failure")


def test_a_list_that_s3_does_not_answer_is_unknown(
    space: Space, workers: Workers, faults: S3Faults
) -> None:
    workers.behaviour = hang
    live = space.submit(job("dark", space.bucket, numbered(1), output=output(space, "*.txt")))
    workers.running(1)
    faults.refuse(503, "ListObjectsV2")
    workers.release(write("1.txt"))
    live.wait_stalled("StorageUnavailable")
    assert counts(live.read()) == {"total": 1, "running": 1}
    faults.heal()
    assert counts(live.wait_complete()) == {"total": 1, "succeeded": 1}
    workers.runs.check_each_ran_once(1)


@pytest.mark.usefixtures("faults")
def test_a_worker_of_ours_is_told_what_is_expected_of_it(
    space: Space, workers: Workers, s3: S3, tmp_path: Path
) -> None:
    """From the Job by the pod's environment to the library, and from its marker back."""
    written = ["1.txt", "1.txt volume.json"]

    def run_handler(pod: PlayedPod) -> None:
        pod.start()
        told = {"BEC_OPERATOR_URL": "", "NAMES": written[pod.task.attempt - 1]}
        found = {**pod.task.environment(), **s3.environment(), **told}
        worker = WorkerRun(tmp_path / pod.name, found)
        ended = wait_ended(worker.start_script(HANDLER))
        pod.end(ended.code, message=json.dumps(worker.told) if worker.told else "")

    workers.behaviour = run_handler
    live = space.submit(job("ours", space.bucket, numbered(1), output=output(space)))

    assert counts(live.wait_complete(60)) == {"total": 1, "succeeded": 1}

    until(lambda: len(attempts(space)) == 2, "two attempts are recorded")
    first, last = attempts(space)
    assert (first["failure"], first["exitCode"]) == ("Retryable", 75)
    assert "nothing there matches 'volume.json'" in first["message"]
    assert not last.get("failure")
    (task,) = space.tasks()
    assert task["status"]["message"] == "2 artefacts, 18 bytes"
