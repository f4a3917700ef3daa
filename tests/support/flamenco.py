"""A Flamenco Worker 2.5 as its Manager sees it: what it sends, in its order and within its time."""

import json
import secrets
import socket
import string
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import jwt
import urllib3

from tests.support.kube import Body

TIMEOUT = 3.0  # seconds: then the worker has hung up
_ALPHABET = string.ascii_letters + string.digits
_ACTIVITY: Body = {
    "activity": "",
    "current_command_idx": 0,
    "task_progress_percentage": 0,
    "command_progress_percentage": 0,
    "metrics": {},
}


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    text: str

    @property
    def body(self) -> Any:
        """The JSON that it is."""
        return json.loads(self.text)


def signed(token: str, *, expires: float = 900.0, **claims: Any) -> str:
    """Return what a worker signs its registration with, `token` being its registration secret."""
    now = time.time()
    return jwt.encode({"exp": now + expires, "iat": now, **claims}, token, "HS256")


class FlamencoWorker:
    """One worker; its task types are `types`."""

    def __init__(self, url: str, *types: str) -> None:
        self.url = url
        self.types = types
        self.worker_id = ""
        self.secret = "".join(secrets.choice(_ALPHABET) for _ in range(64))
        self._http = urllib3.PoolManager(retries=False)

    @property
    def _basic(self) -> Mapping[str, str]:
        return urllib3.make_headers(basic_auth=f"{self.worker_id}:{self.secret}")

    def send(
        self,
        verb: str,
        path: str,
        body: object = None,
        *,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Make a request; without a body, a POST has an empty one."""
        given: dict[str, str] = {
            "User-Agent": "Flamenco-Worker/2.5",
            "Accept-Encoding": "gzip, deflate",
            "Accept": "*/*",
            **(self._basic if headers is None else headers),
        }
        if body is not None or raw is not None:
            given["Content-Type"] = "application/json"
        sent = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        answer = self._http.request(
            verb,
            f"{self.url}{path}",
            body=sent if verb == "POST" else None,
            headers=given,
            timeout=TIMEOUT,
        )
        return Reply(answer.status, answer.data.decode())

    def register(self, bearer: str = "", nickname: str = "desk 7") -> Reply:
        """Come in, signed by a JWT if there is one, and keep the id."""
        body = {
            "secret": self.secret,
            "platform": "linux",
            "supported_task_types": list(self.types),
            "nickname": nickname,
        }
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        reply = self.send("POST", "/register-worker", body, headers=headers)
        if reply.status < 300:
            self.worker_id = reply.body["_id"]
        return reply

    def sign_on(self) -> Reply:
        """Tell that a process begins that has an id already."""
        body = {"supported_task_types": list(self.types), "nickname": "desk 7"}
        return self.send("POST", "/sign-on", body)

    def sign_off(self) -> Reply:
        """Tell that it ends."""
        return self.send("POST", "/sign-off")

    def task(self) -> Reply:
        """Ask for work."""
        return self.send("POST", "/task")

    def hang_up(self) -> None:
        """Ask for work, and go before the answer comes."""
        place = urlsplit(self.url)
        lines = ["POST /task HTTP/1.1", f"Host: {place.netloc}", "Content-Length: 0"]
        lines += [f"{name}: {value}" for name, value in self._basic.items()]
        with socket.create_connection((place.hostname, place.port), TIMEOUT) as wire:
            wire.sendall("\r\n".join([*lines, "", ""]).encode())

    def update(self, task: str, status: str = "", log: str = "", **activity: object) -> Reply:
        """Tell of a task: its status, lines of its log, or how far it is."""
        body: Body = {**_ACTIVITY, **activity}
        if status:
            body["task_status"] = status
        if log:
            body["log"] = log
        return self.send("POST", f"/tasks/{task}/update", body)

    def begin_update(self, task: str, size: int) -> socket.socket:
        """Send an update but for its last byte, until the socket is closed."""
        place = urlsplit(self.url)
        lines = [f"POST /tasks/{task}/update HTTP/1.1", f"Host: {place.netloc}"]
        lines += [f"Content-Length: {size}"]
        lines += [f"{name}: {value}" for name, value in self._basic.items()]
        wire = socket.create_connection((place.hostname, place.port), TIMEOUT)
        wire.sendall("\r\n".join([*lines, "", ""]).encode() + b"x" * (size - 1))
        return wire

    def log(self, task: str, log: str) -> Reply:
        """Tell lines of its log alone, as while it is being stopped."""
        return self.send("POST", f"/tasks/{task}/update", {"log": log})

    def may_i_run(self, task: str) -> Reply:
        """Ask whether to go on."""
        return self.send("GET", f"/may-i-run/{task}")

    def give_back(self, task: str) -> Reply:
        """Give a task back that may not run."""
        return self.send("POST", f"/tasks/{task}/return")
