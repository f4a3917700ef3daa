"""The worker API of a scene, on real sockets, and workers that call it from any local address."""

import asyncio
import json
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from bec_operator.worker_api.callers.claims import Identity
from bec_operator.worker_api.calls import Calls
from bec_operator.worker_api.server import WorkerApi
from bec_ops.contract.protocol import AUDIENCE
from tests.unit.worker_api.made_tokens import made_token
from tests.unit.worker_api.scene import IDENTITY, POD, TASK_SEEN, Scene

HERE, THERE = "127.0.0.1", "127.0.0.2"
PROCESS = "0" * 32


class ServedScene(Scene):
    """A scene whose API server also reviews tokens: all of them are good, and of `IDENTITY`."""

    def __init__(self, **settings: Any) -> None:
        self.port = _free_port()
        self.reviews_error: Exception | None = None
        super().__init__(worker_port=self.port, **settings)

    async def request(self, method: str, path: str, _: Any = None) -> dict[str, Any]:
        """Be the API server."""
        if method == "GET":
            return await super().request(method, path)
        if self.reviews_error is not None:
            raise self.reviews_error
        prefix = "authentication.kubernetes.io/"
        extra = {f"{prefix}pod-name": [POD.name], f"{prefix}pod-uid": [POD.uid]}
        user = {"username": "system:serviceaccount:texts:default", "extra": extra}
        return {"status": {"authenticated": True, "audiences": [AUDIENCE], "user": user}}

    @asynccontextmanager
    async def served(self) -> AsyncIterator["ServedScene"]:
        """Serve in here."""
        api = WorkerApi(self.ctx, Calls(self.ctx, {("texts", "ocr"): self.memory}.get))
        await api.start()
        try:
            yield self
        finally:
            await api.stop()

    def token(self, identity: Identity = IDENTITY, **claims: Any) -> str:
        """Return a token of a pod."""
        return made_token(self.time + 3600, identity, **claims)

    async def connect(self, address: str) -> "Connection":
        """Return a connection from an address of this machine."""
        local = (address, 0)
        opened = asyncio.open_connection("127.0.0.1", self.port, local_addr=local)
        return Connection(*await opened)


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: Any

    @property
    def refused(self) -> tuple[int, str]:
        """The status, and the word of the refusal."""
        return self.status, self.body.get("error", "")


class Connection:
    """One connection, as a worker has it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def call(self, name: str, token: str, body: bytes) -> Answer:
        """Make a call."""
        lines = [
            f"POST /v1/{name} HTTP/1.1",
            "Host: x",
            f"Authorization: Bearer {token}",
            f"Content-Length: {len(body)}",
        ]
        self.writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        return await self.answer()

    async def answer(self) -> Answer:
        """Read the next answer."""
        async with asyncio.timeout(10):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode().splitlines()
            pairs = (line.partition(": ") for line in head[1:] if line)
            headers = {name.lower(): value for name, _, value in pairs}
            body = await self.reader.readexactly(int(headers["content-length"]))
        return Answer(int(head[0].split()[1]), headers, json.loads(body))

    async def register(self, token: str) -> Answer:
        """Make the first call."""
        return await self.call("register", token, json.dumps({"process": PROCESS}).encode())

    async def report(self, name: str, token: str, session: str, **fields: Any) -> Answer:
        """Make a call about the attempt."""
        about = {"session": session, "task_uid": TASK_SEEN.uid, "attempt": 1}
        return await self.call(name, token, json.dumps({**about, **fields}).encode())

    async def is_closed(self, seconds: float = 5.0) -> bool:
        """Whether the other side closes it within some time."""
        try:
            async with asyncio.timeout(seconds):
                return await self.reader.read(1) == b""
        except ConnectionError:
            return True
        except TimeoutError:
            return False

    def close(self) -> None:
        """Hang up."""
        self.writer.close()


def _free_port() -> int:
    """Return a port that nobody has, and that no connection of a flood is given by the kernel."""
    while True:
        port = random.randint(12_000, 30_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("", port))
            return port
