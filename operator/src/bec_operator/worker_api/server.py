"""The worker API over HTTP: who is calling, what is asked, and an answer or a refusal as JSON."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from aiohttp import web

from bec_operator.act.ground.context import Context
from bec_operator.decide.sight.pool_seen import PoolPod
from bec_operator.worker_api.callers.call_rates import CallRates
from bec_operator.worker_api.callers.caller import Caller, find_caller
from bec_operator.worker_api.callers.claims import Identity
from bec_operator.worker_api.callers.refusals import CallRefusedError
from bec_operator.worker_api.callers.tokens import Tokens
from bec_operator.worker_api.calls import Calls
from bec_operator.worker_api.incoming import body_of, token_of
from bec_operator.worker_api.openapi import openapi
from bec_operator.worker_api.routes import OPENAPI_PATH, ROUTES, Route
from bec_operator.worker_api.serving import Serving, as_json, refusal_as_json


class WorkerApi:
    """Serves the workers in pods, between `start` and `stop`."""

    def __init__(self, ctx: Context, calls: Calls) -> None:
        self._ctx = ctx
        self._tokens = Tokens(ctx.api, ctx.clock, self._is_known)
        self._calls = calls
        self._rates = CallRates()
        self._document = json.dumps(openapi())
        self._serving = Serving(
            ctx,
            ctx.settings.worker_port,
            refusal_as_json,
            f"GET {OPENAPI_PATH}",
            full=ctx.cache.workers.note_turned_away,
        )
        for route in ROUTES:
            self._serving.add("POST", route.path, partial(self._call, route), route.name)
        self._serving.add("GET", OPENAPI_PATH, self._describe, "openapi")
        self._serving.at_end(calls.stop)

    async def start(self) -> None:
        """Listen on the port of the settings; raises OSError if somebody has it."""
        await self._serving.start()

    async def stop(self) -> None:
        """Answer those who wait, let calls under way come to their end, and listen no more."""
        await self._serving.stop()

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
            return as_json(await self._calls.answer(caller, body))
        except CallRefusedError as refused:
            self._serving.log.refused(route.name, who, refused.word, now)
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
                self._ctx.cache.workers.note_turned_away(self._ctx.clock.now())
            raise

    def _is_known(self, identity: Identity) -> bool:
        """Whether the watches have shown such a pod."""
        place, cache = (identity.namespace, identity.pod), self._ctx.cache
        found = (cache.pods.get(*place), cache.pool_pods.get(*place))
        return any(pod is not None and pod.uid == identity.uid for pod in found)
