"""The worker's library against a real S3, and against one that does not answer."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from mypy_boto3_s3 import S3Client

from bec_ops import get_output_info, is_successfully_done
from bec_ops.contract.s3.store import StoreError
from bec_ops.contract.volume import Volume
from tests.cluster import S3
from tests.support.fake_operator import FakeOperator
from tests.support.s3_faults import S3Faults, Said
from tests.support.space import keys_of
from tests.support.waiting import until
from tests.support.worker_runs import WorkerRun, wait_done, wait_ended

pytestmark = pytest.mark.stores

VOLUME = Volume("W1", "I1", "v1")
PREFIX = "artefacts/ocr/W1-I1-v1/"
HANDLER = """
from bec_ops import worker

@worker.job("ocr")
def ocr(task):
    for page in task.track(range(3)):
        task.write(f"{page}.txt", "བོད")
    print("the last words")

worker.main()
"""
# Written from the page on the functions alone, with boto3 for the artefacts.
LOOP = """
import boto3
from bec_ops import get_next_task, get_output_info, is_successfully_done, task_done
job_id = "ocr"
s3 = boto3.client("s3")
while task := get_next_task(job_id):
    w_id, i_id, i_version = task
    if is_successfully_done(job_id, w_id, i_id):
        continue
    bucket, prefix = get_output_info(job_id, w_id, i_id, i_version)
    s3.put_object(Bucket=bucket, Key=prefix + "0.txt", Body=b"text")
    task_done(job_id, w_id, i_id, i_version, "done")
"""


@pytest.fixture
def faults(s3: S3) -> Iterator[S3Faults]:
    with S3Faults(s3) as faults:
        yield faults


def environment(s3: S3, bucket: str) -> dict[str, str]:
    return s3.environment() | {
        "BEC_OUTPUT_URI": f"s3://{bucket}/{PREFIX}",
        "BEC_OUTPUT_TEMPLATE": f"s3://{bucket}/artefacts/{{job_id}}/{{w_id}}-{{i_id}}-{{i_version}}/",
        "AWS_DEFAULT_REGION": s3.region,  # which boto3 itself wants
        "BEC_S3_PATIENCE": "2",
    }


def test_a_handler(s3: S3, client: S3Client, bucket: str, tmp_path: Path) -> None:
    run = WorkerRun(tmp_path, environment(s3, bucket))
    wait_done(run.start_script(HANDLER))
    names = ("0.txt", "1.txt", "2.txt", "_logs/attempt-1-task-uid.log", "success.json")
    assert keys_of(client, bucket) == [PREFIX + name for name in names]
    page = client.get_object(Bucket=bucket, Key=PREFIX + "0.txt")
    assert page["Body"].read().decode() == "བོད"
    assert page["ContentType"].replace(" ", "") == "text/plain;charset=utf-8"
    log = client.get_object(Bucket=bucket, Key=PREFIX + names[3])
    assert log["Body"].read() == b"the last words\n"
    marker = json.loads(
        client.get_object(Bucket=bucket, Key=PREFIX + "success.json")["Body"].read()
    )
    assert (marker["worker_id"], marker["total_images"]) == ("pod-1/uid-1", 3)


def test_a_loop(s3: S3, client: S3Client, bucket: str, tmp_path: Path) -> None:
    run = WorkerRun(tmp_path, environment(s3, bucket))
    for _ in range(2):
        wait_done(run.start_script(LOOP))
        assert PREFIX + "success.json" in keys_of(client, bucket)


def test_a_store_that_does_not_answer_is_to_be_asked_later(
    faults: S3Faults, client: S3Client, bucket: str, tmp_path: Path
) -> None:
    run = WorkerRun(tmp_path, environment(faults.s3, bucket))
    faults.refuse(503, "GetObject")
    for script in (HANDLER, LOOP):
        assert wait_ended(run.start_script(script)).code == 75
        assert run.told["class"] == "Retryable"
        assert "503" in run.told["message"] or "SlowDown" in run.told["message"]
    faults.heal()
    assert PREFIX + "success.json" not in keys_of(client, bucket)


def test_an_artefact_that_is_refused(
    faults: S3Faults, client: S3Client, bucket: str, tmp_path: Path
) -> None:
    run = WorkerRun(tmp_path, environment(faults.s3, bucket))
    faults.refuse(403, "PutObject", "1.txt")
    assert wait_ended(run.start_script(HANDLER)).code == 75
    assert "forbids access" in run.told["message"]
    assert keys_of(client, bucket) == [PREFIX + "0.txt", PREFIX + "_logs/attempt-1-task-uid.log"]


def test_a_log_that_is_refused_costs_nothing(
    faults: S3Faults, client: S3Client, bucket: str, tmp_path: Path
) -> None:
    run = WorkerRun(tmp_path, environment(faults.s3, bucket))
    faults.refuse(403, "PutObject", "_logs/")
    ended = wait_done(run.start_script(HANDLER))
    assert "the log cannot be stored" in ended.err
    assert PREFIX + "success.json" in keys_of(client, bucket)


def test_a_volume_that_the_store_cannot_hold_is_not_tried_again(
    faults: S3Faults, client: S3Client, bucket: str, tmp_path: Path
) -> None:
    """F1: the look at the marker, before all work, is what says so."""
    run = WorkerRun(tmp_path, environment(faults.s3, bucket))
    faults.refuse(400, key=PREFIX, said=Said("KeyTooLongError", "Your key is too long"))
    assert wait_ended(run.start_script(HANDLER)).code == 65
    assert run.told["class"] == "Terminal"
    assert "Your key is too long" in run.told["message"]
    assert keys_of(client, bucket) == []


def test_a_store_that_is_busy_is_waited_for_until_a_stop(
    faults: S3Faults, client: S3Client, bucket: str, tmp_path: Path
) -> None:
    """A worker that is told to stop meanwhile says so: the attempt costs nothing."""
    run = WorkerRun(tmp_path, environment(faults.s3, bucket) | {"BEC_S3_PATIENCE": "600"})
    faults.refuse(503, "PutObject", "1.txt")
    process = run.start_script(HANDLER)
    until(lambda: faults.requests["PutObject"] >= 6, "it is asked again and again", timeout=60)
    process.send_signal(signal.SIGTERM)
    assert wait_ended(process).code == 143
    assert run.told["class"] == "Interrupted"
    assert "SlowDown" in run.told["message"]
    assert PREFIX + "success.json" not in keys_of(client, bucket)


@pytest.mark.parametrize("operation", ["GetObject", "PutObject"])
def test_signs_of_life_go_on_while_a_store_is_waited_for(
    faults: S3Faults, client: S3Client, bucket: str, tmp_path: Path, operation: str
) -> None:
    """Of the look whether it is done already, too."""
    with FakeOperator() as operator:
        found = environment(faults.s3, bucket) | {
            "BEC_S3_PATIENCE": "600",
            "BEC_OPERATOR_URL": operator.url,
        }
        run = WorkerRun(tmp_path, found)
        faults.refuse(503, operation)
        process = run.start_script(HANDLER)
        until(lambda: faults.requests[operation] >= 3, "it is asked again", timeout=60)
        seen = len(operator.bodies("heartbeat"))
        operator.wait(lambda: len(operator.bodies("heartbeat")) > seen + 5, "signs of life")
        faults.heal()
        wait_done(process)
    assert PREFIX + "success.json" in keys_of(client, bucket)


def test_done_undone_and_unknown(
    s3: S3, client: S3Client, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = {"BEC_JOB_ID": "ocr", "BEC_W_ID": "W1", "BEC_I_ID": "I1", "BEC_I_VERSION": "v1"}
    for name, value in (environment(s3, bucket) | task).items():
        monkeypatch.setenv(name, value)

    def write(volume: Volume, body: str) -> None:
        place, prefix = get_output_info("ocr", *volume)
        client.put_object(Bucket=place, Key=f"{prefix}success.json", Body=body.encode())

    valid = '{"worker_id": "w", "success_timestamp": "2026-11-25T00:00:00Z"}'
    assert not is_successfully_done("ocr", *VOLUME)
    write(VOLUME, "{}")
    assert not is_successfully_done("ocr", *VOLUME)
    write(VOLUME, valid)
    assert is_successfully_done("ocr", *VOLUME)
    assert is_successfully_done("ocr", "W1", "I1")  # of the version at hand
    assert not is_successfully_done("ocr", "W1", "I1", "")
    assert not is_successfully_done("ocr", "W2", "I1")
    write(Volume("W2", "I1"), valid)
    assert is_successfully_done("ocr", "W2", "I1")
    monkeypatch.setenv("BEC_REDO_AT", "2999-01-01T00:00:00Z")
    assert not is_successfully_done("ocr", "W2", "I1")
    write(Volume("W2", "I1"), valid[:-1] + ', "redo_at": "2999-01-01T00:00:00Z"}')
    assert is_successfully_done("ocr", "W2", "I1")
    monkeypatch.setenv("BEC_OUTPUT_TEMPLATE", "s3://nobody-made-this/{job_id}/{w_id}-{i_id}/")
    with pytest.raises(StoreError, match="does not exist"):
        is_successfully_done("ocr", "W2", "I1")


def test_a_dependency_is_done_if_its_marker_is_not_outdated(
    s3: S3, client: S3Client, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = {"BEC_JOB_ID": "ocr", "BEC_W_ID": "W1", "BEC_I_ID": "I1", "BEC_I_VERSION": "v1"}
    for name, value in (environment(s3, bucket) | task).items():
        monkeypatch.setenv(name, value)
    valid = b'{"worker_id": "w", "success_timestamp": "2026-11-25T00:00:00Z"}'
    client.put_object(Bucket=bucket, Key="l/lines/W1/I1/v1/success.json", Body=valid)
    output = {"bucket": bucket, "prefix": "l/{job_id}/{w_id}/{i_id}/{i_version}/"}

    def done(**more: str) -> bool:
        monkeypatch.setenv("BEC_DEPENDENCIES", json.dumps({"lines": output | more}))
        return is_successfully_done("lines", *VOLUME)

    assert done()
    assert done(redoAt="2026-01-01T00:00:00Z")
    assert not done(redoAt="2999-01-01T00:00:00Z")
