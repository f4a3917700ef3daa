"""The client of the worker API, against a server that answers as a test says."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bec_ops.contract.protocol import Directive, Progress
from bec_ops.link import operator_client
from bec_ops.link.operator_client import OperatorClient, RefusedError, UnreachableError
from tests.support.fake_operator import FakeOperator, refusal

ABOUT = {"task_uid": "t", "attempt": 1}
NOWHERE = "http://127.0.0.1:1"


@pytest.fixture
def operator() -> Iterator[FakeOperator]:
    with FakeOperator() as operator:
        yield operator


@pytest.fixture
def token(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text("first-secret\n")
    return file


@pytest.fixture
def client(operator: FakeOperator, token: Path) -> OperatorClient:
    return OperatorClient(operator.url, token)


def test_the_first_call_registers_once(client: OperatorClient, operator: FakeOperator) -> None:
    assert not client.is_registered
    operator.answers["heartbeat"] = [(200, {"directive": "abort", "reason": "x", "new": 1})]
    answer = client.heartbeat(**ABOUT, progress=Progress(done=1, total=2, unit="pages"))
    assert (answer.directive, answer.reason) == (Directive.ABORT, "x")
    assert client.heartbeat(**ABOUT).directive is Directive.CONTINUE
    assert client.register().worker_id == "w"
    assert operator.paths() == ["register", "heartbeat", "heartbeat"]
    assert operator.bodies("heartbeat")[0] == {
        "session": "session-1",
        **ABOUT,
        "progress": {"done": 1, "total": 2, "unit": "pages"},
        "activity": 0,
    }


def test_the_token_is_read_for_each_call(
    client: OperatorClient, operator: FakeOperator, token: Path
) -> None:
    client.register()
    token.write_text("second-secret")
    client.report("done", ABOUT)
    assert [call.token for call in operator.calls] == ["first-secret", "second-secret"]


def test_a_session_that_is_not_known_any_more_is_opened_anew(
    client: OperatorClient, operator: FakeOperator
) -> None:
    operator.answers["done"] = [refusal(409, "UnknownSession")]
    client.report("done", ABOUT)
    assert operator.paths() == ["register", "done", "register", "done"]
    assert [body["session"] for body in operator.bodies("done")] == ["session-1", "session-2"]
    one, two = operator.bodies("register")
    assert one == two


def test_a_session_is_opened_anew_only_once(client: OperatorClient, operator: FakeOperator) -> None:
    operator.answers["done"] = [refusal(409, "UnknownSession")] * 2
    with pytest.raises(RefusedError, match="UnknownSession"):
        client.report("done", ABOUT)


@pytest.mark.parametrize(
    ("status", "error", "is_over", "may_pass"),
    [
        (410, "Gone", True, False),
        (409, "StaleSession", True, False),
        (403, "Forbidden", False, False),
        (400, "Invalid", False, False),
        (401, "Unauthenticated", False, True),
    ],
)
def test_refusals_are_sorted(
    client: OperatorClient,
    operator: FakeOperator,
    status: int,
    error: str,
    is_over: bool,
    may_pass: bool,
) -> None:
    operator.answers["failed"] = [refusal(status, error)]
    with pytest.raises(RefusedError, match=f"{error}: a test says") as caught:
        client.report("failed", {**ABOUT, "failure": "Retryable", "message": "m"})
    assert (caught.value.is_over, caught.value.may_pass) == (is_over, may_pass)


@pytest.mark.parametrize(
    "answer",
    [
        refusal(503, "Unavailable"),
        refusal(429, "TooMany"),
        refusal(429, "a word of a newer operator"),
        (500, {}),
        (502, {"error": "Gone", "message": "of a proxy"}),
        (404, {"detail": "not the operator"}),
        (302, {}),
        (200, {"session": 1}),
    ],
)
def test_what_is_no_answer_of_the_operator_is_tried_again_later(
    client: OperatorClient, operator: FakeOperator, answer: tuple[int, dict[str, str]]
) -> None:
    operator.answers["register"] = [answer]
    with pytest.raises(UnreachableError, match="/v1/register") as caught:
        client.register()
    assert "secret" not in str(caught.value)
    assert client.register().session == "session-1"


def test_nobody_answers(token: Path) -> None:
    client = OperatorClient(NOWHERE, token)
    with pytest.raises(UnreachableError) as caught:
        client.heartbeat(**ABOUT)
    assert "secret" not in str(caught.value)
    assert not client.is_registered


def test_a_token_that_cannot_be_read_may_be_there_later(
    client: OperatorClient, operator: FakeOperator, token: Path
) -> None:
    token.rename(token.with_name("away"))
    with pytest.raises(UnreachableError):
        client.register()
    assert operator.calls == []


@pytest.mark.parametrize(("status", "error"), [(429, "TooMany"), (503, "Unavailable")])
def test_a_call_is_put_off_as_long_as_the_operator_says(
    client: OperatorClient, operator: FakeOperator, status: int, error: str
) -> None:
    """That call alone: a log that is too much must not keep heartbeats back."""
    operator.answers["log"] = [(*refusal(status, error), {"Retry-After": "0.3"})]
    for says in (error, "said to wait"):
        with pytest.raises(UnreachableError, match=says):
            client.report("log", {**ABOUT, "text": "x"})
    client.heartbeat(**ABOUT)
    assert operator.paths() == ["register", "log", "heartbeat"]
    time.sleep(0.3)
    client.report("log", {**ABOUT, "text": "x"})
    assert operator.paths()[-1] == "log"


@pytest.mark.parametrize("said", ["nan", "-1", "Mon, 30 Nov 2026 05:00:00 GMT", "", "soon"])
def test_what_says_no_time_puts_nothing_off(
    client: OperatorClient, operator: FakeOperator, said: str
) -> None:
    operator.answers["log"] = [(*refusal(429, "TooMany"), {"Retry-After": said})]
    with pytest.raises(UnreachableError):
        client.report("log", {**ABOUT, "text": "x"})
    client.report("log", {**ABOUT, "text": "x"})


@pytest.mark.parametrize("said", ["inf", "1e9"])
def test_nothing_is_put_off_for_long(
    client: OperatorClient, operator: FakeOperator, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operator_client, "LONGEST_RETRY_AFTER", 0.2)
    operator.answers["log"] = [(*refusal(429, "TooMany"), {"Retry-After": said})]
    with pytest.raises(UnreachableError):
        client.report("log", {**ABOUT, "text": "x"})
    time.sleep(0.2)
    client.report("log", {**ABOUT, "text": "x"})


def test_an_answer_without_end_is_none(
    client: OperatorClient, operator: FakeOperator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operator_client, "_LARGEST_ANSWER", 1000)
    registered = {"session": "s", "worker_id": "w" * 2000, "heartbeat_seconds": 1}
    operator.answers["register"] = [(200, registered)]
    with pytest.raises(UnreachableError, match="not as it should"):
        client.register()
    assert client.register().session == "session-1", "the next one is read from its begin"
