"""A receiver of notifications, as somebody outside the cluster has one."""

import json
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, NamedTuple, Self

Body = dict[str, Any]


class Notification(NamedTuple):
    """What came in: the headers with their names in lower case, and the body as it came."""

    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> Body:
        """The CloudEvent."""
        event: Body = json.loads(self.body)
        return event


class Receiver:
    """As a context it listens on `url`, and keeps all that is `got`."""

    def __init__(self) -> None:
        self.got: list[Notification] = []
        handler = type("Handler", (_Handler,), {"receiver": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=partial(self._server.serve_forever, 0.05))

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}/hook"

    def about(self, namespace: str, job: str, kind: str) -> list[Notification]:
        """Return what has come of one kind about a Job."""
        wanted = (f"org.bdrc.bec.job.{kind}", f"{namespace}/{job}")
        return [n for n in list(self.got) if (n.event["type"], n.event["subject"]) == wanted]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    receiver: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.receiver.got.append(Notification(headers, body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...
