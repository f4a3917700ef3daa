"""The worker API for workers from elsewhere: over TLS, and by an id and a secret of their own."""

import base64
import binascii
from functools import partial
from typing import Any

from aiohttp import web

from bec_operator.act.ground.enrolled import Offer, Outsider
from bec_operator.act.ground.key import Key
from bec_operator.act.ground.outside_hosts import REMEMBERED
from bec_operator.act.kube.worker_environment import heartbeat_seconds
from bec_operator.gateway.gateway import Gateway, JobsOver
from bec_operator.gateway.guesses import Guesses
from bec_operator.gateway.holding import Holding, Seat
from bec_operator.gateway.routes import ENROL, OUTSIDE_ROUTES
from bec_operator.gateway.signing import sign
from bec_operator.gateway.tls import Certificate
from bec_operator.worker_api.callers.call_rates import CallRates
from bec_operator.worker_api.callers.refusals import CallRefusedError
from bec_operator.worker_api.incoming import body_of
from bec_operator.worker_api.routes import OPENAPI_PATH, Route
from bec_operator.worker_api.serving import Serving, as_json, refusal_as_json
from bec_ops.contract.protocol import (
    AboutAttempt,
    Answer,
    Assigned,
    Done,
    Enrolled,
    Held,
    Holds,
    Next,
    Register,
    Registered,
    Sign,
)

FACE = "outside"
"""What the marker says of a volume that was done by our own worker, elsewhere."""


class OutsideApi:
    """Serves workers from elsewhere, between `start` and `stop`."""

    def __init__(self, gateway: Gateway, port: int, certificate: Certificate) -> None:
        self._gateway = gateway
        self._ctx = gateway.ctx
        self._rates = CallRates()
        self._guesses = Guesses()
        self._sessions: dict[str, Seat] = {}
        self._current: dict[str, str] = {}  # the session of each seat
        self._serving = Serving(
            self._ctx,
            port,
            refusal_as_json,
            f"the operator's docs, or {OPENAPI_PATH} of its worker API",
            "outside.",
            certificate.context,
        )
        for route in OUTSIDE_ROUTES:
            self._serving.add("POST", route.path, partial(self._call, route), route.name)

    async def start(self) -> None:
        """Listen; raises OSError if somebody has the port."""
        await self._serving.start()

    async def stop(self) -> None:
        """Let calls under way come to their end, and listen no more."""
        await self._serving.stop()

    async def _call(self, route: Route, request: web.Request) -> web.StreamResponse:
        who, now = f"address {request.remote}", self._ctx.clock.now()
        try:
            if route is ENROL:
                body = await body_of(route, request)
                with self._guesses.of(request.remote or "", now):
                    return as_json(await self._enrol(body))
            with self._guesses.of(request.remote or "", now):
                worker = self._gateway.enrolling.identify(*basic(request))
            who = f"worker {worker.id}"
            self._rates.check(worker.id, route.name, now)
            return as_json(await self._answer(worker, await body_of(route, request)))
        except CallRefusedError as refused:
            self._serving.log.refused(route.name, who, refused.word, now)
            raise

    async def _enrol(self, call: Any) -> Enrolled:
        return Enrolled(worker_id=(await self._gateway.enrolling.enrol(call)).id)

    async def _answer(self, worker: Outsider, call: Any) -> Answer:
        if isinstance(call, Register):
            seat = self._gateway.register(worker, call.process, call.seat)
            return self._registered(seat)
        if isinstance(call, Next):
            return await self._next(self._seat(worker, call.session), call)
        if isinstance(call, AboutAttempt):
            caller = self._gateway.at_work(self._seat(worker, call.session), call)
            if isinstance(call, Done):
                return await self._gateway.finish(caller, call, FACE)
            if isinstance(call, Sign):
                return await sign(self._gateway, caller, call)
            return await self._gateway.calls.answers[type(call)](caller, call)
        return Holds(held=tuple(map(_told, self._gateway.holdings(worker))))

    def _registered(self, seat: Seat) -> Registered:
        before = self._current.get(seat.uid, seat.session)
        if before != seat.session:
            self._sessions.pop(before, None)
        self._sessions[seat.session], self._current[seat.uid] = seat, seat.session
        if len(self._sessions) > 2 * REMEMBERED:
            known = self._ctx.cache.outside.seats
            self._sessions = {s: seat for s, seat in self._sessions.items() if seat.uid in known}
            self._current = {uid: s for uid, s in self._current.items() if uid in known}
        every = heartbeat_seconds(None, self._ctx.settings)
        return Registered(session=seat.session, worker_id=seat.worker.id, heartbeat_seconds=every)

    def _seat(self, worker: Outsider, session: str) -> Seat:
        """Return the seat of a session, with the worker as its enrolment is now."""
        known = self._sessions.get(session)
        if known is None or known.worker.id != worker.id:
            raise CallRefusedError("UnknownSession", "the session is not known; register (again)")
        return Seat(worker, known.name, session)

    async def _next(self, seat: Seat, call: Next) -> Assigned:
        jobs = [_job_of(name, seat.worker) for name in call.jobs]
        offer = Offer(jobs, call.handlers, call.site, call.beats)
        try:
            holding = await self._gateway.next(seat, offer, call.wait)
        except JobsOver:
            return Assigned(over=True)
        if holding is None:
            return Assigned()
        job = self._ctx.cache.jobs.get(*holding.job)
        return Assigned(
            task=holding.task,
            job="/".join(holding.job),
            lease_seconds=holding.lease,
            presigned=job is not None and job.spec is not None and job.spec.outside.presigned,
        )


def basic(request: web.Request) -> tuple[str, str]:
    """Return the id and the secret of a request; raises CallRefusedError if it has none."""
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    try:
        sent = base64.b64decode(given, validate=True).decode()
    except (binascii.Error, ValueError):
        sent = ""
    worker_id, found, secret = sent.partition(":")
    if scheme.lower() != "basic" or not found:
        raise CallRefusedError(
            "Unauthenticated", "send the worker's id and secret as `Authorization: Basic …`"
        )
    return worker_id, secret


def _job_of(name: str, worker: Outsider) -> Key:
    """Return the Job of a name, which may leave out the one namespace that there is for it."""
    namespace, found, job = name.rpartition("/")
    if found:
        return namespace, job
    names = worker.scope.namespaces
    if len(names) != 1 or names[0] == "*":
        raise CallRefusedError(
            "Invalid", f"jobs: {name!r} may be in several namespaces; write NAMESPACE/{name}"
        )
    return names[0], job


def _told(holding: Holding) -> Held:
    return Held(
        job="/".join(holding.job),
        seat=holding.seat.name,
        session=holding.seat.session,
        task=holding.task,
    )
