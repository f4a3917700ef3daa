"""The client of a worker from elsewhere, against a server that answers as a test says."""

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from bec_ops.contract.errors import MisconfiguredError
from bec_ops.link.operator_client import RefusedError, UnreachableError
from bec_ops.outside.client import Offer, OutsideClient, Seat, enrol, now
from bec_ops.outside.identity import Identity, StateFolder
from tests.support.fake_operator import FakeOperator, refusal

ABOUT = {"task_uid": "t", "attempt": 1}
ADMITS = "TOKEN-of-an-administrator"


@pytest.fixture
def operator() -> Iterator[FakeOperator]:
    with FakeOperator(heartbeat_seconds=30) as operator:
        yield operator


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    return StateFolder(tmp_path / "state")


@pytest.fixture
def client(operator: FakeOperator) -> OutsideClient:
    me = Identity(url=operator.url, worker_id="w-1", secret="s" * 64)
    return OutsideClient(lambda: me, Seat("run-1", "a" * 32), Offer(("ns/a",), ("ocr",), "desk"))


def test_it_is_known_by_id_and_secret_and_says_what_it_would_do(
    client: OutsideClient, operator: FakeOperator
) -> None:
    client.next_within(3)
    client.mine()
    assert operator.paths() == ["register", "next", "mine"]
    assert operator.bodies("register") == [{"process": "a" * 32, "seat": "run-1"}]
    assert operator.bodies("next") == [
        {
            "session": "session-1",
            "wait": 3,
            "jobs": ["ns/a"],
            "handlers": ["ocr"],
            "site": "desk",
            "beats": True,
        }
    ]
    wanted = "Basic " + base64.b64encode(f"w-1:{'s' * 64}".encode()).decode()
    assert {call.token for call in operator.calls} == {wanted}


def test_signs_of_life_come_often_enough_for_a_short_lease(
    client: OutsideClient, operator: FakeOperator
) -> None:
    assert client.register().heartbeat_seconds == 30
    client.lease_seconds = 15
    assert client.register().heartbeat_seconds == 5
    client.lease_seconds = 3600
    assert client.register().heartbeat_seconds == 30
    assert operator.paths() == ["register"]


def test_only_what_was_answered_was_heard(client: OutsideClient, operator: FakeOperator) -> None:
    heard: list[float] = []
    client.on_heard = heard.append
    operator.answers["heartbeat"] = [(200, {}), refusal(503, "Unavailable"), (200, {})]
    before = now()
    client.heartbeat(**ABOUT)
    with pytest.raises(UnreachableError):
        client.heartbeat(**ABOUT)
    assert len(heard) == 1
    assert before <= heard[0] <= now()


def test_a_worker_is_taken_in_once(folder: StateFolder, operator: FakeOperator) -> None:
    operator.answers["enrol"] = [refusal(503, "Unavailable"), (200, {"worker_id": "w-9"})]
    with pytest.raises(UnreachableError):
        enrol(folder, operator.url, ADMITS, "desk", None)
    assert folder.identity() is None
    found = enrol(folder, operator.url, ADMITS, "desk", None)
    assert folder.identity() == found
    assert (found.worker_id, found.name) == ("w-9", "desk")
    one, two = operator.bodies("enrol")
    assert one == two == {"token": ADMITS, "secret": found.secret, "name": "desk"}
    assert {call.token for call in operator.calls} == {""}, "no authorization"
    kept = "".join(path.read_text() for path in folder.path.iterdir())
    assert ADMITS not in kept


def test_a_token_that_is_refused_is_not_repeated(
    folder: StateFolder, operator: FakeOperator
) -> None:
    operator.answers["enrol"] = [refusal(401, "Unauthenticated")] * 2
    for _ in range(2):
        with pytest.raises(RefusedError) as caught:
            enrol(folder, operator.url, ADMITS, "desk", None)
        assert ADMITS not in str(caught.value)
    one, two = operator.bodies("enrol")
    assert one["secret"] != two["secret"], "who was refused begins anew"


@pytest.mark.parametrize("token", ["", ADMITS * 20])
def test_what_can_be_no_token_is_not_sent(
    folder: StateFolder, operator: FakeOperator, token: str
) -> None:
    with pytest.raises(MisconfiguredError, match="the token has") as caught:
        enrol(folder, operator.url, token, "", None)
    assert ADMITS not in str(caught.value)
    assert operator.calls == []


def test_certificates_that_are_not_there(folder: StateFolder, tmp_path: Path) -> None:
    with pytest.raises(MisconfiguredError, match=r"ca\.pem is not there"):
        enrol(folder, "https://127.0.0.1:1", ADMITS, "", tmp_path / "ca.pem")
