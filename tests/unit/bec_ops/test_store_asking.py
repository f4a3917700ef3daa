"""Whose fault a bad answer of S3 is: what passes is never that of a key."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from bec_ops.contract.s3.asking import Asking
from bec_ops.contract.s3.errors import StoreError
from bec_ops.contract.s3.settings import StoreSettings

LONG = f"p/{'x' * 256}/success.json"
BELOW = "p/vol/success.json"  # an object stands at p/vol
both = pytest.mark.parametrize("key", [LONG, BELOW], ids=["long part", "below an object"])
writing = pytest.mark.parametrize("writing", [False, True], ids=["read", "write"])


def bad(status: int, code: str = "") -> ClientError:
    said: Any = {
        "Error": {"Code": code or str(status)},
        "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": {}},
    }
    return ClientError(said, "AnyOperation")


class Bucket:
    """Answers as told for one key, and says of all others but `p/vol` that they are absent."""

    def __init__(self, key: str, *answers: int) -> None:
        self.key, self.answers = key, list(answers)

    def list_objects_v2(self, **_: Any) -> None:
        return

    def head_object(self, Key: str, **_: Any) -> None:  # noqa: N803 - the name is boto3's
        status = self.answers.pop(0) if Key == self.key else 404
        if Key != "p/vol" and status != 200:
            raise bad(status)


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    made: list[float] = []
    monkeypatch.setattr("bec_ops.contract.s3.asking.time.sleep", made.append)
    return made


def reason(key: str, error: ClientError, *later: int, writing: bool = False) -> str:
    """Return what is made of an answer, where later ones for the same key are as told."""
    client: Any = Bucket(key, *later)
    with (
        pytest.raises(StoreError) as caught,
        Asking(client, StoreSettings()).about("b", key, writing=writing),
    ):
        raise error
    assert client.answers == []
    return caught.value.reason


@both
@writing
def test_what_a_store_says_each_time_is_the_keys_fault(
    key: str, writing: bool, pauses: list[float]
) -> None:
    assert reason(key, bad(500), 500, writing=writing) == "KeyRefused"
    assert pauses == [1.0]
    assert reason(key, bad(400), 400, writing=writing) == "KeyRefused"
    assert len(pauses) == 1, "only a 500 may be a hiccup"


def test_what_a_store_says_of_keys_alone_is_final_at_once(pauses: list[float]) -> None:
    for code in ("KeyTooLongError", "XMinioInvalidObjectName"):
        assert reason(LONG, bad(400, code)) == "KeyRefused"
    assert pauses == []


@both
@writing
@pytest.mark.parametrize("later", [200, 404, 503, 400])
def test_what_passes_is_not(key: str, writing: bool, later: int) -> None:
    wanted = "Unavailable" if writing else "KeyUnanswered"
    assert reason(key, bad(500), later, writing=writing) == wanted


@both
@writing
def test_nor_is_what_a_gateway_says(key: str, writing: bool) -> None:
    wanted = "Unavailable" if writing else "KeyUnanswered"
    for status in (502, 504):
        assert reason(key, bad(status), writing=writing) == wanted
