"""ReefGuide's protocol on a port of its own."""

import math
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from bec_operator.act.ground.enrolled import Enrolment
from bec_operator.gateway.faces.reefguide import messages
from bec_operator.gateway.faces.reefguide.assigning import assign
from bec_operator.gateway.faces.reefguide.listing import Listing
from bec_operator.gateway.faces.reefguide.numbers import assignment_number, index_in
from bec_operator.gateway.faces.reefguide.results import FACE, Results
from bec_operator.gateway.gateway import Gateway
from bec_operator.gateway.guesses import Guesses
from bec_operator.gateway.holding import Holding
from bec_operator.gateway.logins import Logins
from bec_operator.gateway.tls import Certificate
from bec_operator.settings import FaceSettings
from bec_operator.worker_api.callers.call_rates import CallRates
from bec_operator.worker_api.callers.refusals import CallRefusedError
from bec_operator.worker_api.incoming import body_of, token_of
from bec_operator.worker_api.serving import Serving

_LOGIN = 600  # seconds that one is good for, by what it says of itself
_REFRESH = 48 * 3600
_BEHIND = 3600.0  # seconds that clocks of workers may be behind: by these they log in again
_WHERE = "docs/protocols/reefguide.md"

Handler = Callable[[web.Request, Enrolment], Awaitable[web.StreamResponse]]


class ReefGuideFace:
    """Serves workers of ReefGuide, between `start` and `stop`."""

    def __init__(
        self, gateway: Gateway, settings: FaceSettings, certificate: Certificate | None
    ) -> None:
        self._gateway = gateway
        self._clock = gateway.ctx.clock
        self._logins = Logins(gateway.enrolling, FACE, _BEHIND)
        self._refreshes = Logins(gateway.enrolling, f"{FACE} refresh")
        self._guesses = Guesses()
        self._rates = CallRates()
        self._listing = Listing(gateway)
        self._results = Results(gateway)
        tls = certificate.context if certificate is not None else None
        self._serving = Serving(
            gateway.ctx, settings.port, messages.refusal, _WHERE, f"{FACE}.", tls
        )
        self._serving.add("POST", "/api/auth/login", self._open("login", self._log_in), "login")
        self._serving.add("POST", "/api/auth/token", self._open("token", self._refresh), "token")
        for verb, path, name, do in (
            ("GET", "/api/jobs/poll", "poll", self._poll),
            ("POST", "/api/jobs/assign", "assign", self._assign),
            ("POST", "/api/jobs/assignments/{number:[0-9]{1,16}}/result", "result", self._result),
            ("POST", "/api/admin/data-specification", "data-specification", self._specify),
        ):
            self._serving.add(verb, path, self._closed(name, do), name)

    async def start(self) -> None:
        """Listen; raises OSError if somebody has the port."""
        await self._serving.start()

    async def stop(self) -> None:
        """Let calls under way come to their end, and listen no more."""
        await self._serving.stop()

    # --- who is calling

    def _open(
        self, name: str, do: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """Return what answers a call by which somebody says who he is."""

        async def answer(request: web.Request) -> web.StreamResponse:
            with self._guesses.of(request.remote or "", self._clock.now()):
                return await do(request)

        return self._logged(name, answer)

    def _closed(
        self, name: str, do: Handler
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """Return what answers a call of somebody who has logged in."""

        async def answer(request: web.Request) -> web.StreamResponse:
            enrolment = self._logins.whose(token_of(request))
            who = f"{enrolment.name} {request.remote}"
            self._rates.check(who, name, self._clock.now())
            return await do(request, enrolment)

        return self._logged(name, answer)

    def _logged(
        self, name: str, do: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def answer(request: web.Request) -> web.StreamResponse:
            try:
                return await do(request)
            except CallRefusedError as refused:
                now, who = self._clock.now(), f"address {request.remote}"
                self._serving.log.refused(f"{FACE}.{name}", who, refused.word, now)
                raise

        return answer

    async def _log_in(self, request: web.Request) -> web.StreamResponse:
        sent: Any = await body_of(messages.LOGIN, request)
        now = math.floor(self._clock.now())  # clients expect whole numbers in what they decode
        token = self._logins.log_in(sent.name, sent.password, now, _LOGIN)
        refresh = self._refreshes.log_in(sent.name, sent.password, now, _REFRESH)
        return web.json_response({"token": token, "refreshToken": refresh})

    async def _refresh(self, request: web.Request) -> web.StreamResponse:
        sent: Any = await body_of(messages.REFRESH, request)
        enrolment = self._refreshes.whose(sent.refresh_token)
        now = math.floor(self._clock.now())
        token = self._logins.log_in(enrolment.name, enrolment.token, now, _LOGIN)
        return web.json_response({"token": token})

    # --- jobs

    async def _poll(self, request: web.Request, enrolment: Enrolment) -> web.StreamResponse:
        kind = request.query.get("jobType", "")
        shown = self._listing.jobs(enrolment, kind, request.remote or "")
        return web.json_response({"jobs": shown})

    async def _assign(self, request: web.Request, enrolment: Enrolment) -> web.StreamResponse:
        claim: Any = await body_of(messages.ASSIGN, request)
        holding = await assign(self._gateway, self._listing, enrolment, claim, request.remote or "")
        task = holding.task
        number = assignment_number(task.task_uid, task.attempt, index_in(claim.job))
        told = messages.assignment(number, claim, holding, self._clock.now())
        return await self._hand_over(request, holding, told)

    async def _hand_over(
        self, request: web.Request, holding: Holding, told: dict[str, Any]
    ) -> web.StreamResponse:
        """Answer; a worker that has hung up never hears of its assignment, so it is taken back."""
        answer = web.json_response(told)
        try:
            await answer.prepare(request)
            await answer.write_eof()
        except (ConnectionError, TimeoutError):
            said = "the worker hung up before it was told of its assignment"
            await self._gateway.failed(holding, "Interrupted", said)
            raise
        return answer

    async def _result(self, request: web.Request, enrolment: Enrolment) -> web.StreamResponse:
        number = int(request.match_info["number"])
        try:
            said: Any = await body_of(messages.RESULT, request)
        except CallRefusedError as refused:
            await self._results.give_up(enrolment, number, refused.message)
            raise
        await self._results.take(enrolment, number, said)
        return web.json_response({})

    async def _specify(self, request: web.Request, enrolment: Enrolment) -> web.StreamResponse:
        del request, enrolment
        said = (
            "nothing keeps data specifications here; leave DATA_SPECIFICATION_UPDATE to ReefGuide"
        )
        raise CallRefusedError("Invalid", said, 403)
