"""Whose token is it: asked of the API server by TokenReview, and remembered for a while.

A token is a secret: it is kept as its hash, and neither it nor an answer that may repeat it is
logged.
"""

import asyncio
import base64
import binascii
import hashlib
import json
import logging
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import aiohttp

from bec_operator.act.api_server import ApiError, ApiServer, Body
from bec_operator.act.clock import Clock
from bec_operator.worker_api.refusals import RefusedError
from bec_ops.protocol import AUDIENCE

log = logging.getLogger(__name__)

REMEMBER = 300.0  # seconds that a good token is believed, unless it ends before
REMEMBER_REFUSAL = 10.0  # seconds
REVIEWS_AT_ONCE = 16
REVIEW_SECONDS = 10.0
WARN_EVERY = 60.0  # seconds
_REMEMBERED = 20_000  # tokens
_PATH = "/apis/authentication.k8s.io/v1/tokenreviews"
_ACCOUNT = "system:serviceaccount:"
_POD_NAME = "authentication.kubernetes.io/pod-name"
_POD_UID = "authentication.kubernetes.io/pod-uid"


@dataclass(frozen=True, slots=True)
class Identity:
    """The pod that a token was made for."""

    namespace: str
    pod: str
    uid: str


@dataclass(frozen=True, slots=True)
class _Known:
    """What a review showed: who it is, or why it is nobody; true until `until`."""

    until: float
    identity: Identity | None
    refusal: RefusedError | None = None


class Tokens:
    """Reviews tokens of our audience, each of them once at a time."""

    def __init__(self, api: ApiServer, clock: Clock) -> None:
        self._api = api
        self._clock = clock
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._reviews: dict[bytes, asyncio.Task[_Known]] = {}
        self._gate = asyncio.Semaphore(REVIEWS_AT_ONCE)
        self._warned = -WARN_EVERY

    async def identify(self, token: str) -> Identity:
        """Return whose token it is.

        Raises RefusedError: Unauthenticated or Forbidden as the API server says, Unavailable
        where it says nothing.
        """
        digest = hashlib.sha256(token.encode()).digest()
        known = self._known.get(digest)
        if known is None or known.until <= self._clock.now():
            known = await asyncio.shield(self._review(digest, token))
        if known.identity is None:
            refusal = known.refusal
            assert refusal is not None
            raise RefusedError(refusal.word, refusal.message)
        return known.identity

    def _review(self, digest: bytes, token: str) -> "asyncio.Task[_Known]":
        """Return the review of a token that is under way, or begin one."""
        review = self._reviews.get(digest)
        if review is None:
            review = self._reviews[digest] = asyncio.create_task(self._ask(digest, token))
            review.add_done_callback(lambda _: self._reviews.pop(digest, None))
        return review

    async def _ask(self, digest: bytes, token: str) -> _Known:
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": [AUDIENCE]},
        }
        try:
            async with self._gate, asyncio.timeout(REVIEW_SECONDS):
                review = await self._api.request("POST", _PATH, body)
        except ApiError as error:  # its text may repeat the token
            right = ": grant `create` on tokenreviews.authentication.k8s.io" * (error.code == 403)
            return self._unknown(f"the API server answers a TokenReview with {error.code}{right}")
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            return self._unknown(f"the API server does not answer ({type(error).__name__})")
        known = self._judge(review.get("status") or {}, token)
        self._known[digest] = known
        self._known.move_to_end(digest)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return known

    def _judge(self, status: Body, token: str) -> _Known:
        now = self._clock.now()
        try:
            identity = _identity(status)
        except RefusedError as refusal:
            return _Known(now + REMEMBER_REFUSAL, None, refusal)
        return _Known(min(now + REMEMBER, _expiry(token, now + REMEMBER)), identity)

    def _unknown(self, why: str) -> _Known:
        """Nobody knows whose token it is; that is no refusal, and it is not remembered."""
        now = self._clock.now()
        if now - self._warned >= WARN_EVERY:
            self._warned = now
            log.warning("workers cannot be told apart: %s", why)
        return _Known(now, None, RefusedError("Unavailable", f"{why}; try again later"))


def _identity(status: Body) -> Identity:
    """Return whose token a review is about; raises RefusedError if it is nobody's of ours."""
    # One that was reviewed by an API server that knows no audiences names none: refused, too.
    if not status.get("authenticated") or AUDIENCE not in (status.get("audiences") or []):
        raise RefusedError(
            "Unauthenticated",
            f"the API server does not accept the token for the audience {AUDIENCE!r}; send the "
            "projected one, read anew for each call: it rotates",
        )
    user = status.get("user") or {}
    extra: dict[str, list[str]] = user.get("extra") or {}
    account, name, uid = user.get("username", ""), extra.get(_POD_NAME), extra.get(_POD_UID)
    if not account.startswith(_ACCOUNT) or not name or not uid:
        raise RefusedError(
            "Forbidden",
            "the token is not bound to a pod; send the projected one of the worker's own pod",
        )
    return Identity(account.removeprefix(_ACCOUNT).partition(":")[0], name[0], uid[0])


def _expiry(token: str, otherwise: float) -> float:
    """Return when a token that was found valid ends, in epoch seconds."""
    try:
        middle = token.split(".")[1]
        claims: Any = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
        return float(claims["exp"])
    except (IndexError, KeyError, TypeError, ValueError, binascii.Error):
        return otherwise
