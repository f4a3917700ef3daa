"""A worker that keeps its own loop, written from the page on the functions alone."""

import signal
from pathlib import Path

import pytest

from bec_ops import get_output_info, get_worker_id, is_successfully_done
from bec_ops.contract.errors import MisconfiguredError
from bec_ops.contract.s3.store import StoreError
from tests.support.fake_operator import FakeOperator
from tests.support.worker_runs import WorkerRun, wait_done, wait_ended

LOOP = """
import signal, sys
from bec_ops import *
job_id = "ocr"
register()
while task := get_next_task(job_id):
    w_id, i_id, i_version = task
    print("working on", w_id, i_id, i_version, "as", get_worker_id(), flush=True)
    set_total(3)
    for page in range(3):
        heartbeat()
        item_done()
    BODY
no_tasks_left()
"""
DONE = "task_done(job_id, w_id, i_id, i_version, 'done')"


def script(body: str) -> str:
    return LOOP.replace("BODY", body)


@pytest.fixture
def run(tmp_path: Path) -> WorkerRun:
    return WorkerRun(tmp_path)


def test_the_pods_volume_once(run: WorkerRun) -> None:
    ended = wait_done(run.start_script(script(DONE)))
    assert ended.out == "working on W1 I1 v1 as pod-1/uid-1\n"
    marker = run.marker
    assert marker
    assert (marker["worker_id"], marker["total_images"]) == ("pod-1/uid-1", 3)
    assert run.log == ended.out
    assert wait_done(run.start_script(script(DONE))).out == ""


def test_an_authors_own_marker_stays(run: WorkerRun) -> None:
    own = '{"worker_id": "me", "success_timestamp": "2026-11-25"}'
    write = f"open({str(run.output / 'success.json')!r}, 'w').write({own!r}); "
    run.output.mkdir()
    wait_done(run.start_script(script(write + DONE)))
    assert (run.output / "success.json").read_text() == own


@pytest.mark.parametrize(
    ("status", "code", "failure"),
    [("failed", 75, "Retryable"), ("Terminal_Failed", 65, "Terminal")],
)
def test_who_says_failed_does_not_end_with_0(
    run: WorkerRun, status: str, code: int, failure: str
) -> None:
    ended = wait_ended(run.start_script(script(DONE.replace("done'", f"{status}'"))))
    assert ended.code == code
    assert run.told == {"class": failure, "message": f"the worker says '{status}'"}
    assert run.marker is None
    assert "working on W1" in run.log


@pytest.mark.parametrize(
    ("body", "code", "failure", "message"),
    [
        ("raise TerminalError('no pages')", 65, "Terminal", "no pages"),
        (DONE.replace("done'", "finished'"), 75, "Retryable", "write 'done' (or success, "),
        (DONE.replace("w_id", "'W2'"), 78, "Misconfigured", "is 'ocr' of W1/I1@v1, not 'ocr' of"),
    ],
)
def test_an_exception_that_nobody_catches(
    run: WorkerRun, body: str, code: int, failure: str, message: str
) -> None:
    ended = wait_ended(run.start_script(script(body)))
    assert ended.code == code
    assert run.told["class"] == failure
    assert message in run.told["message"]
    assert "Traceback" in ended.err
    assert "Traceback" in run.log


def test_the_id_of_another_job(run: WorkerRun) -> None:
    ended = wait_ended(run.start_script(script(DONE).replace('"ocr"', '"lines"')))
    assert ended.code == 78
    assert run.told["message"] == "this worker is there for the job 'ocr', not for 'lines'"


def test_who_forgets_to_say_how_it_ended_keeps_its_exit_code(run: WorkerRun) -> None:
    assert wait_ended(run.start_script(script("sys.exit(3)"))).code == 3
    assert run.marker is None
    assert "working on" in run.log


def test_sigterm_ends_it_at_the_next_item(run: WorkerRun) -> None:
    body = "print('ready', flush=True); signal.pause(); item_done(); raise AssertionError"
    process = run.start_script(script(body))
    assert process.stdout
    process.stdout.readline()
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    assert wait_ended(process).code == 143
    assert run.told == {"class": "Interrupted", "message": "got SIGTERM"}


def test_who_has_registered_reports(tmp_path: Path) -> None:
    with FakeOperator() as operator:
        run = WorkerRun(tmp_path, {"BEC_OPERATOR_URL": operator.url})
        wait_done(run.start_script(script(DONE)))
    assert (operator.paths()[0], operator.paths()[-1]) == ("register", "done")


ENVIRONMENT = {
    "BEC_JOB_ID": "ocr",
    "BEC_W_ID": "W1",
    "BEC_I_ID": "I1",
    "BEC_I_VERSION": "v1",
    "BEC_OUTPUT_URI": "s3://bucket/out/ocr/W1-I1-v1/",
    "BEC_OUTPUT_TEMPLATE": "s3://bucket/out/{job_id}/{w_id}-{i_id}-{i_version}/",
    "BEC_DEPENDENCIES": '{"lines": {"bucket": "other", "prefix": "l/{job_id}/{w_id}/{i_id}/"}}',
    "BEC_WORKER_ID": "pod-1/uid-1",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.mark.usefixtures("environment")
def test_where_output_goes() -> None:
    own = ("bucket", "out/ocr/W1-I1-v1/")
    assert get_output_info("ocr", "W1", "I1", "v1") == own
    assert get_output_info("ocr", "W-2", "I2", "v1") == ("bucket", "out/ocr/W%2D2-I2-v1/")
    assert get_output_info("ocr", "W1", "I1") == ("bucket", "out/ocr/W1-I1/")
    assert get_output_info("lines", "W1", "I1") == ("other", "l/lines/W1/I1/")
    with pytest.raises(MisconfiguredError, match=r"'line' writes is not known: .* are: 'lines'"):
        get_output_info("line", "W1", "I1")
    assert get_worker_id() == "pod-1/uid-1"


def test_without_a_template_only_the_tasks_own_output_is_known(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.delenv("BEC_OUTPUT_TEMPLATE")
    environment.delenv("BEC_DEPENDENCIES")
    assert get_output_info("ocr", "W1", "I1", "v1") == ("bucket", "out/ocr/W1-I1-v1/")
    with pytest.raises(MisconfiguredError, match="W2/I1 is not known"):
        get_output_info("ocr", "W2", "I1")
    with pytest.raises(MisconfiguredError, match="are: none"):
        get_output_info("lines", "W1", "I1")


def test_what_is_not_known_is_not_said_to_be_undone(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    environment.setenv("AWS_ACCESS_KEY_ID", "x")
    environment.setenv("AWS_SECRET_ACCESS_KEY", "x")
    environment.setenv("AWS_REGION", "us-east-1")
    with pytest.raises(StoreError, match="does not answer"):
        is_successfully_done("ocr", "W1", "I1")


WRITES = f"""
    import pathlib
    pathlib.Path("output").mkdir(exist_ok=True)
    pathlib.Path("output/1.txt").touch()
    {DONE}
"""


def test_what_a_loop_wrote_by_other_means_is_looked_for(tmp_path: Path) -> None:
    run = WorkerRun(tmp_path, {"BEC_EXPECT": '["*.txt"]'})
    ended = wait_ended(run.start_script(script(DONE)))
    assert (ended.code, run.told["class"]) == (75, "Retryable")
    assert "nothing there matches '*.txt'" in run.told["message"]
    assert run.marker is None
    wait_done(run.start_script(script(WRITES.strip())))
    assert run.marker
    assert run.marker["expect_met"] == ["*.txt"]
    assert "nb_artefacts" not in run.marker, "nobody has counted them"


def test_an_authors_own_marker_does_not_make_up_for_what_is_missing(tmp_path: Path) -> None:
    run = WorkerRun(tmp_path, {"BEC_EXPECT": '["*.txt"]'})
    own = '{"worker_id": "me", "success_timestamp": "2026-11-25"}'
    write = f"open({str(run.output / 'success.json')!r}, 'w').write({own!r}); "
    run.output.mkdir()
    assert wait_ended(run.start_script(script(write + DONE))).code == 75
    assert "nothing there matches '*.txt'" in run.told["message"]
