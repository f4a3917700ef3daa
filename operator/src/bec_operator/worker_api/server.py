"""The worker API over HTTP: who is calling, what is asked, and an answer or a refusal as JSON."""

import asyncio
import json
import logging
import math
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial

from aiohttp import web
from aiohttp.http import HttpProcessingError
from pydantic import BaseModel

from bec_operator.act.ground.context import Context
from bec_operator.act.ground.faults import log_fault
from bec_operator.act.ground.key import Key
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.pool_seen import PoolPod
from bec_operator.metrics import WORKER_CALL_SECONDS, WORKER_CALLS
from bec_operator.settings import Settings
from bec_operator.worker_api.callers.call_rates import CallRates
from bec_operator.worker_api.callers.caller import Caller, find_caller
from bec_operator.worker_api.callers.claims import Identity
from bec_operator.worker_api.callers.refusals import CallRefusedError
from bec_operator.worker_api.callers.refused_log import RefusedLog
from bec_operator.worker_api.callers.tokens import Tokens
from bec_operator.worker_api.calls import Calls
from bec_operator.worker_api.connections import Guard, Limits, Why
from bec_operator.worker_api.incoming import BODY_BYTES, body_of, token_of
from bec_operator.worker_api.openapi import openapi
from bec_operator.worker_api.routes import OPENAPI_PATH, ROUTES, Route

log = logging.getLogger(__name__)

STOP_SECONDS = 5.0
BACKLOG = 1024  # connections that the kernel holds until we take them
_OTHER = "other"  # what a path that is no call is counted as

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class WorkerApi:
    """Serves workers between `start` and `stop`."""

    def __init__(self, ctx: Context, memory_of: Callable[[Key], Memory | None]) -> None:
        self._ctx = ctx
        self._tokens = Tokens(ctx.api, ctx.clock, self._is_known)
        self._calls = Calls(ctx, memory_of)
        self._rates = CallRates()
        self._log = RefusedLog()
        self._guard = Guard(_limits(ctx.settings), self._note_closed)
        self._document = json.dumps(openapi())
        app = web.Application(middlewares=[self._answer], client_max_size=BODY_BYTES)
        for route in ROUTES:
            app.router.add_post(route.path, partial(self._call, route), name=route.name)
        app.router.add_get(OPENAPI_PATH, self._describe, name="openapi")
        app.on_shutdown.append(self._release)
        # What is compressed could be of any size: it is read as it comes, and is no JSON.
        self._runner = web.AppRunner(
            app,
            access_log=None,
            logger=_http_log(),
            auto_decompress=False,
            shutdown_timeout=STOP_SECONDS,
            keepalive_timeout=ctx.settings.worker_idle_seconds,
        )
        self._listening: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen on the port of the settings; raises OSError if somebody has it."""
        self._guard.prepare()
        await self._runner.setup()
        assert self._runner.server is not None
        self._listening = await asyncio.get_running_loop().create_server(
            self._guard.around(self._runner.server),
            port=self._ctx.settings.worker_port,
            backlog=BACKLOG,
        )

    async def stop(self) -> None:
        """Answer those who wait, let calls under way come to their end, and listen no more."""
        if self._listening is not None:
            self._listening.close()
        await self._runner.cleanup()

    async def _release(self, _: web.Application) -> None:
        self._calls.stop()

    async def _describe(self, _: web.Request) -> web.StreamResponse:
        return web.json_response(text=self._document)

    async def _call(self, route: Route, request: web.Request) -> web.StreamResponse:
        who, now = f"address {request.remote}", self._ctx.clock.now()
        try:
            identity = await self._identify(request)
            who = f"{identity.namespace}/{identity.pod}"
            self._rates.check(identity.uid, route.name, now)
            body = await body_of(route, request)
            caller = await self._find(identity)
            return _json(await self._calls.answer(caller, body))
        except CallRefusedError as refused:
            self._log.refused(route.name, who, refused.word, now)
            raise

    async def _identify(self, request: web.Request) -> Identity:
        with self._noting_who_is_not_heard():
            return await self._tokens.identify(token_of(request), request.remote or "")

    async def _find(self, identity: Identity) -> Caller | PoolPod:
        with self._noting_who_is_not_heard():
            return await find_caller(self._ctx, identity)

    @contextmanager
    def _noting_who_is_not_heard(self) -> Iterator[None]:
        try:
            yield
        except CallRefusedError as refused:
            if refused.word == "Unavailable":
                self._note_turned_away()
            raise

    def _note_turned_away(self) -> None:
        self._ctx.cache.workers.note_turned_away(self._ctx.clock.now())

    def _note_closed(self, why: Why, address: str) -> None:
        if why == "full":  # what one address alone does harms nobody else
            self._note_turned_away()
        self._log.closed(why, address, self._ctx.clock.now())

    def _is_known(self, identity: Identity) -> bool:
        """Whether the watches have shown such a pod."""
        place, cache = (identity.namespace, identity.pod), self._ctx.cache
        found = (cache.pods.get(*place), cache.pool_pods.get(*place))
        return any(pod is not None and pod.uid == identity.uid for pod in found)

    @web.middleware
    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Turn whatever goes wrong into a refusal, and count and time the call."""
        call, began, outcome = request.match_info.route.name or _OTHER, time.monotonic(), "broken"
        self._guard.answering(request.transport)
        try:
            answer = await handler(request)
            outcome = "ok"
        except CallRefusedError as refused:
            outcome = refused.word
            refusal = _refusal(refused)
            if not request.content.is_eof():  # the rest of the body would look like a slow request
                refusal.force_close()
            return refusal
        except web.HTTPException as error:
            outcome = "Invalid"
            said = f"{request.method} {request.path[:100]}: {error.reason}; see GET {OPENAPI_PATH}"
            return _refusal(CallRefusedError("Invalid", said, error.status))
        except Exception as error:  # noqa: BLE001 - whatever it is, its text is not told
            if self._log.is_due((call, "broken"), self._ctx.clock.now()):
                log_fault(log, error, f"the call {call}")
            return _refusal(CallRefusedError("Unavailable", "the operator failed; try later", 500))
        else:
            return answer
        finally:
            self._guard.answered(request.transport)
            WORKER_CALLS.labels(call, outcome).inc()
            WORKER_CALL_SECONDS.labels(call).observe(time.monotonic() - began)


def _limits(settings: Settings) -> Limits:
    return Limits(
        settings.worker_connections,
        settings.worker_connections_of_address,
        settings.worker_request_seconds,
    )


def _http_log() -> logging.Logger:
    """Return a log for aiohttp: without what is no HTTP, which it quotes, token and all."""

    def is_ours(record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))

    http_log = logging.getLogger(f"{__name__}.http")
    http_log.addFilter(is_ours)
    return http_log


def _refusal(refused: CallRefusedError) -> web.Response:
    answer = _json(refused.body, refused.status)
    if refused.retry_after is not None:
        answer.headers["Retry-After"] = str(math.ceil(refused.retry_after))
    return answer


def _json(model: BaseModel, status: int = 200) -> web.Response:
    return web.Response(
        text=model.model_dump_json(), status=status, content_type="application/json"
    )
