"""The worker API over HTTP: who is calling, what is asked, and an answer or a refusal as JSON."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from aiohttp import web
from aiohttp.http import HttpProcessingError
from pydantic import BaseModel, ValidationError

from bec_operator.act.cache import Key
from bec_operator.act.context import Context
from bec_operator.act.faults import log_fault
from bec_operator.decide.memory import Memory
from bec_operator.metrics import WORKER_CALL_SECONDS, WORKER_CALLS
from bec_operator.worker_api.callers import find_caller
from bec_operator.worker_api.calls import Calls
from bec_operator.worker_api.openapi import openapi
from bec_operator.worker_api.refusals import RefusedError
from bec_operator.worker_api.routes import OPENAPI_PATH, ROUTES, Route
from bec_operator.worker_api.tokens import Tokens

log = logging.getLogger(__name__)

BODY_BYTES = 128 * 1024
BODY_SECONDS = 30.0
STOP_SECONDS = 5.0
_OTHER = "other"  # what a path that is no call is counted as

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class WorkerApi:
    """Serves workers between `start` and `stop`."""

    def __init__(self, ctx: Context, memory_of: Callable[[Key], Memory | None]) -> None:
        self._ctx = ctx
        self._tokens = Tokens(ctx.api, ctx.clock)
        self._calls = Calls(ctx, memory_of)
        self._document = openapi()
        app = web.Application(middlewares=[_answer], client_max_size=BODY_BYTES)
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
        )

    async def start(self) -> None:
        """Listen on the port of the settings; raises OSError if somebody has it."""
        await self._runner.setup()
        await web.TCPSite(self._runner, port=self._ctx.settings.worker_port).start()

    async def stop(self) -> None:
        """Answer those who wait, let calls under way come to their end, and listen no more."""
        await self._runner.cleanup()

    async def _release(self, _: web.Application) -> None:
        self._calls.stopping.set()

    async def _describe(self, _: web.Request) -> web.StreamResponse:
        return web.json_response(self._document)

    async def _call(self, route: Route, request: web.Request) -> web.StreamResponse:
        identity = await self._tokens.identify(_token(request))
        body = await _body(route, request)
        caller = await find_caller(self._ctx, identity)
        return _json(await self._calls.answer(caller, body))


def _http_log() -> logging.Logger:
    """Return a log for aiohttp: without what is no HTTP, which it quotes, token and all."""

    def is_ours(record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))

    http_log = logging.getLogger(f"{__name__}.http")
    http_log.addFilter(is_ours)
    return http_log


def _token(request: web.Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip() or not token.isascii():
        raise RefusedError(
            "Unauthenticated", "send the pod's projected token as `Authorization: Bearer …`"
        )
    return token.strip()


async def _body(route: Route, request: web.Request) -> BaseModel:
    try:
        async with asyncio.timeout(BODY_SECONDS):
            sent = await request.read()
        return route.request.model_validate_json(sent)
    except TimeoutError:
        raise RefusedError(
            "Invalid", f"the body did not come within {BODY_SECONDS:.0f} s; send it at once"
        ) from None
    except (ConnectionError, web.RequestPayloadError) as error:
        raise RefusedError("Invalid", "the body broke off") from error
    except web.HTTPRequestEntityTooLarge:
        raise RefusedError(
            "Invalid", f"the body has more than {BODY_BYTES} bytes; send less, and UTF-8 as it is"
        ) from None
    except ValidationError as error:
        wrong = "; ".join(_sentence(detail) for detail in error.errors())
        raise RefusedError("Invalid", f"{route.name}: {wrong}") from None


def _sentence(detail: Any) -> str:
    where = ".".join(str(part) for part in detail["loc"])
    return f"{where}: {detail['msg']}" if where else str(detail["msg"])


def _json(model: BaseModel, status: int = 200) -> web.Response:
    return web.Response(
        text=model.model_dump_json(), status=status, content_type="application/json"
    )


@web.middleware
async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever goes wrong into a refusal, and count and time the call."""
    call, began, outcome = request.match_info.route.name or _OTHER, time.monotonic(), "broken"
    try:
        answer = await handler(request)
        outcome = "ok"
    except RefusedError as refused:
        outcome = refused.word
        return _json(refused.body, refused.status)
    except web.HTTPException as error:
        outcome = "Invalid"
        said = f"{request.method} {request.path}: {error.reason}; see GET {OPENAPI_PATH}"
        return _json(RefusedError("Invalid", said).body, error.status)
    except Exception as error:  # noqa: BLE001 - whatever it is, its text is not told
        log_fault(log, error, f"the call {call}")
        return _json(RefusedError("Unavailable", "the operator failed; try again later").body, 500)
    else:
        return answer
    finally:
        WORKER_CALLS.labels(call, outcome).inc()
        WORKER_CALL_SECONDS.labels(call).observe(time.monotonic() - began)
