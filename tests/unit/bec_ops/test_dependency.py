"""What a handler reads of a job that its own depends on."""

from pathlib import Path

import pytest

from bec_ops.contract.errors import MisconfiguredError, RetryableError, TerminalError
from bec_ops.contract.s3.store import READ_AT_MOST
from bec_ops.contract.task import Task
from bec_ops.link.environment import JobOutput, Surroundings
from bec_ops.link.stopping import Stop
from bec_ops.running_task import RunningTask
from bec_ops.runtime.attempt import Attempt

LINES = JobOutput(bucket="other", prefix="l/{job_id}/{w_id}/{i_id}-{i_version}/")


def attempt(folder: Path, **dependencies: str) -> Attempt:
    task = Task(
        job_id="ocr",
        w_id="W1",
        i_id="I1",
        i_version="v1",
        output_uri=f"file://{folder}/",
        worker_id="w",
    )
    return Attempt(
        task, Surroundings(dependencies={"lines": LINES}), Stop(), dependencies=dependencies
    )


def test_its_artefacts_are_read_by_their_names(tmp_path: Path) -> None:
    writing = attempt(tmp_path / "lines")
    RunningTask(writing).write("pages/1.json", '{"lines": []}')
    task = RunningTask(attempt(tmp_path / "ocr", lines=f"file://{tmp_path}/lines/"))
    lines = task.dependency("lines")
    assert lines.job_id == "lines"
    assert lines.read("pages/1.json") == b'{"lines": []}'


def test_what_was_not_written_is_missing_for_good(tmp_path: Path) -> None:
    lines = RunningTask(attempt(tmp_path, lines=f"file://{tmp_path}/")).dependency("lines")
    said = f"the job 'lines' has written no '1.json' for W1/I1@v1: .* file://{tmp_path}/1.json$"
    with pytest.raises(TerminalError, match=said):
        lines.read("1.json")


def test_what_no_process_can_hold_is_not_read_as_a_whole(tmp_path: Path) -> None:
    with (tmp_path / "scan.tif").open("wb") as file:
        file.truncate(READ_AT_MOST + 1)  # which takes no room
    lines = RunningTask(attempt(tmp_path, lines=f"file://{tmp_path}/")).dependency("lines")
    with pytest.raises(TerminalError, match=r"has 1,073,741,825 bytes; .*; read it bit by bit"):
        lines.read("scan.tif")


@pytest.fixture
def no_s3(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")


@pytest.mark.usefixtures("no_s3")
def test_it_is_where_the_environment_says_and_unknown_is_not_missing(tmp_path: Path) -> None:
    lines = RunningTask(attempt(tmp_path)).dependency("lines")
    assert lines.uri == "s3://other/l/lines/W1/I1-v1/"
    with pytest.raises(RetryableError, match=r"'1\.json' of the job 'lines': S3 does not answer"):
        lines.read("1.json")


@pytest.mark.parametrize("other", ["line", "ocr"])
def test_other_jobs_are_not_known(tmp_path: Path, other: str) -> None:
    with pytest.raises(MisconfiguredError, match=f"'{other}' writes is not known: .* are: 'lines'"):
        RunningTask(attempt(tmp_path)).dependency(other)
