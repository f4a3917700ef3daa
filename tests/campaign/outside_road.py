"""The road from workers elsewhere to an operator, on which whatever can go wrong does, by seed.

Bytes go first through a part that cuts connections, slows them down, and leaves some half open.
Behind it a proxy that speaks TLS loses requests or their answers, sends some twice, some again much
later, and holds some back until a later one of the same worker has been answered. What came of all
of them stands in `heard`.
"""

import asyncio
import json
import random
import ssl
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import aiohttp
from aiohttp import web

from tests.support.proxy import ReverseProxy

LONGEST = 8.0  # seconds for which a request is held back, or after which it comes again
_BYTES = 60_000.0  # that a connection carries until it is cut, on average
_KINDS = ("none", "lost", "unanswered", "twice", "again", "held", "overtaken")
_WEIGHTS = (70, 5, 5, 5, 5, 5, 5)
_SLOW, _HALF_OPEN = 0.2, 0.03  # of all connections


@dataclass(frozen=True)
class Heard:
    """A request that reached the operator, and its answer. Times are this process' own."""

    who: str
    call: str
    said: dict[str, Any]
    sent: float
    answered: float
    status: int
    told: dict[str, Any]


class Road(ReverseProxy):
    """Leads to an operator at `upstream`. `calm` has nothing go wrong any more."""

    def __init__(
        self, upstream: str, context: ssl.SSLContext, serving: ssl.SSLContext, seed: int
    ) -> None:
        super().__init__(upstream, context, serving)
        self.heard: list[Heard] = []
        self.happened: Counter[str] = Counter()
        self.calm = False
        self._chance = random.Random(seed)
        self._later: set[asyncio.Task[web.Response | None]] = set()
        self._passed: dict[str, asyncio.Event] = {}
        self._carrying: set[asyncio.Task[None]] = set()

    # --- requests

    async def answer(self, request: web.Request) -> web.StreamResponse | None:
        """Send a request, as often and as late as chance has it, and answer it, or not."""
        send = partial(self._send, request, await request.read())
        kind = "none" if self.calm else self._chance.choices(_KINDS, _WEIGHTS)[0]
        self.happened[kind] += 1
        if kind == "lost":
            return self._break(request)
        late = self._chance.uniform(0.1, LONGEST)
        if kind in {"twice", "again"}:
            self._start(self._after(late if kind == "again" else 0.0, send))
        if kind == "held":
            return await self._whole(request, self._after(late, send))
        if kind == "overtaken":
            return await self._whole(request, self._overtaken(request, send))
        answer = await self._whole(request, send())
        return self._break(request) if kind == "unanswered" else answer

    async def _whole(self, request: web.Request, sending: Any) -> web.Response:
        """Return the answer. The request arrives even if whoever asked has hung up meanwhile."""
        answer = await asyncio.shield(self._start(sending))
        return answer or self._break(request)

    def _start(self, sending: Any) -> "asyncio.Task[web.Response | None]":
        task: asyncio.Task[web.Response | None] = asyncio.ensure_future(sending)
        self._later.add(task)
        task.add_done_callback(self._later.discard)
        return task

    async def _after(self, seconds: float, send: Any) -> web.Response | None:
        await asyncio.sleep(seconds)
        found: web.Response | None = await send()
        return found

    async def _overtaken(self, request: web.Request, send: Any) -> web.Response | None:
        """Send a request once a later one of the same worker has been answered."""
        passed = self._passed.setdefault(_who(request), asyncio.Event())
        with suppress(TimeoutError):
            async with asyncio.timeout(LONGEST):
                await passed.wait()
        found: web.Response | None = await send()
        return found

    def _break(self, request: web.Request) -> web.Response:
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=502, text="nobody reads this")

    async def _send(self, request: web.Request, body: bytes) -> web.Response | None:
        """Pass a request on, note what came of it, and return the answer; None if there is none."""
        sent, who, call = time.monotonic(), _who(request), request.path.rpartition("/")[2]
        said = _object(body)
        try:
            async with self._session.post(
                self._upstream + request.path,
                data=body,
                headers={"Authorization": request.headers.get("Authorization", "")},
            ) as upstream:
                status, text = upstream.status, await upstream.read()
        except (aiohttp.ClientError, OSError):
            self._note(Heard(who, call, said, sent, float("inf"), 0, {}))
            return None
        self._note(Heard(who, call, said, sent, time.monotonic(), status, _object(text)))
        if (waiting := self._passed.pop(who, None)) is not None:
            waiting.set()
        return web.Response(status=status, body=text, content_type="application/json")

    def _note(self, heard: Heard) -> None:
        # Beats alone prove nothing, and are most of all calls.
        if heard.call != "heartbeat" or heard.status == 200:
            self.heard.append(heard)

    # --- bytes

    async def _listen(self) -> int:
        inner = await super()._listen()
        self._server = await asyncio.start_server(
            partial(self._connected, inner), "127.0.0.1", 0, limit=1 << 16
        )
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _close(self) -> None:
        self._server.close()
        ending = [*self._later, *self._carrying]
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        await super()._close()

    def _connected(
        self, inner: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.ensure_future(self._carry(inner, reader, writer))
        self._carrying.add(task)
        task.add_done_callback(self._carried)

    def _carried(self, task: "asyncio.Task[None]") -> None:
        self._carrying.discard(task)
        if not task.cancelled():
            task.exception()  # a connection that breaks is nothing to tell of

    async def _carry(
        self, inner: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Carry the bytes of a connection both ways, until one side ends or chance cuts it."""
        if not self.calm and self._chance.random() < _HALF_OPEN:
            self.happened["half open"] += 1
            await asyncio.sleep(LONGEST)
            writer.transport.abort()
            return
        there, back = await asyncio.open_connection("127.0.0.1", inner)
        most = self._chance.expovariate(1 / _BYTES)
        slow = self._chance.uniform(0.02, 0.4) if self._chance.random() < _SLOW else 0.0
        ways = [
            asyncio.ensure_future(self._way(reader, back, most, slow)),
            asyncio.ensure_future(self._way(there, writer, most, slow)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for end in (writer, back):
                end.transport.abort()

    async def _way(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        most: float,
        slow: float,
    ) -> None:
        while piece := await reader.read(1 << 16):
            if not self.calm:
                if slow:
                    await asyncio.sleep(slow)
                most -= len(piece)
            if most < 0:
                self.happened["cut"] += 1
                writer.write(piece[: len(piece) // 2])
                return
            writer.write(piece)
            await writer.drain()


def _who(request: web.Request) -> str:
    return request.headers.get("Authorization", "")


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
