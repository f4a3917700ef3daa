"""Serves HTTP to workers: connections are bounded, calls counted, and what goes wrong is told."""

import asyncio
import logging
import math
import ssl
import time
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.http import HttpProcessingError
from pydantic import BaseModel

from bec_operator.act.ground.context import Context
from bec_operator.act.ground.faults import log_fault
from bec_operator.metrics import WORKER_CALL_SECONDS, WORKER_CALLS
from bec_operator.settings import Settings
from bec_operator.worker_api.callers.refusals import CallRefusedError
from bec_operator.worker_api.callers.refused_log import RefusedLog
from bec_operator.worker_api.connections import Guard, Limits, Why
from bec_operator.worker_api.incoming import BODY_BYTES
from bec_operator.worker_api.tls_listening import TlsListener

log = logging.getLogger(__name__)

STOP_SECONDS = 5.0
BACKLOG = 1024  # connections that the kernel holds until we take them
_OTHER = "other"  # what a path that is no call is counted as

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Serving:
    """Serves calls on one port, between `start` and `stop`.

    `full` is told when somebody was not heard since too many call at once; by default that is of
    workers from elsewhere. `refuse` makes the answer to what is refused, `where` says in a word
    where one reads what calls there are. Names of calls begin with `prefix` in the metrics.
    """

    def __init__(
        self,
        ctx: Context,
        port: int,
        refuse: Callable[[CallRefusedError], web.Response],
        where: str,
        prefix: str = "",
        tls: ssl.SSLContext | None = None,
        full: Callable[[float], None] | None = None,
    ) -> None:
        self.log = RefusedLog()
        self._ctx = ctx
        self._port = port
        self._full = full or ctx.cache.outside.note_turned_away
        self._refuse = refuse
        self._where = where
        self._prefix = prefix
        self._tls = tls
        self._guard = Guard(_limits(ctx.settings), self._note_closed)
        self._app = web.Application(middlewares=[self._answer], client_max_size=BODY_BYTES)
        # What is compressed could be of any size: it is read as it comes, and is no JSON.
        self._runner = web.AppRunner(
            self._app,
            access_log=None,
            logger=_http_log(),
            auto_decompress=False,
            shutdown_timeout=STOP_SECONDS,
            keepalive_timeout=ctx.settings.worker_idle_seconds,
        )
        self._listening: asyncio.Server | TlsListener | None = None

    def add(self, verb: str, path: str, handler: Handler, name: str) -> None:
        """Serve a call."""
        self._app.router.add_route(verb, path, handler, name=name)

    def at_end(self, release: Callable[[], None]) -> None:
        """Have something done before calls under way are waited for."""

        async def do(_: web.Application) -> None:
            release()

        self._app.on_shutdown.append(do)

    async def start(self) -> None:
        """Listen; raises OSError if somebody has the port."""
        self._guard.prepare()
        await self._runner.setup()
        assert self._runner.server is not None
        make = self._guard.around(self._runner.server)
        if self._tls is not None:
            self._listening = TlsListener(self._guard, make, self._tls)
            self._listening.start(self._port, BACKLOG)
            return
        self._listening = await asyncio.get_running_loop().create_server(
            make, port=self._port, backlog=BACKLOG
        )

    async def stop(self) -> None:
        """Answer those who wait, let calls under way come to their end, and listen no more."""
        if self._listening is not None:
            self._listening.close()
        await self._runner.cleanup()

    def _note_closed(self, why: Why, address: str) -> None:
        if why == "full":  # what one address alone does harms nobody else
            self._full(self._ctx.clock.now())
        self.log.closed(why, address, self._ctx.clock.now())

    @web.middleware
    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Turn whatever goes wrong into a refusal, and count and time the call."""
        call = f"{self._prefix}{request.match_info.route.name or _OTHER}"
        began, outcome = time.monotonic(), "broken"
        self._guard.answering(request.transport)
        try:
            answer = await handler(request)
            outcome = "ok"
        except CallRefusedError as refused:
            outcome = refused.word
            refusal = self._refusal(refused)
            if not request.content.is_eof():  # the rest of the body would look like a slow request
                refusal.force_close()
            return refusal
        except web.HTTPException as error:
            outcome = "Invalid"
            said = f"{request.method} {request.path[:100]}: {error.reason}; see {self._where}"
            return self._refusal(CallRefusedError("Invalid", said, error.status))
        except Exception as error:  # noqa: BLE001 - whatever it is, its text is not told
            if self.log.is_due((call, "broken"), self._ctx.clock.now()):
                log_fault(log, error, f"the call {call}")
            said = "the operator failed; try later"
            return self._refusal(CallRefusedError("Unavailable", said, 500))
        else:
            return answer
        finally:
            self._guard.answered(request.transport)
            WORKER_CALLS.labels(call, outcome).inc()
            WORKER_CALL_SECONDS.labels(call).observe(time.monotonic() - began)

    def _refusal(self, refused: CallRefusedError) -> web.Response:
        answer = self._refuse(refused)
        if refused.retry_after is not None:
            answer.headers["Retry-After"] = str(math.ceil(refused.retry_after))
        return answer


def refusal_as_json(refused: CallRefusedError) -> web.Response:
    """Return a refusal as the worker API tells it."""
    return as_json(refused.body, refused.status)


def as_json(model: BaseModel, status: int = 200) -> web.Response:
    """Return an answer."""
    return web.Response(
        text=model.model_dump_json(), status=status, content_type="application/json"
    )


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
