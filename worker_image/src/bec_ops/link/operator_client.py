"""The worker API, as a worker calls it; the answers are sorted by what to do about them."""

import threading
import time
import uuid
from pathlib import Path
from typing import Any, TypeVar

import urllib3
from pydantic import BaseModel, ValidationError

from bec_ops.contract import protocol
from bec_ops.contract.protocol import (
    AboutAttempt,
    Heartbeat,
    HeartbeatAnswer,
    Refusal,
    Register,
    Registered,
    Request,
)

A = TypeVar("A", bound=BaseModel)

REPORTS: dict[str, type[AboutAttempt]] = {
    "done": protocol.Done,
    "failed": protocol.Failed,
    "log": protocol.Log,
}
"""What is said once about an attempt, by the last part of its path."""

WAIT_SECONDS = 20.0
"""How long a worker of a pool lets the operator look for a task before it asks again."""

LONGEST_RETRY_AFTER = 30.0
"""How long the operator can have a call put off, whatever it says, in seconds."""

_LARGEST_ANSWER = 16 * 1024 * 1024  # bytes

# A worker has better things to do than to wait for its operator.
_TIMEOUT = urllib3.Timeout(connect=3.0, read=10.0)


class UnreachableError(Exception):
    """The operator does not answer, or cannot now: go on working, and try again later."""


class RefusedError(Exception):
    """The operator refuses a call; `error` is the word for it in `protocol.Refusal`."""

    def __init__(self, error: str, message: str) -> None:
        super().__init__(f"{error}: {message}")
        self.error = error

    @property
    def is_over(self) -> bool:
        """Whether the operator wants nothing more of this attempt from this process."""
        return self.error in {"Gone", "StaleSession"}

    @property
    def may_pass(self) -> bool:
        """Whether the same call may be accepted later, such as with the next token."""
        return self.error in {"Unauthenticated", "UnknownSession"}


class OperatorClient:
    """Calls one operator as one worker process, from any thread.

    The token is read for each call, since it rotates. A session is opened by the first call, and
    again whenever the operator does not know it any more.
    """

    def __init__(self, url: str, token_file: Path | None) -> None:
        self._url = url.rstrip("/") + protocol.PREFIX
        self._token_file = token_file
        self._http = self._make_http()
        self._process = uuid.uuid4().hex
        self._lock = threading.Lock()
        self._registered: Registered | None = None
        self._not_before: dict[str, float] = {}  # by call, where the operator said to wait

    @property
    def is_registered(self) -> bool:
        """Whether the operator knows of this process."""
        return self._registered is not None

    def register(self) -> Registered:
        """Open a session, or return the one that is open."""
        with self._lock:
            if self._registered is None:
                self._registered = self._post("register", self._who(), Registered)
            return self._registered

    def heartbeat(self, **fields: Any) -> HeartbeatAnswer:
        """Give a sign of life; `fields` are those of `protocol.Heartbeat` but the session."""
        return self._call("heartbeat", Heartbeat, fields, HeartbeatAnswer)

    def next(self) -> protocol.Assigned:
        """Wait a while for the next task of a worker of a pool; it may have none."""
        return self._next(WAIT_SECONDS, {})

    def report(self, kind: str, fields: dict[str, Any]) -> None:
        """Say something of `REPORTS` about an attempt; `fields` are all but the session."""
        self._call(kind, REPORTS[kind], fields, protocol.Accepted)

    def _make_http(self) -> urllib3.PoolManager:
        """Return what connections are made with."""
        return urllib3.PoolManager(retries=False, timeout=_TIMEOUT, maxsize=2)

    def _who(self) -> Register:
        """Return what a session is opened for."""
        return Register(process=self._process)

    def _next(self, wait: float, fields: dict[str, Any]) -> protocol.Assigned:
        timeout = urllib3.Timeout(connect=3.0, read=wait + 10.0)
        fields = {"wait": wait, **fields}
        return self._call("next", protocol.Next, fields, protocol.Assigned, timeout)

    def _call(
        self,
        path: str,
        request: type[AboutAttempt | protocol.Next],
        fields: dict[str, Any],
        answer: type[A],
        timeout: urllib3.Timeout = _TIMEOUT,
    ) -> A:
        session = self.register().session
        try:
            return self._post(path, request(session=session, **fields), answer, timeout)
        except RefusedError as refusal:
            if refusal.error != "UnknownSession":
                raise
        with self._lock:
            if self._registered is not None and self._registered.session == session:
                self._registered = None
        session = self.register().session
        return self._post(path, request(session=session, **fields), answer, timeout)

    def _post(
        self, path: str, request: Request, answer: type[A], timeout: urllib3.Timeout = _TIMEOUT
    ) -> A:
        url = f"{self._url}/{path}"
        wait = self._not_before.get(path, 0.0) - time.monotonic()
        if wait > 0:
            raise UnreachableError(f"{url}: the operator said to wait, for {wait:.1f} s more")
        try:
            headers = {"Content-Type": "application/json", **self._authorization()}
            body = request.model_dump_json().encode()
            response = self._http.request(
                "POST",
                url,
                body=body,
                headers=headers,
                redirect=False,
                timeout=timeout,
                preload_content=False,
            )
            said = _read(response)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise UnreachableError(f"{url}: {error}") from None
        if response.status in {429, 503}:
            seconds = _retry_after(response.headers.get("Retry-After", ""))
            self._not_before[path] = time.monotonic() + seconds
        try:
            if response.status == 200:
                return answer.model_validate_json(said)
            refusal = Refusal.model_validate_json(said)
        except ValidationError:  # something else than the operator answers there
            raise UnreachableError(f"{url} answers {response.status}, not as it should") from None
        if refusal.error in {"Unavailable", "TooMany"} or response.status >= 500:
            raise UnreachableError(f"{url}: {refusal.message}")
        raise RefusedError(refusal.error, refusal.message)

    def _authorization(self) -> dict[str, str]:
        if self._token_file is None:
            return {}
        token = self._token_file.read_text(encoding="ascii").strip()
        return {"Authorization": f"Bearer {token}"}


def _read(response: urllib3.BaseHTTPResponse) -> bytes:
    """Read an answer as far as one of the operator could go: of a longer one that is no JSON."""
    said = response.read(_LARGEST_ANSWER)
    if response.read(1):
        response.close()
    response.release_conn()
    return said


def _retry_after(said: str) -> float:
    """Read the header; none, or a date, which the operator does not send, is not to wait."""
    try:
        seconds = float(said)
    except ValueError:
        return 0.0
    return min(seconds, LONGEST_RETRY_AFTER) if seconds > 0 else 0.0
