"""Tasks by hand: the commands as a script calls them, one line out and a code that says it all."""

import json
import signal
import time
from typing import Any

import pytest

from bec_ops.link.operator_client import RefusedError, UnreachableError
from bec_ops.outside.by_hand import ByHand, Outcome
from bec_ops.outside.hands import Hands
from bec_ops.outside.identity import StateFolder
from bec_ops.outside.keys import Keys
from bec_ops.outside.reports import Records
from tests.support.fake_operator import Answer, FakeOperator, refusal
from tests.support.waiting import until
from tests.support.worker_runs import Ended, WorkerRun, wait_done, wait_ended


def task(run: WorkerRun, i_id: str, **more: Any) -> dict[str, Any]:
    return {
        "job_id": "ocr",
        "w_id": "W1",
        "i_id": i_id,
        "task_uid": f"uid-{i_id}",
        "output_uri": f"file://{run.folder}/{i_id}/",
        "worker_id": "outside/w-1",
        **more,
    }


def gives(run: WorkerRun, i_id: str, **more: Any) -> Answer:
    return 200, {"task": task(run, i_id, **more), "job": "ns/ocr", "lease_seconds": 300}


def call(run: WorkerRun, *arguments: str) -> Ended:
    return wait_ended(run.start_command(*arguments))


def test_a_task_from_its_begin_to_its_marker(run: WorkerRun, operator: FakeOperator) -> None:
    operator.answers["next"] = [gives(run, "I1", i_version="v1", attempt=2)]
    taken = call(run, "next", "ns/ocr", "--site", "desk")
    assert taken.code == Outcome.TASK
    place = f"file://{run.folder}/I1/"
    assert taken.out == f"uid-I1\tW1\tI1\t{place}\tv1\n"
    assert taken.err.startswith("yours until ")
    asked = operator.bodies("next")[0]
    assert (asked["jobs"], asked["site"], asked["beats"]) == (["ns/ocr"], "desk", False)
    seat = operator.bodies("register")[0]["seat"]
    assert seat.startswith("hand-")
    before = time.time()
    assert call(run, "done").out == "W1/I1@v1 is done\n"
    marker = json.loads((run.folder / "I1/success.json").read_text())
    assert (marker["worker_id"], marker["attempt"]) == ("outside/w-1", 2)
    assert 0 < marker["duration_seconds"] < time.time() - before + 60
    assert operator.bodies("done") == [{"session": "session-2", "task_uid": "uid-I1", "attempt": 2}]
    one, two = operator.bodies("register")
    assert one == two, "the same seat and process, so the same session"
    assert call(run, "done").code == Outcome.ERROR, "nothing is in hand any more"


def test_one_line_of_json(run: WorkerRun, operator: FakeOperator) -> None:
    operator.answers["next"] = [gives(run, "I1", parameters={"model": "བོད\n"})]
    taken = call(run, "next", "ocr", "--json")
    assert taken.out.count("\n") == 1
    told = json.loads(taken.out)
    assert (told["job"], told["i_id"], told["parameters"]) == ("ns/ocr", "I1", {"model": "བོད\n"})
    assert told["until"]


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        ((200, {"over": True}), Outcome.OVER, "ocr is over"),
        ((200, {}), Outcome.TIMEOUT, "ocr has no task now"),
        ((500, {"over": True}), Outcome.ERROR, "answers 500"),
        (refusal(403, "Forbidden"), Outcome.ERROR, "Forbidden"),
    ],
)
def test_the_outcomes_as_a_script_sees_them(
    run: WorkerRun, operator: FakeOperator, answer: Answer, code: int, said: str
) -> None:
    operator.answers["next"] = [answer] * 9
    ended = call(run, "next", "ocr", "--timeout", "0")
    assert (ended.code, ended.out) == (code, "")
    assert said in ended.err


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ([(200, {}), (200, {"over": True})], Outcome.OVER),
        ([(503, {}), (200, {"over": True})], Outcome.OVER),
        ([(503, {}), (200, {})], Outcome.TIMEOUT),
        ([(200, {}), (503, {})], UnreachableError),
        ([(200, {"over": "what"})], UnreachableError),
        ([(404, {"over": True})], UnreachableError),
        ([refusal(401, "Unauthenticated")], RefusedError),
        ([refusal(410, "Gone")], RefusedError),
        ([refusal(409, "StaleSession")], RefusedError),
    ],
)
def test_an_error_is_never_taken_for_the_end(
    folder: StateFolder,
    operator: FakeOperator,
    answers: list[Answer],
    outcome: Outcome | type[Exception],
) -> None:
    """What the operator said last counts, when the time is up."""
    operator.answers["next"] = [*answers, *[answers[-1]] * 99]
    worker = ByHand(Keys(state=folder.path))
    if isinstance(outcome, Outcome):
        assert worker.next("ocr", 0.3) == (outcome, None)
        assert worker.hands.all() == []
    else:
        with pytest.raises(outcome):
            worker.next("ocr", 0.3)
        assert [hand.given for hand in worker.hands.all()] == [None], "it may have been given one"


def test_other_errors_are_errors(run: WorkerRun, folder: StateFolder) -> None:
    assert call(run, "next", "ocr", "--timeout", "soon").code not in {*Outcome} - {Outcome.ERROR}
    folder.path.chmod(0o755)
    ended = call(run, "next", "ocr")
    assert (ended.code, ended.out) == (Outcome.ERROR, "")
    assert "chmod 700" in ended.err
    folder.path.chmod(0o700)
    (folder.path / "identity.json").unlink()
    ended = call(run, "next", "ocr")
    assert ended.code == Outcome.ERROR
    assert "is not registered" in ended.err


def test_each_next_is_a_seat_of_its_own(run: WorkerRun, operator: FakeOperator) -> None:
    operator.answers["next"] = [gives(run, "I1"), gives(run, "I2")]
    for _ in range(2):
        assert call(run, "next", "ocr").code == Outcome.TASK
    assert len({body["seat"] for body in operator.bodies("register")}) == 2
    ended = call(run, "failed")
    assert ended.code == Outcome.ERROR
    assert "which task is meant? Write one of uid-I1, uid-I2" in ended.err
    assert call(run, "failed", "uid-I2", "--final", "--message", "no pages").code == 0
    assert call(run, "failed", "W1/I1").code == 0
    final, other = operator.bodies("failed")
    assert (final["task_uid"], final["failure"], final["message"]) == (
        "uid-I2",
        "Terminal",
        "no pages",
    )
    assert (other["task_uid"], other["failure"]) == ("uid-I1", "Retryable")


def test_a_question_whose_answer_was_lost_is_asked_again_in_its_seat(
    run: WorkerRun, operator: FakeOperator, folder: StateFolder
) -> None:
    """The operator has given a task to nobody, and gives it again."""
    with operator.hanging():
        process = run.start_command("next", "ocr")
        until(
            lambda: len(Hands(Records(folder.path), folder.path).all()) == 1,
            "the hand is written down",
        )
        process.send_signal(signal.SIGKILL)
        wait_ended(process)
    operator.answers["next"] = [gives(run, "I1")]
    assert call(run, "next", "ocr").code == Outcome.TASK
    seats = {body["seat"] for body in operator.bodies("register")}
    assert len(seats) == 1


def test_a_marker_that_stands_is_left_as_it_is(run: WorkerRun, operator: FakeOperator) -> None:
    operator.answers["next"] = [gives(run, "I1")]
    call(run, "next", "ocr")
    marker = run.folder / "I1/success.json"
    marker.parent.mkdir()
    own = {"worker_id": "me", "success_timestamp": "2026-11-30T00:00:00Z", "mine": 1}
    marker.write_text(json.dumps(own))
    assert call(run, "done").code == 0
    assert json.loads(marker.read_text()) == own
    assert len(operator.bodies("done")) == 1


def test_the_marker_may_be_left_to_the_operator(run: WorkerRun, operator: FakeOperator) -> None:
    operator.answers["next"] = [gives(run, "I1")]
    call(run, "next", "ocr")
    assert call(run, "done", "--no-marker").code == 0
    assert not (run.folder / "I1/success.json").exists()
    assert len(operator.bodies("done")) == 1


def test_a_result_that_the_job_demands(run: WorkerRun, operator: FakeOperator) -> None:
    schema = {"type": "object", "required": ["pages"]}
    operator.answers["next"] = [gives(run, "I1", result_schema=schema)]
    call(run, "next", "ocr")
    ended = call(run, "done")
    assert ended.code == Outcome.ERROR
    assert "spec.worker.result demands, is missing" in ended.err
    result = run.folder / "result.json"
    for text, said in (("[1]", "give a JSON object"), ('{"p": 1}', "does not fit")):
        result.write_text(text)
        ended = call(run, "done", "--result", str(result))
        assert ended.code == Outcome.ERROR
        assert said in ended.err
    assert operator.bodies("done") == []
    result.write_text('{"pages": 3}')
    assert call(run, "done", "--result", str(result)).code == 0
    assert json.loads((run.folder / "I1/success.json").read_text())["result"] == {"pages": 3}


def test_nothing_is_done_where_something_is_missing(run: WorkerRun, operator: FakeOperator) -> None:
    operator.answers["next"] = [gives(run, "I1", expect=["*.txt"])]
    call(run, "next", "ocr")
    ended = call(run, "done")
    assert ended.code == Outcome.ERROR
    assert "nothing there matches '*.txt'" in ended.err
    assert operator.bodies("done") == []
    (run.folder / "I1").mkdir()
    (run.folder / "I1/1.txt").touch()
    assert call(run, "done").code == 0
    assert json.loads((run.folder / "I1/success.json").read_text())["expect_met"] == ["*.txt"]


def test_what_cannot_be_told_now_is_told_by_a_later_command(
    run: WorkerRun, operator: FakeOperator, folder: StateFolder
) -> None:
    operator.answers["next"] = [gives(run, "I1")]
    call(run, "next", "ocr")
    operator.answers["done"] = [(503, {})] * 999
    ended = call(run, "done")
    assert ended.code == 0, "the marker stands"
    assert "that is kept, and told by the next call" in ended.err
    assert "to tell   1 done" in call(run, "status").out
    operator.answers["done"] = []
    wait_done(run.start_command("list"))
    assert operator.bodies("done")[-1]["task_uid"] == "uid-I1"
    assert Records(folder.path).count() == {}


def test_who_is_not_known_any_more_is_told_so_instead_of_to_wait(
    run: WorkerRun, operator: FakeOperator, folder: StateFolder
) -> None:
    operator.answers["next"] = [gives(run, "I1")]
    call(run, "next", "ocr")
    unknown: list[Answer] = [refusal(401, "Unauthenticated")]
    operator.answers |= {"done": unknown * 999, "mine": unknown}
    ended = call(run, "done")
    assert ended.code == Outcome.ERROR
    assert "Unauthenticated" in ended.err
    assert "does not answer" not in ended.err
    assert Records(folder.path).count() == {"done": 1}


def test_a_beat_makes_the_lease_longer_and_tells_what_is_lost(
    run: WorkerRun, operator: FakeOperator
) -> None:
    operator.answers["next"] = [gives(run, "I1"), gives(run, "I2")]
    for _ in range(2):
        call(run, "next", "ocr")
    beaten = wait_done(run.start_command("beat"))
    assert [line.partition(" until ")[0] for line in beaten.out.splitlines()] == [
        "W1/I1 is yours",
        "W1/I2 is yours",
    ]
    activity = [body["activity"] for body in operator.bodies("heartbeat")]
    assert all(abs(each - time.time()) < 60 for each in activity), "each is a sign of progress"
    operator.answers["heartbeat"] = [refusal(410, "Gone"), (200, {})]
    ended = call(run, "beat")
    assert ended.code == 1
    assert "W1/I1 is lost: Gone" in ended.err
    assert ended.out.startswith("W1/I2 is yours until ")


def test_beats_go_on_until_nothing_is_in_hand(run: WorkerRun, operator: FakeOperator) -> None:
    short = {**gives(run, "I1")[1], "lease_seconds": 0.6}
    operator.answers["next"] = [(200, short)]
    call(run, "next", "ocr")
    process = run.start_command("beat", "--keep")
    operator.wait(lambda: len(operator.bodies("heartbeat")) >= 3, "it beats")
    wait_done(run.start_command("done"))
    wait_done(process)


def test_beats_of_one_task_outlast_an_operator_that_is_away_and_end_with_the_task(
    run: WorkerRun, operator: FakeOperator
) -> None:
    operator.answers["next"] = [(200, {**gives(run, "I1")[1], "lease_seconds": 0.6})]
    call(run, "next", "ocr")
    operator.answers["heartbeat"] = [refusal(503, "Unavailable")]
    process = run.start_command("beat", "W1/I1", "--keep")
    operator.wait(lambda: len(operator.bodies("heartbeat")) >= 3, "it beats again")
    wait_done(run.start_command("done"))
    assert "tried again: " in wait_done(process).err
    assert call(run, "beat", "W1/I1", "--keep").code == 1, "it never was in hand"


def test_what_is_lost_is_told_though_the_operator_goes_away_then(
    run: WorkerRun, operator: FakeOperator
) -> None:
    operator.answers["next"] = [gives(run, "I1"), gives(run, "I2")]
    for _ in range(2):
        call(run, "next", "ocr")
    operator.answers["heartbeat"] = [refusal(410, "Gone"), refusal(503, "Unavailable")]
    ended = call(run, "beat")
    assert ended.code == 1
    assert "W1/I1 is lost: Gone" in ended.err


def test_the_list_is_the_operators_and_puts_hands_right(
    run: WorkerRun, operator: FakeOperator
) -> None:
    operator.answers["next"] = [gives(run, "I1")]
    call(run, "next", "ocr")
    seat = operator.bodies("register")[0]["seat"]
    mine = {"job": "ns/ocr", "seat": seat, "session": "s", "task": task(run, "I1")}
    other = {"job": "ns/ocr", "seat": "run-1", "session": "s", "task": task(run, "I9")}
    operator.answers["mine"] = [(200, {"held": [mine, other]})]
    rows = [line.split("\t") for line in wait_done(run.start_command("list")).out.splitlines()]
    assert [row[:4] for row in rows] == [
        ["uid-I1", "ns/ocr", "W1/I1", seat],
        ["uid-I9", "ns/ocr", "W1/I9", "run-1"],
    ]
    assert [bool(row[4]) for row in rows] == [True, False]
    wait_done(run.start_command("list"))
    assert "I1" in wait_done(run.start_command("beat")).out, "nobody has said that it is another's"
    operator.answers["heartbeat"] = [refusal(410, "Gone")]
    gone = wait_done(run.start_command("list"))
    assert gone.out == ""
    assert "W1/I1 is not this worker's any more" in gone.err
    assert call(run, "done").code == Outcome.ERROR


def test_an_operator_that_is_away_is_no_empty_list(run: WorkerRun, operator: FakeOperator) -> None:
    operator.answers["mine"] = [(503, {})] * 9
    for command in ("list", "status"):
        assert call(run, command).code == Outcome.ERROR


def test_who_this_is(run: WorkerRun, operator: FakeOperator) -> None:
    assert wait_done(run.start_command("id")).out == "w-1\n"
    told = wait_done(run.start_command("status")).out
    assert "worker    w-1 desk" in told
    assert f"operator  {operator.url}" in told
    assert "s" * 64 not in told


def test_config_shows_each_value_and_who_said_it(run: WorkerRun) -> None:
    run.folder.mkdir()
    (run.folder / "bec-worker.toml").write_text('site = "[red]desk"\n')
    run.environment = {**run.environment, "BEC_WORKER_TOKEN": "SECRET"}
    told = wait_done(run.start_command("config")).out
    lines = {line.split()[0]: line.split(maxsplit=2)[1:] for line in told.splitlines()}
    assert lines["site"] == ["[red]desk", "bec-worker.toml, line 1"]
    assert lines["token"] == ["(hidden)", "the variable BEC_WORKER_TOKEN"]
    assert "SECRET" not in told


def test_registering(run: WorkerRun, operator: FakeOperator, folder: StateFolder) -> None:
    operator.answers["enrol"] = [(200, {"worker_id": "w-5"})]
    token = run.folder.parent / "token"
    token.write_text("TOKEN\n")
    arguments = ("register", "--url", operator.url, "--token-file", str(token), "--name", "desk")
    ended = call(run, *arguments)
    assert ended.code == 1
    assert "registered already: w-1" in ended.err
    ended = wait_done(run.start_command(*arguments, "--again"))
    assert ended.out.startswith("registered as w-5 at ")
    assert operator.bodies("enrol")[0]["token"] == "TOKEN"  # noqa: S105 - of this test
    found = folder.identity()
    assert found is not None
    assert found.worker_id == "w-5"
    assert call(run, "register", "--again").code == 1, "there is no token"
    ended = call(run, "register", "--url", "http://bec.example.org", "--token", "SECRET")
    assert ended.code == 1
    assert "over TLS alone" in ended.err
    assert "SECRET" not in ended.err
