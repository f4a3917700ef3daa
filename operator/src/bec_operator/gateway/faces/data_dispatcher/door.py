"""Serves clients of Data Dispatcher: their calls, and what is said of those that make no sense."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from bec_operator.act.ground.enrolled import Enrolment
from bec_operator.gateway.faces.data_dispatcher.answers import (
    NotNowError,
    as_text,
    as_text_json,
    refusal,
)
from bec_operator.gateway.faces.data_dispatcher.listing import Listing
from bec_operator.gateway.faces.data_dispatcher.logging_in import LoggingIn
from bec_operator.gateway.faces.data_dispatcher.names import FACE
from bec_operator.gateway.faces.data_dispatcher.projects import Projects
from bec_operator.gateway.faces.data_dispatcher.queries import NextFile, Release, query_of
from bec_operator.gateway.faces.data_dispatcher.refused import REFUSED
from bec_operator.gateway.faces.data_dispatcher.releasing import Releasing
from bec_operator.gateway.faces.data_dispatcher.reserving import Reserving
from bec_operator.gateway.gateway import Gateway
from bec_operator.gateway.tls import Certificate
from bec_operator.settings import FaceSettings
from bec_operator.worker_api.callers.call_rates import CallRates
from bec_operator.worker_api.callers.refusals import CallRefusedError
from bec_operator.worker_api.serving import Handler, Serving

Answering = Callable[[web.Request, Enrolment], Awaitable[web.StreamResponse]]
_NEXT = "next_file"
_FINAL = {400, 404}  # there is nothing to wait for


class DataDispatcher:
    """Serves them, between `start` and `stop`."""

    def __init__(
        self, gateway: Gateway, settings: FaceSettings, certificate: Certificate | None
    ) -> None:
        self._clock = gateway.ctx.clock
        self._logging_in = LoggingIn(gateway, settings.enrolment)
        self._projects = Projects(gateway.ctx)
        self._reserving = Reserving(gateway)
        self._releasing = Releasing(gateway)
        self._rates = CallRates()
        self._serving = Serving(
            gateway.ctx,
            settings.port,
            refusal,
            "docs/protocols/data-dispatcher.md",
            f"{FACE}.",
            certificate.context if certificate is not None else None,
        )
        listing = Listing(gateway, self._projects)
        self._add(_NEXT, self._next_file)
        self._add("release", self._release)
        self._add("project", listing.project)
        self._add("projects", listing.projects)
        self._add("handles", listing.handles)
        self._add_open()
        for verb, call, why in REFUSED:
            self._serving.add(verb, f"/{call}", _refuse(why), call)

    def _add(self, call: str, answering: Answering) -> None:
        """Serve a call of those that have logged in."""

        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._answer(call, answering, request)

        self._serving.add("GET", f"/{call}", handle, call)

    def _add_open(self) -> None:
        """Serve the calls of those that have not. Some clients put `/auth` before the path."""
        logging_in = self._logging_in
        self._serving.add("GET", "/version", _version, "version")
        for before, name in (("", ""), ("/auth", "auth.")):
            self._serving.add("POST", f"{before}/auth", logging_in.log_in, f"{name}auth")
            self._serving.add("GET", f"{before}/auth", logging_in.refuse, f"{name}auth.other")
            self._serving.add("GET", f"{before}/verify", logging_in.verify, f"{name}verify")

    async def start(self) -> None:
        """Listen; raises OSError if somebody has the port."""
        await self._serving.start()

    async def stop(self) -> None:
        """Let calls under way come to their end, and listen no more."""
        await self._serving.stop()

    async def _answer(
        self, call: str, answering: Answering, request: web.Request
    ) -> web.StreamResponse:
        who, now = f"address {request.remote}", self._clock.now()
        try:
            enrolment = self._logging_in.who(request)
            who = f"enrolment {enrolment.name} at {request.remote}"
            self._rates.check(who, call, now)
            return await answering(request, enrolment)
        except CallRefusedError as refused:
            self._serving.log.refused(call, who, refused.word, now)
            if call == _NEXT and refused.status not in _FINAL:
                raise NotNowError(refused) from refused
            raise

    async def _next_file(self, request: web.Request, enrolment: Enrolment) -> web.StreamResponse:
        query = query_of(NextFile, request)
        job = self._projects.get(enrolment, query.project_id)
        return await self._reserving.next_file(request, enrolment, job, query)

    async def _release(self, request: web.Request, enrolment: Enrolment) -> web.StreamResponse:
        query = query_of(Release, request)
        job = self._projects.get(enrolment, query.project_id)
        await self._releasing.release(enrolment, job, query)
        return as_text_json({"handle_id": query.handle_id})


async def _version(request: web.Request) -> web.StreamResponse:
    del request
    return as_text("bec-operator")


def _refuse(why: str) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        del request
        raise CallRefusedError("Forbidden", why)

    return handle
