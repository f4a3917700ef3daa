"""A worker's process, from its environment to its exit code, as in a pod of its own."""

import signal
from pathlib import Path

import pytest

from tests.support.fake_operator import FakeOperator
from tests.support.worker_runs import WorkerRun, wait_done, wait_ended

WORKER = """
import os, signal, subprocess, sys
from bec_ops import TerminalError, worker
from pydantic import BaseModel

class Parameters(BaseModel):
    pages: int = 3

@worker.job("ocr", parameters=Parameters)
def ocr(task, parameters):
    def work(page):
        task.write(f"{page}.txt", str(page))
    BODY

worker.main()
"""
DO_ALL = "for page in task.track(range(parameters.pages)): work(page)"
WAIT = """
    def pages():
        yield 1
        print("ready", flush=True)
        signal.pause()
        yield 2
    for page in task.track(pages()): work(page)
"""


def script(body: str) -> str:
    return WORKER.replace("BODY", body.strip())


@pytest.fixture
def run(tmp_path: Path) -> WorkerRun:
    return WorkerRun(tmp_path)


def test_artefacts_log_and_marker(run: WorkerRun) -> None:
    prints = "print('out'); subprocess.run(['echo', 'of a child']); os.write(2, b'raw\\n')"
    ended = wait_done(run.start_script(script(f"{DO_ALL}\n    {prints}")))
    assert sorted(path.name for path in run.output.glob("*.txt")) == ["0.txt", "1.txt", "2.txt"]
    marker = run.marker
    assert marker
    assert marker["worker_id"] == "pod-1/uid-1"
    assert marker["volume"] == {"w_id": "W1", "i_id": "I1", "i_version": "v1"}
    assert marker["log"] == "_logs/attempt-1-task-uid.log"
    assert (marker["total_images"], marker["unit"], marker["nb_errors"]) == (3, "pages", 0)
    assert ended.out == "out\nof a child\n"
    assert ended.err == "raw\n"
    assert set(run.log.splitlines()) == {"out", "of a child", "raw"}
    assert run.told == {}


def test_of_much_output_the_end_is_kept_and_all_is_passed_on(run: WorkerRun) -> None:
    ended = wait_done(run.start_script(script("work(1); print('x' * 300_000 + 'end')")))
    assert ended.out == "x" * 300_000 + "end\n"
    assert run.log == "x" * (65536 - 4) + "end\n"


def test_what_is_done_is_not_done_again(run: WorkerRun) -> None:
    wait_done(run.start_script(script(DO_ALL)))
    before = run.marker
    ended = wait_done(run.start_script(script("raise AssertionError")))
    assert "W1/I1@v1 is done already" in ended.err
    assert run.marker == before


def test_what_was_done_before_redo_at_is_done_again_once(tmp_path: Path) -> None:
    wait_done(WorkerRun(tmp_path).start_script(script(DO_ALL)))
    redo_at = "2999-01-01T00:00:00Z"
    run = WorkerRun(tmp_path, {"BEC_REDO_AT": redo_at})
    for done_already in (False, True):
        ended = wait_done(run.start_script(script(DO_ALL)))
        assert ("is done already" in ended.err) is done_already
        assert run.marker
        assert run.marker["redo_at"] == redo_at


@pytest.mark.parametrize(
    ("body", "code", "told"),
    [
        ("raise TerminalError('no pages')", 65, ("Terminal", "no pages")),
        ("raise KeyError(1)", 75, ("Retryable", "KeyError: 1")),
        ("sys.exit()", 75, ("Retryable", "the worker ended with exit code 0")),
    ],
)
def test_failures(run: WorkerRun, body: str, code: int, told: tuple[str, str]) -> None:
    ended = wait_ended(run.start_script(script(f"work(1); {body}")))
    assert ended.code == code
    assert (run.told["class"], run.told["message"]) == told
    assert run.marker is None
    assert (run.output / "1.txt").exists()
    assert told[1] in run.log
    assert ("Traceback" in run.log) == (body == "raise KeyError(1)")


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"BEC_PARAMETERS": '{"pages": "x"}'}, "parameters of handler 'ocr': pages='x'"),
        ({"BEC_W_ID": ""}, "BEC_W_ID is not set"),
        ({"BEC_OPERATOR_URL": "operator:8080"}, "BEC_OPERATOR_URL='operator:8080'"),
        ({"BEC_REDO_AT": "today"}, "BEC_REDO_AT='today'"),
    ],
)
def test_what_is_set_up_wrongly(tmp_path: Path, variables: dict[str, str], message: str) -> None:
    run = WorkerRun(tmp_path, variables)
    ended = wait_ended(run.start_script(script(DO_ALL)))
    assert ended.code == 78
    assert run.told["class"] == "Misconfigured"
    assert message in run.told["message"]
    assert message in ended.err
    assert not list(run.output.glob("*.txt"))


def test_sigterm_lets_the_item_at_hand_end(run: WorkerRun) -> None:
    process = run.start_script(script(WAIT))
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    assert wait_ended(process).code == 143
    assert run.told == {"class": "Interrupted", "message": "got SIGTERM"}
    assert (run.output / "1.txt").exists()
    assert not (run.output / "2.txt").exists()
    assert run.marker is None
    assert "got SIGTERM" in run.log


def test_a_second_signal_is_immediate(run: WorkerRun) -> None:
    process = run.start_script(script("while True: print('ready', flush=True); signal.pause()"))
    assert process.stdout
    for _ in range(2):
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
    assert wait_ended(process).code == 143
    assert run.told == {"class": "Interrupted", "message": "told to stop twice"}
    assert run.marker is None


def test_who_ends_well_within_the_grace_has_succeeded(run: WorkerRun) -> None:
    body = "print('ready', flush=True); signal.pause(); work(1)"
    process = run.start_script(script(body))
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    wait_done(process)
    assert run.marker


UNTIL_STOPPED = "import time\n    for page in task.track(iter(lambda: time.sleep(0.01), 1)): pass"


def test_an_abort_of_the_operator_ends_it(tmp_path: Path) -> None:
    with FakeOperator() as operator:
        operator.answers["heartbeat"] = [(200, {}), (200, {"directive": "abort", "reason": "why"})]
        run = WorkerRun(tmp_path, {"BEC_OPERATOR_URL": operator.url})
        assert wait_ended(run.start_script(script(UNTIL_STOPPED))).code == 143
    assert run.told == {"class": "Interrupted", "message": "aborted by the operator: why"}
    assert operator.paths()[0] == "register"
    (failed,) = operator.bodies("failed")
    assert (failed["failure"], failed["task_uid"], failed["attempt"]) == (
        *("Interrupted", "task-uid"),
        1,
    )


def test_the_command_runs_a_file(run: WorkerRun) -> None:
    run.write(script(DO_ALL).replace("worker.main()", ""))
    wait_done(run.start_command("run", "worker.py"))
    assert run.marker


def test_a_file_that_cannot_be_imported(run: WorkerRun) -> None:
    run.write("import no_such_thing")
    assert wait_ended(run.start_command("run", "worker.py")).code == 78
    assert "worker.py cannot be imported: No module named" in run.told["message"]


def test_a_log_that_cannot_be_stored_goes_to_the_operator(tmp_path: Path) -> None:
    with FakeOperator() as operator:
        run = WorkerRun(tmp_path, {"BEC_OPERATOR_URL": operator.url})
        run.output.mkdir()
        (run.output / "_logs").write_text("in the way")
        wait_done(run.start_script(script("print('the last words')")))
        (log,) = operator.bodies("log")
    assert log["text"].startswith("the last words\n")
    assert run.marker


def test_the_marker_counts_what_was_written(run: WorkerRun) -> None:
    wait_done(run.start_script(script(DO_ALL)))
    assert run.marker
    assert (run.marker["nb_artefacts"], run.marker["artefact_bytes"]) == (3, 3)
    assert "expect_met" not in run.marker


def test_what_is_expected_was_found(tmp_path: Path) -> None:
    run = WorkerRun(tmp_path, {"BEC_EXPECT": '["*.txt", "2.*"]'})
    wait_done(run.start_script(script(DO_ALL)))
    assert run.marker
    assert run.marker["expect_met"] == ["*.txt", "2.*"]


def test_what_is_missing_of_what_is_expected_is_no_success(tmp_path: Path) -> None:
    run = WorkerRun(tmp_path, {"BEC_EXPECT": '["*.txt", "volume.json"]'})
    ended = wait_ended(run.start_script(script(DO_ALL)))
    assert (ended.code, run.told["class"]) == (75, "Retryable")
    assert run.told["message"] == (
        f"file://{run.output}/: nothing there matches 'volume.json', which spec.output.expect "
        "demands; there is '0.txt', '1.txt', '2.txt'"
    )
    assert run.marker is None
    assert "volume.json" in run.log


def test_a_success_without_artefacts_is_told(run: WorkerRun) -> None:
    """plantit#269, luigi#2112: a script that writes elsewhere than it should."""
    ended = wait_done(run.start_command("exec", "--", "true"))
    assert run.marker
    assert run.marker["nb_artefacts"] == 0
    for said in (ended.err, run.log):
        assert "W1/I1@v1 is done, and no artefact was written" in said
        assert "BEC_OUTPUT_DIR" in said


def test_a_program_that_writes_elsewhere_is_no_success_if_something_is_expected(
    tmp_path: Path,
) -> None:
    """plantit#269, luigi#2112: a script that writes elsewhere than it should."""
    run = WorkerRun(tmp_path, {"BEC_EXPECT": '["*"]'})
    ended = wait_ended(run.start_command("exec", "--", "touch", "out.txt"))
    assert (ended.code, run.told["class"]) == (75, "Retryable")
    assert "nothing there matches '*'" in run.told["message"]
    assert run.marker is None
    wait_done(run.start_command("exec", "--", "sh", "-c", "touch $BEC_OUTPUT_DIR/out.txt"))
    assert run.marker
    assert run.marker["expect_met"] == ["*"]


def test_a_marker_beside_which_something_is_missing_is_not_done_already(tmp_path: Path) -> None:
    wait_done(WorkerRun(tmp_path).start_command("exec", "--", "true"))
    run = WorkerRun(tmp_path, {"BEC_EXPECT": '["1.txt"]'})
    ended = wait_done(run.start_script(script(DO_ALL)))
    assert "done already" not in ended.err
    assert run.marker
    assert run.marker["expect_met"] == ["1.txt"]
