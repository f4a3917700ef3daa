"""What a token says of itself: what cannot be one of ours is refused before anybody is asked."""

from typing import Any

import pytest

from bec_operator.worker_api.callers.claims import LEEWAY, LONGEST, claim_of
from bec_operator.worker_api.callers.refusals import CallRefusedError
from bec_ops.contract.protocol import AUDIENCE
from tests.unit.worker_api.made_tokens import A_POD, bound_to, encoded, made_token

NOW = 1_000_000.0
NO_TEXT, NESTED = encoded(b"\xff\xff"), encoded(b'{"a":' * 2000)
HEADER, BODY, SIGNATURE = made_token(NOW + 1).split(".")
BOUND = bound_to(A_POD)


def refusal(token: str) -> CallRefusedError:
    with pytest.raises(CallRefusedError) as caught:
        claim_of(token, NOW)
    return caught.value


def test_a_token_of_a_pod() -> None:
    for audience in ([AUDIENCE], ["another", AUDIENCE], AUDIENCE):
        claim = claim_of(made_token(NOW + 5, aud=audience), NOW)
        assert (claim.identity, claim.expiry) == (A_POD, NOW + 5)


@pytest.mark.parametrize(
    "token",
    [
        "",
        "opaque",
        "..",
        f"{HEADER}.{BODY}.",
        f"{HEADER}.{BODY}",
        f"{HEADER}.{BODY}.{SIGNATURE}.x",
        f"{HEADER}.{BODY}.s cret",
        f"{HEADER}.{BODY[:-1]}*.{SIGNATURE}",
        f"{HEADER}.{BODY}x.{SIGNATURE}",
        f"{encoded(b'[]')}.{BODY}.{SIGNATURE}",
        f"{encoded(b'{}')}.{BODY}.{SIGNATURE}",
        f"{HEADER}.{encoded(b'not json')}.{SIGNATURE}",
        f"{HEADER}.{NO_TEXT}.{SIGNATURE}",
        f"{HEADER}.{NESTED}.{SIGNATURE}",
        f"{HEADER}.{BODY}.{'c' * LONGEST}",
        made_token(NOW, exp="soon"),
        made_token(NOW, exp=float("nan")),
        made_token(NOW, exp=10**400),
        made_token(NOW, exp=None),
        made_token(NOW + 1, aud=None),
        made_token(NOW + 1, aud=[1]),
        made_token(NOW + 1, A_POD, **{"kubernetes.io": "texts"}),
        made_token(NOW + 1, A_POD, **{"kubernetes.io": {**BOUND, "pod": {"name": "a-1"}}}),
        made_token(NOW + 1, A_POD, **{"kubernetes.io": {**BOUND, "namespace": "x" * 300}}),
    ],
    ids=lambda token: token[-20:],
)
def test_what_is_none(token: str) -> None:
    refused = refusal(token)
    assert refused.word == "Unauthenticated"
    assert len(refused.message) < 200
    said = refused.message + repr(refused.__cause__) + repr(refused.__context__)
    assert not any(len(part) > 5 and part in said for part in token.split("."))


@pytest.mark.parametrize(
    ("claims", "word", "says"),
    [
        ({"aud": ["https://kubernetes.default.svc"]}, "Unauthenticated", "audience"),
        ({"aud": []}, "Unauthenticated", "audience"),
        ({"exp": NOW - LEEWAY}, "Unauthenticated", "expired"),
        ({"kubernetes.io": None}, "Forbidden", "not bound to a pod"),
        ({"kubernetes.io": {"namespace": "texts"}}, "Forbidden", "not bound to a pod"),
    ],
    ids=["another audience", "no audience", "expired", "not bound", "of an account"],
)
def test_what_is_not_for_us(claims: dict[str, Any], word: str, says: str) -> None:
    refused = refusal(made_token(NOW + 1, **claims))
    assert refused.word == word
    assert says in refused.message


def test_our_clock_may_be_ahead() -> None:
    assert claim_of(made_token(NOW - LEEWAY + 1), NOW).identity == A_POD
