"""A worker's store by signed addresses, where the operator signs nothing."""

from typing import Any

import pytest

from bec_ops.contract.protocol import Signed
from bec_ops.contract.s3.store import StoreError
from bec_ops.contract.task import Task
from bec_ops.link.operator_client import RefusedError, UnreachableError
from bec_ops.link.signed_store import SignedStore

TASK = Task(
    job_id="job",
    w_id="W",
    i_id="I",
    attempt=1,
    task_uid="uid",
    output_uri="s3://b/p/",
    worker_id="desk",
)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEC_S3_PATIENCE", "0")


def store(error: Exception | None = None) -> tuple[SignedStore, list[Any]]:
    asked: list[Any] = []

    def ask(**fields: Any) -> Signed:
        asked.append(fields)
        if error is not None:
            raise error
        return Signed()

    return SignedStore(ask, TASK, lambda: False), asked


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (UnreachableError("away"), "Unavailable"),
        (None, "Unavailable"),
        (RefusedError("Gone", "the task is another's"), "Forbidden"),
    ],
)
def test_what_the_operator_does_not_sign(error: Exception | None, reason: str) -> None:
    keyless, asked = store(error)
    with pytest.raises(StoreError) as refused:
        keyless.put("b", "p/a ü.txt", b"one")
    assert refused.value.reason == reason
    assert (asked[0]["task_uid"], asked[0]["attempt"]) == ("uid", 1)
    (request,) = asked[0]["requests"]
    assert (request.operation, request.key) == ("PutObject", "a ü.txt")


def test_other_places_are_not_even_asked_for() -> None:
    keyless, asked = store()
    with pytest.raises(StoreError) as refused:
        keyless.get("b", "q/a.txt")
    assert refused.value.reason == "Forbidden"
    assert not any(fields["requests"] for fields in asked)
