"""Tokens: asked about once, remembered for a while, and never told to anybody."""

import asyncio
import base64
import json
import logging
from typing import Any

import pytest

from bec_operator.act.api_server import ApiError
from bec_operator.worker_api.refusals import RefusedError
from bec_operator.worker_api.tokens import (
    REMEMBER,
    REMEMBER_REFUSAL,
    REVIEWS_AT_ONCE,
    Identity,
    Tokens,
)
from bec_ops.protocol import AUDIENCE

START = 1_000_000.0
GOOD: dict[str, Any] = {
    "authenticated": True,
    "audiences": [AUDIENCE],
    "user": {
        "username": "system:serviceaccount:texts:default",
        "extra": {
            "authentication.kubernetes.io/pod-name": ["a-1"],
            "authentication.kubernetes.io/pod-uid": ["uid-a"],
        },
    },
}
A_POD = Identity("texts", "a-1", "uid-a")


class Clock:
    def __init__(self) -> None:
        self.time = START

    def now(self) -> float:
        return self.time


class Api:
    """Answers every review with `status`, or fails with `error`; holds them back while `held`."""

    def __init__(self) -> None:
        self.status: dict[str, Any] = GOOD
        self.error: Exception | None = None
        self.asked: list[str] = []
        self.held = asyncio.Event()
        self.held.set()

    async def request(self, method: str, path: str, body: Any) -> Any:
        assert (method, path) == ("POST", "/apis/authentication.k8s.io/v1/tokenreviews")
        assert body["spec"]["audiences"] == [AUDIENCE]
        self.asked.append(body["spec"]["token"])
        await self.held.wait()
        if self.error is not None:
            raise self.error
        return {"status": self.status}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def tokens(api: Api, clock: Clock) -> Tokens:
    fakes: tuple[Any, Any] = (api, clock)
    return Tokens(*fakes)


def token(expiry: float) -> str:
    claims = base64.urlsafe_b64encode(json.dumps({"exp": expiry}).encode()).decode().rstrip("=")
    return f"header.{claims}.signature"


async def refusal(tokens: Tokens, sent: str) -> str:
    with pytest.raises(RefusedError) as caught:
        await tokens.identify(sent)
    return caught.value.word


@pytest.mark.parametrize(
    ("expiry", "believed"),
    [(START + 10 * REMEMBER, REMEMBER), (START + 7, 7.0), (None, REMEMBER)],
    ids=["long", "short", "opaque"],
)
async def test_a_good_token_is_believed_for_a_while(
    tokens: Tokens, api: Api, clock: Clock, expiry: float | None, believed: float
) -> None:
    sent = token(expiry) if expiry is not None else "opaque"
    assert await tokens.identify(sent) == A_POD
    clock.time = START + believed - 0.1
    assert await tokens.identify(sent) == A_POD
    assert len(api.asked) == 1
    clock.time = START + believed
    api.status = {"authenticated": False}
    assert await refusal(tokens, sent) == "Unauthenticated"
    assert len(api.asked) == 2


async def test_a_refusal_is_remembered_for_a_moment(tokens: Tokens, api: Api, clock: Clock) -> None:
    api.status = {"authenticated": False, "error": "opaque is not valid"}
    assert await refusal(tokens, "opaque") == "Unauthenticated"
    assert await refusal(tokens, "opaque") == "Unauthenticated"
    assert len(api.asked) == 1
    clock.time += REMEMBER_REFUSAL
    api.status = GOOD
    assert await tokens.identify("opaque") == A_POD


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"authenticated": False}, "Unauthenticated"),
        ({"audiences": ["https://kubernetes.default.svc"]}, "Unauthenticated"),
        ({"audiences": None}, "Unauthenticated"),
        ({"user": {"username": "system:serviceaccount:texts:default"}}, "Forbidden"),
        ({"user": {**GOOD["user"], "username": "system:node:n1"}}, "Forbidden"),
    ],
    ids=["not valid", "other audience", "no audience", "no pod", "no service account"],
)
async def test_what_is_not_a_pods_token_for_us(
    tokens: Tokens, api: Api, change: dict[str, Any], word: str
) -> None:
    api.status = {**GOOD, **change}
    assert await refusal(tokens, "opaque") == word


@pytest.mark.parametrize(
    "error",
    [
        ApiError(500, "Internal", "cannot review s3cret"),
        ApiError(403, "Forbidden", "no rights"),
        TimeoutError(),
        ValueError("Expecting value: s3cret"),
    ],
    ids=["fails", "forbids", "hangs", "babbles"],
)
async def test_no_answer_is_no_refusal_and_is_not_remembered(
    tokens: Tokens, api: Api, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    api.error = error
    with caplog.at_level(logging.DEBUG), pytest.raises(RefusedError) as caught:
        await tokens.identify("s3cret")
    assert caught.value.status == 503
    assert "s3cret" not in caplog.text + str(caught.value)
    assert len(caplog.records) == 1
    assert await refusal(tokens, "s3cret") == "Unavailable"
    assert len(caplog.records) == 1, "one line a minute is enough"
    api.error = None
    assert await tokens.identify("s3cret") == A_POD


async def test_calls_with_the_same_token_share_one_review(tokens: Tokens, api: Api) -> None:
    api.held.clear()
    calls = [asyncio.ensure_future(tokens.identify("same")) for _ in range(5)]
    await asyncio.sleep(0)
    calls[0].cancel()  # its caller hangs up; the others wait on
    await asyncio.sleep(0)
    api.held.set()
    assert await asyncio.gather(*calls[1:]) == [A_POD] * 4
    assert calls[0].cancelled()
    assert api.asked == ["same"]


async def test_only_so_many_reviews_at_once(tokens: Tokens, api: Api) -> None:
    api.held.clear()
    calls = [asyncio.ensure_future(tokens.identify(f"t{n}")) for n in range(REVIEWS_AT_ONCE + 5)]
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(api.asked) == REVIEWS_AT_ONCE
    api.held.set()
    assert set(await asyncio.gather(*calls)) == {A_POD}
    assert len(api.asked) == REVIEWS_AT_ONCE + 5
