"""A watch of our own, for what churns: kopf takes longer, and loses a deletion for good."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field

import aiohttp
import orjson

from bec_operator.act.api_server import ApiError, Body
from bec_operator.act.context import Context
from bec_operator.observe.listing import list_all

log = logging.getLogger(__name__)

SERVER_TIMEOUT = 240  # seconds after which the API server ends a watch
SILENCE = 75.0  # seconds: the API server sends a bookmark each minute
RETRY = (0.5, 15.0)  # seconds
_READ = 1 << 18  # bytes at once, at most


@dataclass(frozen=True)
class Kind:
    """A kind of objects, and how the cache learns of them.

    `take_in_all` gets a full list of a namespace (None: of all) and its version, `take_in` one
    object as it is now, `forget` the namespace, name and UID of one that is gone.
    """

    plural: str
    path: Callable[[str | None], str]
    take_in_all: Callable[[Context, str | None, list[Body], int], None]
    take_in: Callable[[Context, Body], None]
    forget: Callable[[Context, str, str, str], None]
    selector: Mapping[str, str] = field(default_factory=dict)


class _ListAgainError(Exception):
    """The watch cannot go on from where it is."""


class Watch:
    """Keeps the objects of a kind in one namespace (None: in all) in the cache."""

    def __init__(self, ctx: Context, kind: Kind, namespace: str | None) -> None:
        self._ctx = ctx
        self._kind = kind
        self._namespace = namespace
        self._path = kind.path(namespace)
        self._version = 0
        self._delay = RETRY[0]  # grows while there is no sign
        self._last_sign = ctx.clock.now()

    @property
    def age(self) -> float:
        """Seconds since the API server last gave a sign."""
        return self._ctx.clock.now() - self._last_sign

    @property
    def plural(self) -> str:
        """What is watched."""
        return self._kind.plural

    @property
    def scope(self) -> str:
        """The namespace, for people."""
        return self._namespace or "all"

    async def list(self) -> None:
        """Take in all objects; those that went unseen are gone."""
        items, version = await list_all(self._ctx.api, self._path, self._kind.selector)
        self._kind.take_in_all(self._ctx, self._namespace, items, version)
        self._version = version
        self._sign()

    async def run(self) -> None:
        """Watch for ever, from the last list on."""
        name = f"watch of {self.plural} of {self.scope}"
        while True:
            try:
                await self._follow()
            except _ListAgainError:
                log.info("%s: too old, listing again", name)
                self._version = 0
            except (ApiError, aiohttp.ClientError, TimeoutError, ValueError) as error:
                said = str(error) or "no answer in time"
                log.warning("%s: %s; again in %.1f s", name, said, self._delay)
                await asyncio.sleep(self._delay)
                self._delay = min(self._delay * 2, RETRY[1])

    async def _follow(self) -> None:
        if not self._version:
            await self.list()
        async for line in self._lines():
            event = orjson.loads(line)
            kind, item = event["type"], event["object"]
            if kind == "ERROR":
                raise _ListAgainError
            meta = item["metadata"]
            self._version = int(meta["resourceVersion"])
            if kind != "BOOKMARK":
                self._kind.take_in(self._ctx, item)
            if kind == "DELETED":  # as it is now, it may say why
                self._kind.forget(self._ctx, meta["namespace"], meta["name"], meta["uid"])

    async def _lines(self) -> AsyncIterator[bytes]:
        """Watch once, and give each event as it comes."""
        async with await self._open() as response:
            rest = b""
            while part := await response.content.read(_READ):
                self._sign()
                *lines, rest = (rest + part).split(b"\n")
                for line in lines:
                    yield line

    async def _open(self) -> aiohttp.ClientResponse:
        query = {
            **self._kind.selector,
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": str(self._version),
            "timeoutSeconds": str(SERVER_TIMEOUT),
        }
        try:
            return await self._ctx.api.stream(
                "GET", self._path, query=query, seconds=SERVER_TIMEOUT + 30, silence=SILENCE
            )
        except ApiError as error:
            if error.code == 410:
                raise _ListAgainError from error
            raise

    def _sign(self) -> None:
        self._last_sign = self._ctx.clock.now()
        self._delay = RETRY[0]
