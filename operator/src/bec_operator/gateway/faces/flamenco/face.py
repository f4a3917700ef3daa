"""Serves Flamenco Workers what they ask of a Flamenco Manager: at the root of a port of its own."""

from collections.abc import Awaitable, Callable
from contextlib import nullcontext

from aiohttp import web

from bec_operator.act.ground.enrolled import Outsider
from bec_operator.gateway.faces.flamenco.documents import (
    UPDATE_BYTES,
    Registration,
    SignOn,
    Update,
    document_of,
    is_large,
    throw_away,
)
from bec_operator.gateway.faces.flamenco.registration import name_of, token_of
from bec_operator.gateway.faces.flamenco.turns import Turns
from bec_operator.gateway.faces.flamenco.working import FACE, Working
from bec_operator.gateway.gateway import Gateway
from bec_operator.gateway.guesses import Guesses
from bec_operator.gateway.server import basic
from bec_operator.gateway.tls import Certificate
from bec_operator.settings import FaceSettings
from bec_operator.worker_api.callers.call_rates import CallRates
from bec_operator.worker_api.callers.rates import Rates
from bec_operator.worker_api.callers.refusals import CallRefusedError, Word
from bec_operator.worker_api.serving import Serving
from bec_ops.contract.protocol import Enrol

_SIGN_ONS = (0.2, 10)  # of one worker: a second, and at once; each may write its Secret
_GOES_ON: frozenset[Word] = frozenset({"Unavailable", "TooMany", "Invalid"})
_SAID_AGAIN: frozenset[Word] = frozenset({"Unavailable", "TooMany", "Unauthenticated"})

Doing = Callable[[web.Request, Outsider], Awaitable[web.Response]]


class FlamencoFace:
    """Serves the protocol between `start` and `stop`."""

    def __init__(
        self, gateway: Gateway, settings: FaceSettings, certificate: Certificate | None
    ) -> None:
        self._gateway = gateway
        self._anybody = settings.enrolment
        self._working = Working(gateway)
        self._guesses = Guesses()
        self._rates = CallRates()
        self._sign_ons = Rates(*_SIGN_ONS)
        self._turns = Turns()
        self._serving = Serving(
            gateway.ctx,
            settings.port,
            _refusal,
            "docs/protocols/flamenco.md of the operator",
            f"{FACE}.",
            certificate.context if certificate is not None else None,
        )
        self._serving.add("POST", "/register-worker", self._register, "register-worker")
        for verb, path, name, doing in (
            ("POST", "/sign-on", "sign-on", self._sign_on),
            ("POST", "/sign-off", "sign-off", self._sign_off),
            ("POST", "/task", "task", self._task),
            ("GET", "/may-i-run/{task}", "may-i-run", self._may_i_run),
            ("POST", "/tasks/{task}/update", "update", self._update),
            ("POST", "/tasks/{task}/return", "give-back", self._give_back),
            ("POST", "/output-produced", "output-produced", self._output_produced),
            ("POST", "/ack-status-change/{status}", "ack-status-change", _nothing),
            ("GET", "/status-change", "status-change", _nothing),
        ):
            self._serving.add(verb, path, self._of_worker(name, doing), name)

    async def start(self) -> None:
        """Listen; raises OSError if somebody has the port."""
        await self._serving.start()

    async def stop(self) -> None:
        """Let calls under way come to their end, listen no more, and store what is known."""
        await self._serving.stop()
        await self._working.stop()

    def _of_worker(
        self, name: str, doing: Doing
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        """Return what answers a call of a worker that says who it is."""

        async def answer(request: web.Request) -> web.Response:
            who, now = f"address {request.remote}", self._gateway.ctx.clock.now()
            try:
                with self._guesses.of(request.remote or "", now):
                    worker = self._gateway.enrolling.identify(*basic(request))
                who = f"worker {worker.id}"
                self._rates.check(worker.id, name, now)
                return await doing(request, worker)
            except CallRefusedError as refused:
                self._serving.log.refused(f"{FACE}.{name}", who, refused.word, now)
                raise

        return answer

    async def _register(self, request: web.Request) -> web.Response:
        now = self._gateway.ctx.clock.now()
        try:
            with self._guesses.of(request.remote or "", now):
                token = token_of(request, self._gateway.enrolling, self._anybody)
            said = await document_of(request, Registration)
            name = name_of(said.nickname)
            call = Enrol(token=token, secret=said.secret, name=name)
            worker = await self._gateway.enrolling.enrol(call)
            await self._note_types(worker, said.secret, said)
        except CallRefusedError as refused:
            address = f"address {request.remote}"
            self._serving.log.refused(f"{FACE}.register-worker", address, refused.word, now)
            raise
        return web.json_response({"_id": worker.id, "nickname": name, "status": "awake"})

    async def _sign_on(self, request: web.Request, worker: Outsider) -> web.Response:
        said = await document_of(request, SignOn)
        _, secret = basic(request)
        await self._note_types(worker, secret, said)
        await self._working.sign_on(worker)
        return web.Response(status=204)

    async def _note_types(self, worker: Outsider, secret: str, said: SignOn) -> None:
        if wait := self._sign_ons.take(worker.id, self._gateway.ctx.clock.now()):
            raise CallRefusedError(
                "TooMany",
                "this worker starts too often; wait as the header Retry-After says",
                retry_after=wait,
            )
        await self._gateway.enrolling.note_offers(worker, secret, said.supported_task_types)

    async def _sign_off(self, _: web.Request, worker: Outsider) -> web.Response:
        await self._working.sign_off(worker)
        return web.Response(status=204)

    async def _task(self, _: web.Request, worker: Outsider) -> web.Response:
        document = await self._working.next(worker)
        return web.Response(status=204) if document is None else web.json_response(document)

    async def _may_i_run(self, request: web.Request, worker: Outsider) -> web.Response:
        why = await self._working.may_run(worker, request.match_info["task"])
        return web.json_response(_may(why is None, why or ""))

    async def _update(self, request: web.Request, worker: Outsider) -> web.Response:
        """Take in an update; what is refused for good is so with 404 or 409.

        With any other status it would be sent again and again, and no other one.
        """
        known_as = request.match_info["task"]
        try:
            with self._turns.of(worker.id):
                await self._expect(request, worker, known_as)
                async with self._turns.large() if is_large(request) else nullcontext():
                    await self._take_in(request, worker, known_as)
        except CallRefusedError as refused:
            if refused.word in _SAID_AGAIN or refused.status == 404:
                raise
            raise CallRefusedError(refused.word, refused.message, 409) from refused
        return web.Response(status=204)

    async def _expect(self, request: web.Request, worker: Outsider, known_as: str) -> None:
        """See that an update may come, before anything of it is kept; raises CallRefusedError."""
        try:
            is_late = self._working.expect(worker, known_as)
        except CallRefusedError as refused:
            if refused.word not in _SAID_AGAIN:
                await throw_away(request)
            raise
        if is_late or is_large(request):  # the log of what is over goes to S3 at once
            self._rates.check(worker.id, "log", self._gateway.ctx.clock.now())

    async def _take_in(self, request: web.Request, worker: Outsider, known_as: str) -> None:
        try:
            update = await document_of(request, Update, UPDATE_BYTES)
        except CallRefusedError as refused:
            if refused.word == "Invalid":
                await self._working.unreadable(worker, known_as, refused.message)
            raise
        await self._working.update(worker, known_as, update)

    async def _give_back(self, request: web.Request, worker: Outsider) -> web.Response:
        await self._working.give_back(worker, request.match_info["task"])
        return web.Response(status=204)

    async def _output_produced(self, _: web.Request, worker: Outsider) -> web.Response:
        await self._working.produced(worker)
        return web.Response(status=204)


async def _nothing(_: web.Request, __: Outsider) -> web.Response:
    return web.Response(status=204)


def _may(go_on: bool, reason: str) -> dict[str, object]:
    """Return an answer to `may-i-run`: one key more, and the worker never asks again."""
    return {"may_keep_running": go_on} if go_on else {"may_keep_running": False, "reason": reason}


def _refusal(refused: CallRefusedError) -> web.Response:
    """Return a refusal as an answer to `may-i-run`, whatever the call: all else ignore its body."""
    body = {"may_keep_running": refused.word in _GOES_ON, "reason": refused.message}
    return web.json_response(body, status=refused.status)
