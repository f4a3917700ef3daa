"""A server that says whatever a test wants, where a queue's server would be."""

import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

import pytest

from bec_operator.act.ground.connections import ConnectionTrouble
from tests.support.local_server import LocalServer

KEY, SECRET, TOKEN = "AKIATELLMENOT", "tell-me-not", "never-tell-me"
SIGNING = {
    "AWS_ACCESS_KEY_ID": KEY,
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_SESSION_TOKEN": TOKEN,
    "AWS_REGION": "us-east-1",
}
_JSON = "application/x-amz-json-1.0"
PATH = "/123456789012/tasks"


@dataclass
class PlayedSqs:
    """What it answers to all requests, and the headers of those that have come."""

    url: str = ""
    status: int = 200
    body: bytes = b"{}"
    kind: str = _JSON
    come: list[Mapping[str, str]] = field(default_factory=list)

    @property
    def queue_url(self) -> str:
        """The URL of a queue there."""
        return f"{self.url}{PATH}"

    def reset(self) -> None:
        """Answer well again, and forget what has come."""
        self.status, self.body, self.kind = 200, b"{}", _JSON
        self.come.clear()

    def secret(self) -> dict[str, str]:
        """Return what the Secret of a connection to it holds."""
        return SIGNING | {"AWS_ENDPOINT_URL_SQS": self.url}


@contextmanager
def playing() -> Iterator[PlayedSqs]:
    """Answer as long as the context lasts."""
    said = PlayedSqs()

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            said.come.append(dict(self.headers))
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(said.status)
            self.send_header("Content-Type", said.kind)
            self.send_header("Content-Length", str(len(said.body)))
            self.end_headers()
            self.wfile.write(said.body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with LocalServer(Answers) as server:
        said.url = server.url
        yield said


def trouble(act: Callable[[], object]) -> ConnectionTrouble:
    """Return what goes wrong, having seen that it tells nothing of `SIGNING`."""
    with pytest.raises(ConnectionTrouble) as caught:
        act()
    told = "".join(traceback.format_exception(caught.value))
    for secret in (KEY, SECRET, TOKEN):
        assert secret not in told
    assert len(str(caught.value)) < 300
    return caught.value
