"""Tokens: asked about once, remembered for a while, and never told to anybody."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bec_operator.act.ground.api_server import ApiError
from bec_operator.worker_api.callers import tokens as module
from bec_operator.worker_api.callers.claims import Identity
from bec_operator.worker_api.callers.refusals import CallRefusedError
from bec_operator.worker_api.callers.tokens import (
    REMEMBER,
    REMEMBER_REFUSAL,
    REVIEWS_AT_ONCE,
    REVIEWS_OF_POD,
    REVIEWS_OF_UNKNOWN,
    Tokens,
)
from bec_ops.contract.protocol import AUDIENCE
from tests.unit.worker_api.made_tokens import A_POD, SIGNATURE, made_token

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
HOUR = 3600.0
TOKEN = made_token(START + HOUR)
HERE, THERE = "10.0.0.1", "10.0.0.2"


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
    return reviews(api, clock)


def reviews(api: Api, clock: Clock, knows: Callable[[Identity], bool] = lambda _: True) -> Tokens:
    fakes: tuple[Any, Any] = (api, clock)
    return Tokens(*fakes, knows)


def other_token(number: int, identity: Identity = A_POD) -> str:
    """Return one more token of a pod: nobody can tell by its claims that it is not a good one."""
    return made_token(START + HOUR, identity, jti=number)


def pod(number: int) -> Identity:
    return replace(A_POD, pod=f"a-{number}", uid=f"uid-{number}")


async def refusal(tokens: Tokens, sent: str = TOKEN, address: str = HERE) -> str:
    with pytest.raises(CallRefusedError) as caught:
        await tokens.identify(sent, address)
    return caught.value.word


@pytest.mark.parametrize(
    ("expiry", "believed"), [(START + 10 * REMEMBER, REMEMBER), (START + 7, 7.0)]
)
async def test_a_good_token_is_believed_for_a_while(
    tokens: Tokens, api: Api, clock: Clock, expiry: float, believed: float
) -> None:
    sent = made_token(expiry)
    assert await tokens.identify(sent, HERE) == A_POD
    clock.time = START + believed - 0.1
    assert await tokens.identify(sent, HERE) == A_POD
    assert len(api.asked) == 1
    clock.time = START + believed
    api.status = {"authenticated": False}
    assert await refusal(tokens, sent) == "Unauthenticated"
    assert len(api.asked) == 2


async def test_a_refusal_is_remembered_for_a_moment(tokens: Tokens, api: Api, clock: Clock) -> None:
    api.status = {"authenticated": False, "error": "it is not valid"}
    assert await refusal(tokens) == "Unauthenticated"
    assert await refusal(tokens) == "Unauthenticated"
    assert len(api.asked) == 1
    clock.time += REMEMBER_REFUSAL
    api.status = GOOD
    assert await tokens.identify(TOKEN, HERE) == A_POD


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
    assert await refusal(tokens) == word


@pytest.mark.parametrize(
    "error",
    [
        ApiError(500, "Internal", f"cannot review {TOKEN}"),
        ApiError(403, "Forbidden", "no rights"),
        TimeoutError(),
        ValueError(f"Expecting value: {TOKEN}"),
    ],
    ids=["fails", "forbids", "hangs", "babbles"],
)
async def test_no_answer_is_no_refusal_and_is_not_remembered(
    tokens: Tokens, api: Api, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    api.error = error
    with caplog.at_level(logging.DEBUG), pytest.raises(CallRefusedError) as caught:
        await tokens.identify(TOKEN, HERE)
    assert caught.value.status == 503
    assert SIGNATURE not in caplog.text + str(caught.value)
    assert len(caplog.records) == 1
    assert await refusal(tokens) == "Unavailable"
    assert len(caplog.records) == 1, "one line a minute is enough"
    api.error = None
    assert await tokens.identify(TOKEN, HERE) == A_POD


async def test_calls_with_the_same_token_share_one_review(tokens: Tokens, api: Api) -> None:
    api.held.clear()
    calls = [asyncio.ensure_future(tokens.identify(TOKEN, HERE)) for _ in range(5)]
    await asyncio.sleep(0)
    calls[0].cancel()  # its caller hangs up; the others wait on
    await asyncio.sleep(0)
    api.held.set()
    assert await asyncio.gather(*calls[1:]) == [A_POD] * 4
    assert calls[0].cancelled()
    assert api.asked == [TOKEN]


async def begun(tokens: Tokens, count: int) -> list["asyncio.Task[Identity]"]:
    """Return calls of so many pods that wait."""
    sent = [made_token(START + HOUR, pod(number)) for number in range(count)]
    calls = [asyncio.create_task(tokens.identify(token, HERE)) for token in sent]
    for _ in range(5):
        await asyncio.sleep(0)
    return calls


async def test_only_so_many_reviews_at_once(tokens: Tokens, api: Api) -> None:
    api.held.clear()
    calls = await begun(tokens, REVIEWS_AT_ONCE + 5)
    assert len(api.asked) == REVIEWS_AT_ONCE
    api.held.set()
    assert set(await asyncio.gather(*calls)) == {A_POD}
    assert len(api.asked) == REVIEWS_AT_ONCE + 5


async def test_who_waits_for_its_turn_is_told_in_time(
    tokens: Tokens, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it waited for is known when it calls again."""
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.05)
    api.held.clear()
    calls = await begun(tokens, REVIEWS_AT_ONCE + 1)
    async with asyncio.timeout(5):
        answers = await asyncio.gather(*calls, return_exceptions=True)
    assert {getattr(answer, "word", "") for answer in answers} == {"Unavailable"}
    api.held.set()
    await asyncio.gather(*await begun(tokens, REVIEWS_AT_ONCE + 1))
    assert len(api.asked) == REVIEWS_AT_ONCE + 1


async def test_only_so_many_wait(tokens: Tokens, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REVIEWS_WAITING", 3)
    api.held.clear()
    calls = await begun(tokens, 3)
    assert await refusal(tokens) == "Unavailable"
    api.held.set()
    await asyncio.gather(*calls)
    assert await tokens.identify(TOKEN, HERE) == A_POD


async def test_what_cannot_be_ours_costs_the_api_server_nothing(tokens: Tokens, api: Api) -> None:
    for number in range(20_000):
        assert await refusal(tokens, f"garbage-{number}") == "Unauthenticated"
    assert await refusal(tokens, made_token(START - HOUR)) == "Unauthenticated"
    assert not api.asked


async def test_one_pod_cannot_have_any_number_of_tokens_reviewed(
    tokens: Tokens, api: Api, clock: Clock
) -> None:
    """Nor can it use up what another one is allowed, by claiming to be that."""
    api.status = {"authenticated": False}
    at_once = int(REVIEWS_OF_POD[1])
    words = [await refusal(tokens, other_token(number)) for number in range(2 * at_once)]
    assert words == ["Unauthenticated"] * at_once + ["TooMany"] * at_once
    assert len(api.asked) == at_once
    api.status = GOOD
    assert await tokens.identify(TOKEN, THERE) == A_POD
    assert await tokens.identify(TOKEN, HERE) == A_POD, "what is known needs no review"
    clock.time += 1 / REVIEWS_OF_POD[0]
    assert await tokens.identify(other_token(-1), HERE) == A_POD


async def test_a_pod_may_ask_again_and_again_while_nobody_can_tell(
    tokens: Tokens, api: Api
) -> None:
    """It is not its fault, so it must not be told to wait once the API server is back."""
    api.error = ApiError(500, "Internal", "")
    words = {await refusal(tokens) for _ in range(5 * int(REVIEWS_OF_POD[1]))}
    assert words == {"Unavailable"}
    api.error = None
    assert await tokens.identify(TOKEN, HERE) == A_POD


async def test_made_up_pods_do_not_keep_known_ones_out(api: Api, clock: Clock) -> None:
    tokens = reviews(api, clock, lambda identity: identity == A_POD)
    assert await tokens.identify(made_token(START + HOUR, pod(1)), HERE) == A_POD, "the watch lags"
    api.status = {"authenticated": False}
    at_once = int(REVIEWS_OF_UNKNOWN[1])
    words = [await refusal(tokens, other_token(0, pod(number))) for number in range(2 * at_once)]
    assert words.count("TooMany") == at_once + 1
    api.status = GOOD
    assert await tokens.identify(TOKEN, HERE) == A_POD


async def test_refusals_push_out_no_good_token(
    api: Api, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REMEMBERED_REFUSALS", 5)
    monkeypatch.setattr(module, "REVIEWS_OF_UNKNOWN", (1.0, 1000))
    tokens = reviews(api, clock)
    await tokens.identify(TOKEN, HERE)
    api.status = {"authenticated": False}
    for number in range(50):
        await refusal(tokens, other_token(0, pod(number)))
    assert len(api.asked) == 51
    await tokens.identify(TOKEN, HERE)
    assert len(api.asked) == 51
    for number, asked in ((49, 51), (0, 52)):
        await refusal(tokens, other_token(0, pod(number)))
        assert len(api.asked) == asked, "the latest refusals are remembered"
