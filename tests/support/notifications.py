"""A receiver of notifications, as somebody outside the cluster has one."""

import json
from http.server import BaseHTTPRequestHandler
from typing import Any, NamedTuple

from tests.support.local_server import LocalServer

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


class Receiver(LocalServer):
    """As a context it listens on `url`, and keeps all that is `got`."""

    def __init__(self) -> None:
        self.got: list[Notification] = []
        super().__init__(type("Handler", (_Handler,), {"receiver": self}))

    def about(self, namespace: str, job: str, kind: str) -> list[Notification]:
        """Return what has come of one kind about a Job."""
        wanted = (f"org.bdrc.bec.job.{kind}", f"{namespace}/{job}")
        return [n for n in list(self.got) if (n.event["type"], n.event["subject"]) == wanted]


class _Handler(BaseHTTPRequestHandler):
    receiver: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.receiver.got.append(Notification(headers, body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...
