"""A worker of a pool: one process, task after task, until it is to go."""

import json
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from bec_ops.contract.errors import MisconfiguredError, RetryableError
from bec_ops.contract.exit_codes import ExitCode
from bec_ops.contract.s3.store import Store
from bec_ops.contract.task import Task
from bec_ops.link.environment import Surroundings
from bec_ops.link.link import open_channel
from bec_ops.link.stopping import Stop
from bec_ops.runtime.pool_worker import PoolWorker
from tests.support.fake_operator import Answer, FakeOperator, refusal
from tests.support.worker_runs import WorkerRun, wait_done, wait_ended

HANDLER = """
import pathlib, time
from pydantic import BaseModel
from bec_ops import worker
from bec_ops.contract.errors import TerminalError

class Parameters(BaseModel):
    model: str = "bod"

print("model loaded", flush=True)

@worker.job("ocr", parameters=Parameters)
def ocr(task, parameters):
    print("at", task.volume.i_id, flush=True)
    if task.volume.i_id == "bad":
        raise TerminalError("no pages")
    if task.volume.i_id == "long":
        for _ in task.track(range(10_000)):
            time.sleep(0.02)
            if pathlib.Path("go").exists():
                break
    task.write("text.txt", task.volume.i_id)

worker.main()
"""
LOOP = """
from bec_ops import get_next_task, task_done
job_id = "ocr"
while task := get_next_task(job_id):
    i_id = task.i_id
    print(i_id, flush=True)
    task_done(job_id, *task, "failed" if i_id == "bad" else "done")
"""


@pytest.fixture
def operator() -> Iterator[FakeOperator]:
    with FakeOperator() as operator:
        yield operator


@pytest.fixture
def run(tmp_path: Path, operator: FakeOperator) -> WorkerRun:
    none = ("BEC_W_ID", "BEC_I_ID", "BEC_I_VERSION", "BEC_OUTPUT_URI", "BEC_TASK_UID")
    more = {"BEC_POOL": "true", "BEC_OPERATOR_URL": operator.url}
    return WorkerRun(tmp_path, dict.fromkeys(none, "") | more)


def task(run: WorkerRun, i_id: str, **more: Any) -> Answer:
    """Return the answer that gives a task."""
    given: dict[str, Any] = {
        "job_id": "ocr",
        "w_id": "W1",
        "i_id": i_id,
        "task_uid": f"uid-{i_id}",
        "output_uri": f"file://{run.folder}/{i_id}/",
        "worker_id": "pod-1/uid-1",
        **more,
    }
    return 200, {"task": given}


def marker(run: WorkerRun, i_id: str) -> dict[str, Any] | None:
    file = run.folder / i_id / "success.json"
    return json.loads(file.read_text()) if file.exists() else None


def test_task_after_task_with_one_model(run: WorkerRun, operator: FakeOperator) -> None:
    operator.answers["next"] = [task(run, "one"), (200, {}), task(run, "bad"), task(run, "two")]
    process = run.start_script(HANDLER)
    operator.wait(lambda: len(operator.bodies("done")) == 2, "two are done")
    process.send_signal(signal.SIGTERM)
    ended = wait_done(process)
    assert ended.out.split("\n")[:4] == ["model loaded", "at one", "at bad", "at two"]
    assert [body["task_uid"] for body in operator.bodies("done")] == ["uid-one", "uid-two"]
    (failed,) = operator.bodies("failed")
    assert (failed["failure"], failed["message"]) == ("Terminal", "no pages")
    assert operator.sessions == 1
    found = marker(run, "one")
    assert found is not None
    assert found["worker_id"] == "pod-1/uid-1"
    assert marker(run, "bad") is None
    assert run.told == {}, "what a task failed of is not how the process ended"


def test_each_log_is_of_its_task_alone(run: WorkerRun, operator: FakeOperator) -> None:
    operator.answers["next"] = [task(run, "one"), task(run, "two")]
    process = run.start_script(HANDLER)
    operator.wait(lambda: len(operator.bodies("done")) == 2, "two are done")
    process.terminate()
    wait_done(process)
    logs = [(run.folder / i / f"_logs/attempt-1-uid-{i}.log").read_text() for i in ("one", "two")]
    assert logs == ["at one\n", "at two\n"]


def test_what_is_done_is_not_done_again(run: WorkerRun, operator: FakeOperator) -> None:
    """An operator that was told, and died, hands the task out once more."""
    operator.answers["next"] = [task(run, "one"), task(run, "one")]
    process = run.start_script(HANDLER)
    operator.wait(lambda: len(operator.bodies("done")) == 2, "it is told twice")
    process.terminate()
    assert wait_done(process).out.count("at one") == 1


@pytest.mark.parametrize("answer", [(200, {"directive": "finish"}), (200, {})])
def test_who_is_told_to_go_finishes_if_it_may(
    run: WorkerRun, operator: FakeOperator, answer: Answer
) -> None:
    operator.answers["next"] = [task(run, "long"), task(run, "never")]
    operator.answers["heartbeat"] = [answer] * 1000
    process = run.start_script(HANDLER)
    operator.wait(lambda: operator.bodies("heartbeat"), "it works")
    process.terminate()
    before = len(operator.bodies("heartbeat"))
    operator.wait(lambda: len(operator.bodies("heartbeat")) > before, "it asks at once")
    (run.folder / "go").touch()
    wait_done(process)
    assert marker(run, "long") is not None
    assert marker(run, "never") is None
    assert len(operator.bodies("done")) == 1


def test_who_is_told_to_go_and_to_abort_gives_up(run: WorkerRun, operator: FakeOperator) -> None:
    operator.answers["next"] = [task(run, "long")]
    operator.answers["heartbeat"] = [(200, {})]
    process = run.start_script(HANDLER)
    operator.wait(lambda: operator.bodies("heartbeat"), "it works")
    aborted = (200, {"directive": "abort", "reason": "the node is drained"})
    operator.answers["heartbeat"] = [aborted] * 1000
    process.terminate()
    wait_done(process)
    (failed,) = operator.bodies("failed")
    assert failed["failure"] == "Interrupted"
    assert "the node is drained" in failed["message"]


def test_an_operator_that_is_away_is_asked_again(run: WorkerRun, operator: FakeOperator) -> None:
    away = refusal(503, "Unavailable")
    operator.answers |= {"register": [away], "next": [away, task(run, "one")]}
    process = run.start_script(HANDLER)
    operator.wait(lambda: operator.bodies("done"), "it is done")
    process.terminate()
    wait_done(process)


def test_parameters_that_are_wrong_end_it_before_the_first_task(
    run: WorkerRun, operator: FakeOperator
) -> None:
    run.environment = {**run.environment, "BEC_PARAMETERS": '{"model": 7}'}
    ended = wait_ended(run.start_script(HANDLER))
    assert ended.code == ExitCode.MISCONFIGURED
    assert run.told["class"] == "Misconfigured"
    assert "next" not in operator.paths()


def test_a_loop_of_ones_own(run: WorkerRun, operator: FakeOperator) -> None:
    operator.answers["next"] = [task(run, "one"), task(run, "bad"), task(run, "two")]
    process = run.start_script(LOOP)
    operator.wait(lambda: len(operator.bodies("done")) == 2, "two are done")
    process.terminate()
    ended = wait_done(process)
    assert ended.out.split() == ["one", "bad", "two"]
    assert [body["failure"] for body in operator.bodies("failed")] == ["Retryable"]


def test_any_program(run: WorkerRun, operator: FakeOperator) -> None:
    operator.answers["next"] = [task(run, "one"), task(run, "two")]
    script = 'echo "$BEC_I_ID" > "$BEC_OUTPUT_DIR/id.txt"'
    process = run.start_command("exec", "--", "sh", "-c", script)
    operator.wait(lambda: len(operator.bodies("done")) == 2, "two are done")
    process.terminate()
    wait_done(process)
    assert (run.folder / "two" / "id.txt").read_text() == "two\n"


def test_a_program_that_says_that_it_is_set_up_wrongly(
    run: WorkerRun, operator: FakeOperator
) -> None:
    operator.answers["next"] = [task(run, "one")]
    process = run.start_command("exec", "--", "sh", "-c", "exit 78")
    operator.wait(lambda: operator.bodies("failed"), "it has failed")
    process.terminate()
    wait_done(process)
    (failed,) = operator.bodies("failed")
    assert (failed["failure"], failed["exit_code"]) == ("Retryable", 78)


def test_it_asks_for_nothing_while_a_report_waits(
    run: WorkerRun, operator: FakeOperator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the operator, which knows of no end, gives the same task again."""
    monkeypatch.setattr("bec_ops.runtime.pool_worker._AGAIN", 0.01)
    surroundings = Surroundings(operator_url=operator.url)
    client, undelivered = open_channel(surroundings)
    about = {"task_uid": "uid-one", "attempt": 1, "failure": "Retryable", "message": "m"}
    undelivered.add("failed", about)
    monkeypatch.setattr("bec_ops.runtime.pool_worker.open_channel", lambda _: (client, undelivered))
    operator.answers["failed"] = [(503, {}), (503, {})]
    operator.answers["next"] = [task(run, "two")]
    worker = PoolWorker(surroundings, Stop(), None)
    given = worker.next_task()
    assert given is not None
    assert given.i_id == "two"
    assert operator.paths() == ["register", "failed", "failed", "failed", "next"]


def test_a_loop_goes_on_after_a_task_of_which_something_is_missing(
    run: WorkerRun, operator: FakeOperator
) -> None:
    operator.answers["next"] = [task(run, i_id, expect=["*.txt"]) for i_id in ("one", "two")]
    (run.folder / "two").mkdir()
    (run.folder / "two/1.txt").touch()
    process = run.start_script(LOOP)
    operator.wait(lambda: operator.bodies("done"), "the second is done")
    process.terminate()
    wait_done(process)
    (failed,) = operator.bodies("failed")
    assert (failed["task_uid"], failed["failure"]) == ("uid-one", "Retryable")
    assert "nothing there matches '*.txt'" in failed["message"]
    assert [body["task_uid"] for body in operator.bodies("done")] == ["uid-two"]
    assert (marker(run, "two") or {})["expect_met"] == ["*.txt"]


def test_who_hears_that_it_is_over_ends(run: WorkerRun, operator: FakeOperator) -> None:
    """Its pod was deleted before it could listen for a SIGTERM."""
    operator.answers["next"] = [task(run, "one"), (200, {"over": True})]
    process = run.start_script(HANDLER)
    wait_done(process)
    assert operator.paths().count("next") == 2
    assert marker(run, "one") is not None


class Stuck:
    """A store whose writes wait until told to go on; it keeps what asks whether to stop."""

    def __init__(self, stopping: Callable[[], bool]) -> None:
        self.stopping = stopping
        self.begun, self.go = threading.Event(), threading.Event()

    def put(self, *_: object) -> None:
        self.begun.set()
        self.go.wait(10)


def test_what_a_failed_attempt_has_left_behind_waits_for_s3_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It would write, minutes later, beside the marker of a later attempt."""
    stores: list[Stuck] = []

    def open_store(stopping: Callable[[], bool]) -> Stuck:
        stores.append(Stuck(stopping))
        return stores[-1]

    monkeypatch.setattr(Store, "of_worker", open_store)
    worker = PoolWorker(Surroundings(), Stop(), None)
    given = Task(job_id="ocr", w_id="W1", i_id="1", output_uri="s3://b/1/", worker_id="w")
    attempt = worker.begin(given)
    with ThreadPoolExecutor(1) as pool:
        left = pool.submit(attempt.output.write, "a", "")
        assert stores[0].begun.wait(10)
        attempt.fail(RetryableError("torn"))
        assert not stores[0].stopping()
        with pytest.raises(MisconfiguredError, match="the task has ended"):
            attempt.output.write("b", "")
        worker.begin(given)
        assert [store.stopping() for store in stores] == [True, False]
        stores[0].go.set()
        left.result(10)
    worker.begin(given)
    assert len(stores) == 2, "one that left nothing behind leaves its store to the next"
