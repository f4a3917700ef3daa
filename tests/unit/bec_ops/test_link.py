"""An attempt's link to the operator: when it calls, what it hears, and what it reports."""

from collections.abc import Iterator

import pytest

from bec_ops.contract.errors import Failure, ProgramError
from bec_ops.contract.task import Task
from bec_ops.link.environment import Surroundings
from bec_ops.link.link import Link, open_channel
from bec_ops.link.meter import Meter
from bec_ops.link.stopping import Stop
from tests.support.fake_operator import FakeOperator, refusal

TASK = Task(
    job_id="ocr",
    w_id="W1",
    i_id="I1",
    attempt=3,
    task_uid="uid",
    output_uri="file:///nowhere/",
    worker_id="w",
)
ABOUT = {"task_uid": "uid", "attempt": 3}


class Linked:
    """A link, and what it is told of and tells."""

    def __init__(self, operator: FakeOperator, every: float = 0.01) -> None:
        self.meter, self.stop = Meter(), Stop()
        surroundings = Surroundings(operator_url=operator.url, heartbeat_seconds=every)
        channel = open_channel(surroundings)
        self.undelivered = channel[1]
        link = Link.open(surroundings, TASK, self.meter, self.stop, channel)
        assert link
        self.link = link


@pytest.fixture
def operator() -> Iterator[FakeOperator]:
    with FakeOperator(heartbeat_seconds=0.01) as operator:
        yield operator


@pytest.fixture
def linked(operator: FakeOperator) -> Linked:
    return Linked(operator)


def beats(operator: FakeOperator, count: int) -> None:
    operator.wait(lambda: len(operator.bodies("heartbeat")) >= count, f"{count} heartbeats")


def test_where_there_is_no_operator_there_is_no_link() -> None:
    assert Link.open(Surroundings(), TASK, Meter(), Stop()) is None
    by_hand = TASK.model_copy(update={"task_uid": ""})
    url = Surroundings(operator_url="http://127.0.0.1:1")
    assert Link.open(url, by_hand, Meter(), Stop()) is None


@pytest.mark.parametrize("failure", [None, Failure("Retryable", "m")])
def test_a_short_attempt_calls_nobody(operator: FakeOperator, failure: Failure | None) -> None:
    linked = Linked(operator, every=60)
    linked.link.start()
    linked.link.end(failure)
    assert operator.calls == []


def test_a_long_one_tells_of_its_progress(linked: Linked, operator: FakeOperator) -> None:
    linked.meter.start(480)
    linked.meter.advance(312)
    linked.link.start()
    beats(operator, 2)
    linked.link.end(None)
    assert operator.paths()[0] == "register"
    assert operator.bodies("heartbeat")[0] == {
        "session": "session-1",
        **ABOUT,
        "progress": {"done": 312, "total": 480, "unit": "pages"},
        "activity": 2,
    }
    assert operator.bodies("done") == [{"session": "session-1", **ABOUT}]
    assert operator.paths()[-1] == "done"
    assert not linked.stop.requested


def test_a_failure_is_told_with_its_reason(linked: Linked, operator: FakeOperator) -> None:
    linked.link.start()
    beats(operator, 1)
    linked.link.end(Failure("Terminal", "no pages"))
    said = {"failure": "Terminal", "message": "no pages", "exit_code": None}
    told = {"session": "session-1", **ABOUT, **said}
    assert operator.bodies("failed") == [told]


def test_what_a_program_says_of_the_job_is_passed_on(
    linked: Linked, operator: FakeOperator
) -> None:
    linked.link.start()
    beats(operator, 1)
    linked.link.end(Failure.of(ProgramError("tool ended with exit code 78", 78)))
    (told,) = operator.bodies("failed")
    assert (told["failure"], told["exit_code"]) == ("Retryable", 78)


def test_an_abort_asks_the_work_to_stop(linked: Linked, operator: FakeOperator) -> None:
    operator.answers["heartbeat"] = [(200, {"directive": "abort", "reason": "the job is going"})]
    linked.link.start()
    beats(operator, 2)
    assert linked.stop.reason == "aborted by the operator: the job is going"
    linked.link.end(None)


@pytest.mark.parametrize(("status", "error"), [(410, "Gone"), (409, "StaleSession")])
def test_so_does_an_operator_that_wants_no_more(
    linked: Linked, operator: FakeOperator, status: int, error: str
) -> None:
    operator.answers["heartbeat"] = [refusal(status, error)]
    linked.link.start()
    beats(operator, 2)
    assert error in linked.stop.reason
    linked.link.end(None)


def test_to_finish_is_not_to_stop(linked: Linked, operator: FakeOperator) -> None:
    operator.answers["heartbeat"] = [(200, {"directive": "finish"})]
    linked.link.start()
    beats(operator, 2)
    assert not linked.stop.requested
    linked.link.end(None)


def test_an_operator_that_is_away_holds_nothing_up(
    linked: Linked, operator: FakeOperator, caplog: pytest.LogCaptureFixture
) -> None:
    operator.answers["register"] = [(503, {})] * 2
    operator.answers["heartbeat"] = [(503, {}), refusal(401, "Unauthenticated")]
    linked.link.start()
    beats(operator, 4)
    linked.link.end(None)
    assert not linked.stop.requested
    assert caplog.text.count("the work goes on") == 1
    assert operator.paths()[-1] == "done"


def test_the_report_is_delivered_once_the_operator_is_back(
    linked: Linked, operator: FakeOperator
) -> None:
    linked.link.start()
    beats(operator, 1)
    operator.answers["done"] = [(503, {})]
    linked.link.end(None)
    assert len(operator.bodies("done")) == 2


def test_an_operator_that_hangs_does_not_hold_up_the_end(
    linked: Linked, operator: FakeOperator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bec_ops.link.link.DELIVERY_SECONDS", 0.1)
    linked.link.start()
    beats(operator, 1)
    with operator.hanging():
        linked.link.end(Failure("Retryable", "m"))
    sent: list[str] = []
    linked.undelivered.deliver(lambda kind, fields: sent.append(f"{kind} {fields['attempt']}"))
    assert sent == ["failed 3"]


def test_the_log_goes_to_the_operator_if_it_must(linked: Linked, operator: FakeOperator) -> None:
    linked.link.send_log(b"\xffx" * 60_000)
    (body,) = operator.bodies("log")
    assert body["text"] == "\ufffdx" * 32_768
    operator.answers["log"] = [(503, {})]
    linked.link.send_log(b"x")  # the operator's loss


def test_one_that_is_told_to_go_asks_at_once(operator: FakeOperator) -> None:
    linked = Linked(operator, every=3600.0)
    linked.link.start()
    linked.link.leave()
    beats(operator, 1)
    assert not linked.stop.requested
    linked.link.end(None)


def test_one_that_is_told_to_go_and_hears_nothing_gives_up(
    linked: Linked, operator: FakeOperator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bec_ops.link.link.AWAY_SECONDS", 0.1)
    operator.answers["register"] = [(503, {})] * 1000
    linked.link.start()
    operator.wait(lambda: len(operator.bodies("register")) >= 20, "it works on")
    assert not linked.stop.requested
    linked.link.leave()
    operator.wait(lambda: linked.stop.requested, "it gives up")
    assert "does not answer" in linked.stop.reason
    linked.link.end(None)
