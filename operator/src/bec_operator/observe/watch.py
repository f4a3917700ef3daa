"""A watch of our own, for what churns: kopf takes longer, and loses a deletion for good."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from bec_operator.act.ground.api_server import ApiError, Body
from bec_operator.act.ground.context import Context
from bec_operator.act.ground.deep_json import read_json
from bec_operator.observe.listing import pages

log = logging.getLogger(__name__)

SERVER_TIMEOUT = 240  # seconds after which the API server ends a watch
SILENCE = 75.0  # seconds: the API server sends a bookmark each minute
RETRY = (0.5, 15.0)  # seconds, at first and at most, between watches that do not last
STEADY = 5.0  # seconds: one that lasts so long does
_READ = 1 << 18  # bytes at once, at most


@dataclass
class Found:
    """What a full look has shown: the records of what could be read, and the UIDs of all."""

    records: list[Any] = field(default_factory=list)
    uids: set[str] = field(default_factory=set)
    version: int = 0


@dataclass(frozen=True)
class Kind:
    """A kind of objects, and how the cache learns of them.

    `read` makes a record of one of a list, `take_in_all` gets those of a full look at a namespace
    (None: at all), `take_in` gets one object as it is now, `forget` the namespace, name and UID of
    one that is gone. `job_of` gives the name of the Job that an object belongs to.
    """

    plural: str
    path: Callable[[str | None], str]
    read: Callable[[Context, Body], object]
    take_in_all: Callable[[Context, str | None, Found], None]
    take_in: Callable[[Context, Body], None]
    forget: Callable[[Context, str, str, str], None]
    job_of: Callable[[Body], str]
    selector: Mapping[str, str] = field(default_factory=dict)

    def reading(self, ctx: Context, item: Body) -> AbstractContextManager[None]:
        """Keep to one object, and its Job, what goes wrong as it is read within."""
        return ctx.cache.unreadable.reading(self.plural, self.job_of(item), item["metadata"])


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
        """Take in all objects; those that went unseen are gone.

        Of each page no more is kept than its records: whole pods take some 40 kB each, and there
        may be thousands.
        """
        found, kind = Found(), self._kind
        async for items, version in pages(self._ctx.api, self._path, kind.selector):
            for item in items:
                found.uids.add(item["metadata"]["uid"])
                with kind.reading(self._ctx, item):
                    found.records.append(kind.read(self._ctx, item))
            found.version = version
            self._sign()
        kind.take_in_all(self._ctx, self._namespace, found)
        self._ctx.cache.unreadable.keep(self.plural, self._namespace, found.uids)
        self._version = found.version

    async def run(self) -> None:
        """Watch for ever, from the last list on."""
        name = f"watch of {self.plural} of {self.scope}"
        while True:
            began, wish = self._ctx.clock.now(), 0.0
            try:
                await self._follow()
                said = ""
            except _ListAgainError:
                said, self._version = "too old, listing again", 0
            except (ApiError, aiohttp.ClientError, TimeoutError, ValueError) as error:
                said = str(error) or "no answer in time"
                wish = error.retry_after if isinstance(error, ApiError) else 0.0
            pause = self._pause(self._ctx.clock.now() - began, wish)
            if said:
                log.warning("%s: %s; again in %.1f s", name, said, pause)
            await asyncio.sleep(pause)

    def _pause(self, lasted: float, wish: float) -> float:
        """Return the seconds until the next watch; `wish` is what the API server asks for.

        One that ends in its time is followed at once; one that ends as soon as it has begun,
        however well, ever later: else a server in trouble is asked some hundred times a second.
        """
        if lasted >= STEADY:
            self._delay = RETRY[0]
            return wish
        pause = self._delay * random.uniform(0.8, 1.2)  # noqa: S311
        self._delay = min(self._delay * 2, RETRY[1])
        return max(pause, wish)

    async def _follow(self) -> None:
        if not self._version or self._ctx.cache.unreadable.any_of(self.plural):
            await self.list()  # what could not be read may have been no fault of the object
        async for line in self._lines():
            event = read_json(line)
            kind, item = event["type"], event["object"]
            if kind == "ERROR":
                raise _refusal(item)
            meta = item["metadata"]
            self._version = int(meta["resourceVersion"])
            if kind != "BOOKMARK":
                with self._kind.reading(self._ctx, item):
                    self._kind.take_in(self._ctx, item)
            if kind == "DELETED":  # as it is now, it may say why
                self._kind.forget(self._ctx, meta["namespace"], meta["name"], meta["uid"])
                self._ctx.cache.unreadable.forget(meta["uid"])

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


def _refusal(status: Body) -> Exception:
    """Return what an ERROR event says: that what we know is too old, or of a trouble over there."""
    code = status.get("code")
    if code == 410:
        return _ListAgainError()
    code = code if isinstance(code, int) else 500
    return ApiError(code, str(status.get("reason", "")), str(status.get("message", "")))
