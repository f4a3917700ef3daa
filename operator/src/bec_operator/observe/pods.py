"""The watch for pods: they churn too much for kopf, and a lost deletion must be made up for."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import orjson

from bec_operator.act.api_server import ApiError, core
from bec_operator.act.context import Context
from bec_operator.act.pods import forget_pod, take_in_pod
from bec_operator.act.records import is_of_pool, is_of_task, pod_of, pool_pod_of
from bec_operator.api.names import JOB_LABEL
from bec_operator.observe.listing import list_all

log = logging.getLogger(__name__)

SERVER_TIMEOUT = 240  # seconds after which the API server ends a watch
SILENCE = 75.0  # seconds: the API server sends a bookmark each minute
RETRY = (0.5, 15.0)  # seconds


class _ListAgainError(Exception):
    """The watch cannot go on from where it is."""


class PodWatch:
    """Keeps the pods of all Jobs of one namespace (None: of all) in the cache."""

    def __init__(self, ctx: Context, namespace: str | None) -> None:
        self._ctx = ctx
        self._namespace = namespace
        self._path = core(namespace, "pods")
        self._selector = {"labelSelector": JOB_LABEL}
        self._version = 0
        self._delay = RETRY[0]  # grows while there is no sign
        self._last_sign = ctx.clock.now()

    @property
    def age(self) -> float:
        """Seconds since the API server last gave a sign."""
        return self._ctx.clock.now() - self._last_sign

    @property
    def scope(self) -> str:
        """The namespace, for people."""
        return self._namespace or "all"

    async def list(self) -> None:
        """Take in all pods; those that went unseen are gone."""
        items, version = await list_all(self._ctx.api, self._path, self._selector)
        cache, now = self._ctx.cache, self._ctx.clock.now()
        pods, hosts = [], []
        for item in items:
            where = item["metadata"]["namespace"], item["metadata"]["name"]
            if is_of_pool(item):
                hosts.append(pool_pod_of(item, cache.pool_pods.get(*where), now))
            elif is_of_task(item):
                pods.append(pod_of(item, cache.pods.get(*where), now))
        cache.pods.replace_all(self._namespace, pods, version)
        cache.pool_pods.replace_all(self._namespace, hosts, version)
        self._version = version
        self._sign()

    async def run(self) -> None:
        """Watch for ever, from the last list on."""
        while True:
            try:
                await self._follow()
            except _ListAgainError:
                log.info("pod watch of %s: too old, listing again", self.scope)
                self._version = 0
            except (ApiError, aiohttp.ClientError, TimeoutError, ValueError) as error:
                said = str(error) or f"no sign for {SILENCE:.0f} s"
                log.warning("pod watch of %s: %s; again in %.1f s", self.scope, said, self._delay)
                await asyncio.sleep(self._delay)
                self._delay = min(self._delay * 2, RETRY[1])

    async def _follow(self) -> None:
        if not self._version:
            await self.list()
        async for event in self._events():
            self._sign()
            kind, item = event["type"], event["object"]
            if kind == "ERROR":
                raise _ListAgainError
            self._version = int(item["metadata"]["resourceVersion"])
            if kind != "BOOKMARK":
                take_in_pod(self._ctx, item)
            if kind == "DELETED":  # as it is now, it may say why
                meta = item["metadata"]
                forget_pod(self._ctx, meta["namespace"], meta["name"], meta["uid"])

    async def _events(self) -> AsyncIterator[dict[str, Any]]:
        query = {
            **self._selector,
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": str(self._version),
            "timeoutSeconds": str(SERVER_TIMEOUT),
        }
        try:
            response = await self._ctx.api.stream(
                "GET", self._path, query=query, seconds=SERVER_TIMEOUT + 30
            )
        except ApiError as error:
            if error.code == 410:
                raise _ListAgainError from error
            raise
        async with response:
            while line := await _line(response):
                yield orjson.loads(line)

    def _sign(self) -> None:
        self._last_sign = self._ctx.clock.now()
        self._delay = RETRY[0]


async def _line(response: aiohttp.ClientResponse) -> bytes:
    async with asyncio.timeout(SILENCE):
        return await response.content.readline()
