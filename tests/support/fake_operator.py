"""An operator that only answers: the worker API over real sockets, as a test wants it."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any, NamedTuple

from tests.support.local_server import LocalServer

Body = dict[str, Any]
Headers = dict[str, str]
Answer = tuple[int, Body] | tuple[int, Body, Headers]

_PATIENCE = 90.0  # seconds: a worker that starts loads much, and the machine may be busy


class Call(NamedTuple):
    """What came in."""

    path: str
    body: Body
    token: str


def refusal(status: int, error: str) -> tuple[int, Body]:
    """Return the answer to a call that is refused."""
    return status, {"error": error, "message": f"a test says {error}"}


class FakeOperator(LocalServer):
    """As a context it listens on `url`, and keeps all `calls`.

    `answers` holds by path what is answered next: a status, a body, and headers if there are any.
    A path with nothing left gets the usual answer.
    """

    def __init__(self, heartbeat_seconds: float = 0.05) -> None:
        self.calls: list[Call] = []
        self.answers: dict[str, list[Answer]] = {}
        self.sessions = 0
        self._every = heartbeat_seconds
        self._came = threading.Condition()
        self._answering = threading.Event()
        self._answering.set()
        super().__init__(type("Handler", (_Handler,), {"fake": self}))

    def paths(self) -> list[str]:
        """Return what was called, in order."""
        return [call.path for call in self.calls]

    def bodies(self, path: str) -> list[Body]:
        """Return what was sent to a path."""
        return [call.body for call in self.calls if call.path == path]

    def wait(self, holds: Callable[[], object], what: str) -> None:
        """Return as soon as something holds, looking after each call."""
        with self._came:
            assert self._came.wait_for(holds, _PATIENCE), f"{what}; calls: {self.paths()}"

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Give no answers in here, and what came in then is refused afterwards."""
        self._answering.clear()
        try:
            yield
        finally:
            self.answers |= {path: [(503, {})] * 9 for path in ("done", "failed", "heartbeat")}
            self._answering.set()

    def take(self, call: Call) -> Answer:
        """Note a call, and return its answer."""
        self._answering.wait()
        with self._came:
            self.calls.append(call)
            self._came.notify_all()
            if waiting := self.answers.get(call.path):
                return waiting.pop(0)
            if call.path != "register":
                return 200, {}
            self.sessions += 1
            session = f"session-{self.sessions}"
            seconds = self._every
            return 200, {"session": session, "worker_id": "w", "heartbeat_seconds": seconds}


class _Handler(BaseHTTPRequestHandler):
    fake: FakeOperator

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        status, answer, *more = self.fake.take(Call(self.path.removeprefix("/v1/"), body, token))
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        for headers in more:
            for name, value in headers.items():
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""
