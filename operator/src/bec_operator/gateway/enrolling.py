"""Takes workers in from elsewhere, and knows them again."""

import asyncio
import hashlib
import hmac
import logging

import aiohttp

from bec_operator.act.ground.api_server import JSON, MERGE_PATCH, ApiError, Body, core
from bec_operator.act.ground.context import Context
from bec_operator.act.ground.enrolled import Enrolled, Enrolment, Outsider
from bec_operator.act.kube.enrolled import (
    LAST_ANNOTATION,
    OFFERS_ANNOTATION,
    USED_ANNOTATION,
    enrolled_of,
    worker_secret,
)
from bec_operator.worker_api.callers.refusals import CallRefusedError
from bec_ops.contract.protocol import Enrol

log = logging.getLogger(__name__)

MOST = 1000
"""Workers of one enrolment, unless its `uses` says more."""
_TRIES = 5  # to count a use, where others are counted at the same time
_ASK = "ask the administrator for another token"


class Enrolling:
    """Enrolments and workers, as their Secrets in the operator's own namespace have them."""

    def __init__(self, ctx: Context, namespace: str) -> None:
        self._ctx = ctx
        self._namespace = namespace
        self._lock = asyncio.Lock()

    def enrolments(self) -> list[Enrolment]:
        """Return all that there are."""
        return [each for each in self._ctx.cache.enrolled.all() if isinstance(each, Enrolment)]

    def by_name(self, name: str) -> Enrolment | None:
        """Return the enrolment of a name, if it holds now."""
        found = self._ctx.cache.enrolled.get(self._namespace, name)
        return found if isinstance(found, Enrolment) and self._holds(found) else None

    def by_token(self, token: str) -> Enrolment:
        """Return the enrolment of a token; raises CallRefusedError, Unauthenticated.

        Each is compared, in the same time whatever the token is.
        """
        given = hashlib.sha256(token.encode()).digest()
        found = None
        for enrolment in self.enrolments():
            known = hashlib.sha256(enrolment.token.encode()).digest()
            if hmac.compare_digest(given, known) and self._holds(enrolment):
                found = enrolment
        if found is None:
            raise CallRefusedError("Unauthenticated", f"the token is not valid (any more); {_ASK}")
        return found

    async def enrol(self, call: Enrol) -> Outsider:
        """Take a worker in; one that asks again, with the secret that it has, is the same one."""
        enrolment = self.by_token(call.token)
        digest = hashlib.sha256(call.secret.encode()).hexdigest()
        worker_id = f"{call.name.lower().strip('._-')[:30] or 'worker'}-{digest[:32]}"
        name = _secret_of(digest)
        async with self._lock:
            known = self._ctx.cache.enrolled.get(self._namespace, name)
            if isinstance(known, Enrolled) and known.enrolment_uid == enrolment.uid:
                return self._outsider(known, enrolment)
            if known is not None or self._is_taken(worker_id):
                said = "this secret came in by another enrolment: register with a new one"
                raise CallRefusedError("Forbidden", said)
            self._check_room(enrolment)
            worker = Enrolled(
                self._namespace,
                name,
                uid="",
                version=0,
                worker_id=worker_id,
                digest=digest,
                enrolment=enrolment.name,
                enrolment_uid=enrolment.uid,
                known_as=call.name or worker_id,
            )
            if enrolment.last != digest[:24]:  # else it got no answer the last time
                await self._count_use(enrolment, digest[:24])
            made = await self._request("POST", core(self._namespace, "secrets"),
                                       worker_secret(worker, enrolment))  # fmt: skip
            self._ctx.cache.enrolled.put(enrolled_of(made))
        log.info("worker %s has come in by enrolment %s", worker_id, enrolment.name)
        return self._outsider(worker, enrolment)

    def identify(self, worker_id: str, secret: str) -> Outsider:
        """Return the worker of an id and a secret; raises CallRefusedError, Unauthenticated."""
        digest = hashlib.sha256(secret.encode()).hexdigest()
        known = self._ctx.cache.enrolled.get(self._namespace, _secret_of(digest))
        if (
            not isinstance(known, Enrolled)
            or not hmac.compare_digest(known.digest, digest)
            or not hmac.compare_digest(known.worker_id.encode(), worker_id.encode())
        ):
            raise CallRefusedError(
                "Unauthenticated", "the worker is not known (any more); register it again"
            )
        enrolment = self.by_name(known.enrolment)
        if enrolment is None or enrolment.uid != known.enrolment_uid:
            raise CallRefusedError("Unauthenticated", f"its enrolment is over; {_ASK}")
        return self._outsider(known, enrolment)

    async def note_offers(self, worker: Outsider, secret: str, offers: tuple[str, ...]) -> None:
        """Take in which kinds of work a worker does that says so at its start only."""
        if worker.offers == offers:
            return
        name = _secret_of(hashlib.sha256(secret.encode()).hexdigest())
        patch = {"metadata": {"annotations": {OFFERS_ANNOTATION: " ".join(offers)}}}
        try:
            path = core(self._namespace, "secrets", name)
            self._ctx.cache.enrolled.put(enrolled_of(await self._request("PATCH", path, patch)))
        except ApiError as error:  # 409: somebody else has changed it meanwhile
            raise _unavailable() from error

    def _is_taken(self, worker_id: str) -> bool:
        found = self._ctx.cache.enrolled.all()
        return any(isinstance(each, Enrolled) and each.worker_id == worker_id for each in found)

    def _check_room(self, enrolment: Enrolment) -> None:
        """See that workers of one enrolment do not fill the cluster with their Secrets."""
        workers = [each for each in self._ctx.cache.enrolled.all() if isinstance(each, Enrolled)]
        there = sum(worker.enrolment_uid == enrolment.uid for worker in workers)
        if there >= max(enrolment.uses or 0, MOST):
            raise CallRefusedError(
                "Forbidden", f"{there} workers have come in by this token, and no more may; {_ASK}"
            )

    def _holds(self, enrolment: Enrolment) -> bool:
        return not enrolment.problem and not enrolment.scope.is_over(self._ctx.clock.now())

    def _outsider(self, worker: Enrolled, enrolment: Enrolment) -> Outsider:
        known_as, offers = worker.known_as, worker.offers
        return Outsider(worker.worker_id, known_as, enrolment.name, enrolment.scope, offers)

    async def _count_use(self, enrolment: Enrolment, who: str) -> None:
        """Count one more worker that comes in, if there may be one more."""
        path = core(self._namespace, "secrets", enrolment.name)
        for _ in range(_TRIES):
            if enrolment.uses is not None and enrolment.used >= enrolment.uses:
                raise CallRefusedError(
                    "Forbidden", f"the token was for {enrolment.uses} workers, who are in; {_ASK}"
                )
            patch = {
                "metadata": {
                    "resourceVersion": str(enrolment.version),
                    "annotations": {
                        USED_ANNOTATION: str(enrolment.used + 1),
                        LAST_ANNOTATION: who,
                    },
                }
            }
            try:
                answer = await self._request("PATCH", path, patch)
                self._ctx.cache.enrolled.put(enrolled_of(answer))
            except ApiError:  # somebody else has come in meanwhile
                found = enrolled_of(await self._request("GET", path))
                assert isinstance(found, Enrolment)
                enrolment = found
            else:
                return
        raise _unavailable()

    async def _request(self, verb: str, path: str, body: Body | None = None) -> Body:
        kind = MERGE_PATCH if verb == "PATCH" else JSON
        try:
            return await self._ctx.api.request(verb, path, body, content_type=kind)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _unavailable() from error
        except ApiError as error:
            if error.code == 409 and verb == "PATCH":
                raise
            log.warning("no worker can come in: %s %s is answered with %d", verb, path, error.code)
            raise _unavailable() from error


def _secret_of(digest: str) -> str:
    return f"bec-outside-{digest[:24]}"


def _unavailable() -> CallRefusedError:
    return CallRefusedError("Unavailable", "the API server does not take it in; try again later")
