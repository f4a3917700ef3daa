"""A reverse proxy in a thread of its own, through which a test can break what is behind it."""

import asyncio
import ssl
import threading
from collections.abc import Callable
from types import TracebackType
from typing import NoReturn, Self

import aiohttp
from aiohttp import web
from yarl import URL

_OF_ONE_HOP = {"connection", "keep-alive", "transfer-encoding", "expect"}
_LARGEST = 64 * 1024 * 1024  # bytes of a request


class ReverseProxy:
    """Passes requests on as they are, the Host header included, so that signatures hold.

    As a context it listens on `url`. What breaks is up to `answer` and `silencer`. It speaks TLS to
    the server by `context`, and to whoever asks by `serving`, if there are such.
    """

    def __init__(
        self,
        upstream: str,
        context: ssl.SSLContext | None = None,
        serving: ssl.SSLContext | None = None,
    ) -> None:
        self._upstream = upstream.rstrip("/")
        self._context = context
        self._serving = serving
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._under_way: set[asyncio.Transport] = set()
        self._port = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http{'s' if self._serving else ''}://127.0.0.1:{self._port}"

    async def answer(self, request: web.Request) -> web.StreamResponse | None:
        """Answer in the server's place; None passes the request on."""
        del request
        return None

    def silencer(self, request: web.Request) -> Callable[[], bool]:
        """Return what says, for ever once it did, that no more of the answer gets through."""
        del request
        return lambda: False

    def drop(self) -> None:
        """Break all connections on which an answer is under way."""
        self._loop.call_soon_threadsafe(self._drop)

    def __enter__(self) -> Self:
        self._thread.start()
        self._port = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(30)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _listen(self) -> int:
        self._session = aiohttp.ClientSession(
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            timeout=aiohttp.ClientTimeout(total=None),
            connector=aiohttp.TCPConnector(ssl=self._context or False, limit=0),
        )
        app = web.Application(client_max_size=_LARGEST)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(
            app, handler_cancellation=True, shutdown_timeout=0.1, access_log=None
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._serving).start()
        port: int = self._runner.addresses[0][1]
        return port

    async def _close(self) -> None:
        self._drop()
        await self._runner.cleanup()
        await self._session.close()

    def _drop(self) -> None:
        for transport in self._under_way:
            transport.abort()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body, transport = await request.read(), request.transport
        assert transport is not None
        self._under_way.add(transport)
        try:
            return await self.answer(request) or await self._pass_on(request, body)
        finally:
            self._under_way.discard(transport)

    async def _pass_on(self, request: web.Request, body: bytes) -> web.StreamResponse:
        headers = request.headers.copy()
        for name in {*_OF_ONE_HOP, "content-length"}:
            headers.popall(name, None)
        url = URL(self._upstream + request.raw_path, encoded=True)
        try:
            async with self._session.request(
                request.method, url, headers=headers, data=body, allow_redirects=False
            ) as upstream:
                return await self._pass_back(request, upstream)
        except aiohttp.ClientConnectorError:
            return web.Response(status=502, text="the server behind the proxy does not answer")

    async def _pass_back(
        self, request: web.Request, upstream: aiohttp.ClientResponse
    ) -> web.StreamResponse:
        silenced = self.silencer(request)
        response = web.StreamResponse(status=upstream.status, reason=upstream.reason)
        for name, value in upstream.headers.items():
            if name.lower() not in _OF_ONE_HOP:
                response.headers.add(name, value)
        await response.prepare(request)
        async for chunk in upstream.content.iter_any():
            if not silenced():
                await response.write(chunk)
        if silenced():
            await self.hang()
        return response

    async def hang(self) -> NoReturn:
        """Leave whoever asked waiting, until the connection breaks."""
        await asyncio.Event().wait()
        raise AssertionError("nobody sets this event")
