"""The fake API server over an event loop: requests take their time, and watches tell every change.

The operator's own watches read from it, as from a real one.
"""

import asyncio
import json
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from bec_operator.act.ground.api_server import JSON, ApiError, ApiServer
from tests.unit.decide.fake_api import Change, Object, Objects, address, selects
from tests.unit.decide.process import Answer

REQUEST_SECONDS = 0.01  # that each half of a request takes
LAG = 0.03  # seconds until a watch tells what happened
WATCH_SECONDS = 60.0  # after which a watch ends, and another is begun
_TOO_OLD = {"type": "ERROR", "object": {"code": 410, "reason": "Expired", "message": "too old"}}

Told = Callable[[str, str, str], None]  # method, kind and name of what was answered


class Feed(list[Change]):
    """All changes; whoever watches hears that there is more."""

    def __init__(self) -> None:
        super().__init__()
        self.expired = 0  # times that all watches were told to begin anew
        self._more: list[asyncio.Future[None]] = []

    def append(self, change: Change) -> None:
        super().append(change)
        self._wake()

    def expire(self) -> None:
        """Have everybody list again."""
        self.expired += 1
        self._wake()

    def _wake(self) -> None:
        for waiting in self._more:
            if not waiting.done():
                waiting.set_result(None)
        self._more.clear()

    async def more(self) -> None:
        """Wait until there is more."""
        waiting = asyncio.get_running_loop().create_future()
        self._more.append(waiting)
        await waiting


class _Watching:
    """The answer to one watch; it is its own content."""

    def __init__(self, feed: Feed, plural: str, query: Mapping[str, str]) -> None:
        self.content = self
        self._feed = feed
        self._plural = plural
        self._selector = query.get("labelSelector", "")
        version = int(query["resourceVersion"])
        self._next = bisect_right(feed, version, key=_version)
        self._expired = feed.expired
        self._end = asyncio.get_running_loop().time() + WATCH_SECONDS

    async def __aenter__(self) -> "_Watching":
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def read(self, _: int) -> bytes:
        """Wait for changes, and tell them; nothing, when it is over."""
        try:
            async with asyncio.timeout_at(self._end):
                while True:
                    if self._expired != self._feed.expired:
                        return json.dumps(_TOO_OLD).encode() + b"\n"
                    if told := b"".join(self._told()):
                        return told
                    await self._feed.more()
                    await asyncio.sleep(LAG)
        except TimeoutError:
            return b""

    def _told(self) -> Iterator[bytes]:
        for change in self._feed[self._next :]:
            self._next += 1
            if change.plural == self._plural and selects(self._selector, change.object):
                event = {"type": change.type, "object": change.object}
                yield json.dumps(event).encode() + b"\n"


def _version(change: Change) -> int:
    return int(change.object["metadata"]["resourceVersion"])


class VirtualApi(ApiServer):
    """The way of an operator to the fake API server.

    `told` hears of each answer before the operator does, and may raise in its place. Each
    `loses`-th answer to a write is lost on its way; 0: none is.
    """

    def __init__(self, objects: Objects, answer: Answer, told: Told, loses: int = 0) -> None:
        self._feed = Feed()
        self._answer = answer
        self._told = told
        self._loses = loses
        self._writes = 0
        objects.changes = self._feed

    def expire(self) -> None:
        """Let all watches be too old to go on."""
        self._feed.expire()

    async def request(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        *,
        content_type: str = JSON,
        accept: str = JSON,
        query: Mapping[str, str] | None = None,
    ) -> Object:
        assert content_type
        assert accept
        await asyncio.sleep(REQUEST_SECONDS)
        sent = None if body is None else json.loads(json.dumps(body))
        answer = self._answer(method, path, sent, query or {})
        await asyncio.sleep(REQUEST_SECONDS)
        if method != "GET":
            self._writes += 1
            if self._loses and self._writes % self._loses == 0:
                raise TimeoutError
        plural, name = address(path)
        self._told(method, plural, name or (body or {}).get("metadata", {}).get("name", ""))
        return answer

    async def tail(self, path: str, query: Mapping[str, str], most: int) -> bytes:
        found = await self.request("GET", path, query=query)
        return f"{found['metadata']['name']} ran\n".encode()[-most:]

    async def stream(self, method: str, path: str, body: Object | None = None, **how: Any) -> Any:
        assert method == "GET"
        assert body is None
        await asyncio.sleep(REQUEST_SECONDS)
        plural, name = address(path)
        if name:
            raise ApiError(400, "BadRequest", f"nobody watches {path}")
        return _Watching(self._feed, plural, how["query"])
