"""Whose token is it: asked of the API server by TokenReview, and remembered for a while.

A token is a secret: it is kept as its hash, and neither it nor an answer that may repeat it is
logged. Only one that may be of a pod of ours is asked about, and not often: whoever floods us
with others must neither reach the API server nor push out what is known of good ones.
"""

import asyncio
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp

from bec_operator.act.ground.api_server import ApiError, ApiServer, Body
from bec_operator.act.ground.clock import Clock
from bec_operator.worker_api.callers.claims import Claim, Identity, claim_of
from bec_operator.worker_api.callers.rates import Rates
from bec_operator.worker_api.callers.refusals import CallRefusedError
from bec_ops.contract.protocol import AUDIENCE

log = logging.getLogger(__name__)

REMEMBER = 300.0  # seconds that a good token is believed, unless it ends before
REMEMBER_REFUSAL = 10.0  # seconds
REVIEWS_AT_ONCE = 16
REVIEWS_WAITING = 2_000  # those under way included
REVIEW_SECONDS = 10.0
WAIT_SECONDS = 10.0  # for a review and its turn: our own library waits no longer either
WARN_EVERY = 60.0  # seconds
REMEMBERED = 20_000  # good tokens
REMEMBERED_REFUSALS = 2_000  # others
# Tokens that are refused, of one pod as seen from one address: else whoever knows its UID could
# use up what is its own. Those under way count, those that nobody could tell of do not.
REVIEWS_OF_POD = (1.0, 20)  # a second, and at once
# Of pods that are not known, together: the watch may lag behind a new one.
REVIEWS_OF_UNKNOWN = (50.0, 500)
_PATH = "/apis/authentication.k8s.io/v1/tokenreviews"
_ACCOUNT = "system:serviceaccount:"
_POD_NAME = "authentication.kubernetes.io/pod-name"
_POD_UID = "authentication.kubernetes.io/pod-uid"


@dataclass(frozen=True, slots=True)
class _Known:
    """What a review showed: who it is, or why it is nobody; true until `until`."""

    until: float
    identity: Identity | None
    refusal: CallRefusedError | None = None

    @property
    def is_refusal(self) -> bool:
        """Whether the API server said that it is nobody; that it said nothing is another thing."""
        return self.refusal is not None and self.refusal.word != "Unavailable"


class Tokens:
    """Reviews tokens of our audience, each of them once at a time.

    `is_known` tells whether there is such a pod, as far as the watches have shown.
    """

    def __init__(self, api: ApiServer, clock: Clock, is_known: Callable[[Identity], bool]) -> None:
        self._api = api
        self._clock = clock
        self._is_known = is_known
        self._good: OrderedDict[bytes, _Known] = OrderedDict()
        self._refused: OrderedDict[bytes, _Known] = OrderedDict()
        self._reviews: dict[bytes, asyncio.Task[_Known]] = {}
        self._gate = asyncio.Semaphore(REVIEWS_AT_ONCE)
        self._of_pod = Rates(*REVIEWS_OF_POD)
        self._of_unknown = Rates(*REVIEWS_OF_UNKNOWN)
        self._warned = -WARN_EVERY

    async def identify(self, token: str, address: str) -> Identity:
        """Return whose token it is, which came from an address.

        Raises CallRefusedError: Unauthenticated or Forbidden as the API server says, or as the
        token itself tells, Unavailable where the API server says nothing, TooMany where it is not
        asked.
        """
        digest, now = hashlib.sha256(token.encode()).digest(), self._clock.now()
        known = self._good.get(digest) or self._refused.get(digest)
        if known is None or known.until <= now:
            review = self._reviews.get(digest)
            if review is None:
                claim = claim_of(token, now)
                self._allow(claim.identity, address, now)
                review = self._begin(digest, token, claim, address)
            known = await self._wait(review)
        if known.identity is None:
            refusal = known.refusal
            assert refusal is not None
            raise CallRefusedError(refusal.word, refusal.message)
        return known.identity

    async def _wait(self, review: "asyncio.Task[_Known]") -> _Known:
        """Wait for a review, which goes on if that takes long: the token will be sent again."""
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                return await asyncio.shield(review)
        except TimeoutError:
            return self._unknown("many tokens wait for the API server")

    def _allow(self, claimed: Identity, address: str, now: float) -> None:
        """See that one more review can be asked for; raises CallRefusedError."""
        if len(self._reviews) >= REVIEWS_WAITING:
            raise CallRefusedError(
                "Unavailable", "too many tokens wait for the API server; try later"
            )
        unknown = not self._is_known(claimed) and self._of_unknown.take("", now)
        if unknown:
            raise CallRefusedError(
                "TooMany", "too many unknown pods call; try again later", retry_after=unknown
            )
        if wait := self._of_pod.take((claimed.uid, address), now):
            raise CallRefusedError(
                "TooMany",
                "too many tokens of this pod; keep to one until it is renewed",
                retry_after=wait,
            )

    def _begin(
        self, digest: bytes, token: str, claim: Claim, address: str
    ) -> "asyncio.Task[_Known]":
        def end(ended: "asyncio.Task[_Known]") -> None:
            self._reviews.pop(digest, None)
            if ended.cancelled() or ended.exception() or not ended.result().is_refusal:
                self._of_pod.give_back((claim.identity.uid, address))

        review = self._reviews[digest] = asyncio.create_task(self._ask(digest, token, claim))
        review.add_done_callback(end)
        return review

    async def _ask(self, digest: bytes, token: str, claim: Claim) -> _Known:
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
        known = self._judge(review.get("status") or {}, claim)
        if known.identity is not None:
            _remember(self._good, digest, known, REMEMBERED)
        else:
            self._good.pop(digest, None)
            _remember(self._refused, digest, known, REMEMBERED_REFUSALS)
        return known

    def _judge(self, status: Body, claim: Claim) -> _Known:
        now = self._clock.now()
        try:
            identity = _identity(status)
        except CallRefusedError as refusal:
            return _Known(now + REMEMBER_REFUSAL, None, refusal)
        return _Known(min(now + REMEMBER, claim.expiry), identity)

    def _unknown(self, why: str) -> _Known:
        """Nobody knows whose token it is; that is no refusal, and it is not remembered."""
        now = self._clock.now()
        if now - self._warned >= WARN_EVERY:
            self._warned = now
            log.warning("workers cannot be told apart: %s", why)
        return _Known(now, None, CallRefusedError("Unavailable", f"{why}; try again later"))


def _identity(status: Body) -> Identity:
    """Return whose token a review is about; raises CallRefusedError if it is nobody's of ours."""
    # One that was reviewed by an API server that knows no audiences names none: refused, too.
    if not status.get("authenticated") or AUDIENCE not in (status.get("audiences") or []):
        raise CallRefusedError(
            "Unauthenticated",
            f"the API server does not accept the token for the audience {AUDIENCE!r}; send the "
            "projected one, read anew for each call: it rotates",
        )
    user = status.get("user") or {}
    extra: dict[str, list[str]] = user.get("extra") or {}
    account, name, uid = user.get("username", ""), extra.get(_POD_NAME), extra.get(_POD_UID)
    if not account.startswith(_ACCOUNT) or not name or not uid:
        raise CallRefusedError(
            "Forbidden",
            "the token is not bound to a pod; send the projected one of the worker's own pod",
        )
    return Identity(account.removeprefix(_ACCOUNT).partition(":")[0], name[0], uid[0])


def _remember(known: OrderedDict[bytes, _Known], digest: bytes, shown: _Known, most: int) -> None:
    known[digest] = shown
    known.move_to_end(digest)
    if len(known) > most:
        known.popitem(last=False)
