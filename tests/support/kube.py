"""The API server as tests talk to it: plain dicts, from any thread, and not the operator's way."""

import json
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

import urllib3
from kubernetes.client import ApiClient, Configuration
from kubernetes.config import load_kube_config

Body = dict[str, Any]

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"


def configuration_of(kubeconfig: Path) -> Configuration:
    """Read where the API server is, and who is asking."""
    configuration = Configuration()
    load: Any = load_kube_config  # it has no types
    load(str(kubeconfig), client_configuration=configuration)
    return configuration


class KubeError(Exception):
    """The API server refused a request."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(f"{code} {reason}: {message}")
        self.code = code
        self.reason = reason
        self.message = message


class Watch:
    """The events of one watch; `close`, from whatever thread, ends the iteration."""

    def __init__(self, response: urllib3.BaseHTTPResponse) -> None:
        self._response = response
        self._closed = False

    def __iter__(self) -> Iterator[Body]:
        try:
            yield from (json.loads(line) for line in self._lines())
        except urllib3.exceptions.HTTPError:
            if not self._closed:
                raise
        finally:
            self._response.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._response.close()

    def close(self) -> None:
        """End the watch."""
        self._closed = True
        connection: Any = self._response.connection
        if connection is not None and connection.sock is not None:
            # Wakes the reader, which then cleans up. Past TLS: its own shutdown would let the
            # reader go on without decrypting.
            socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)

    def _lines(self) -> Iterator[bytes]:
        rest = b""
        for chunk in self._response.stream(65536):
            *lines, rest = (rest + chunk).split(b"\n")
            yield from lines


class Kube:
    """A client with the rights of a kubeconfig's user."""

    def __init__(self, kubeconfig: Path) -> None:
        configuration = configuration_of(kubeconfig)
        configuration.connection_pool_maxsize = 32
        self._host = str(configuration.host)
        self._client: Any = ApiClient(configuration)

    def request(
        self,
        method: str,
        path: str,
        body: Body | None = None,
        *,
        content_type: str = JSON,
        query: Mapping[str, str] | None = None,
    ) -> Body:
        """Send one request and return the answer; raises KubeError for 400 and above."""
        response = self._send(method, path, body, content_type, query, 30.0)
        answer: Body = json.loads(response.data or b"{}")
        return answer

    def watch(self, path: str, seconds: float, query: Mapping[str, str] | None = None) -> Watch:
        """Watch a collection for so long at most; without a version, what is there comes first."""
        ask = {**(query or {}), "watch": "1", "timeoutSeconds": str(max(1, round(seconds)))}
        return Watch(self._send("GET", path, None, JSON, ask, seconds + 10))

    def get(self, path: str, **query: str) -> Body:
        """Read an object or a collection; keywords are what follows the question mark."""
        return self.request("GET", path, query=query)

    def find(self, path: str) -> Body | None:
        """Read an object; None if there is none."""
        try:
            return self.get(path)
        except KubeError as error:
            if error.code != 404:
                raise
            return None

    def items(self, path: str, **query: str) -> list[Body]:
        """Read the objects of a collection."""
        found: list[Body] = self.get(path, **query)["items"]
        return found

    def create(self, path: str, body: Body) -> Body:
        """Make an object in a collection."""
        return self.request("POST", path, body)

    def patch(self, path: str, body: Body, *, content_type: str = MERGE_PATCH) -> Body:
        """Change an object."""
        return self.request("PATCH", path, body, content_type=content_type)

    def delete(self, path: str, *, uid: str = "", grace: int | None = None) -> None:
        """Delete an object, in the background; none that is there is fine.

        With `uid` only the very object that has it; `grace` in seconds, for pods.
        """
        body: Body = {"propagationPolicy": "Background"}
        if uid:
            body["preconditions"] = {"uid": uid}
        if grace is not None:
            body["gracePeriodSeconds"] = grace
        try:
            self.request("DELETE", path, body)
        except KubeError as error:
            if error.code != 404:
                raise

    def _send(
        self,
        method: str,
        path: str,
        body: Body | None,
        content_type: str,
        query: Mapping[str, str] | None,
        seconds: float,
    ) -> urllib3.BaseHTTPResponse:
        url = f"{self._host}{path}" + (f"?{urlencode(query)}" if query else "")
        headers = {"Content-Type": content_type, "Accept": JSON}
        sent = self._client.call_api(
            method, url, header_params=headers, body=body, _request_timeout=(5.0, seconds)
        )
        response: urllib3.BaseHTTPResponse = sent.response
        if response.status >= 400:
            raise _error(response.status, response.data)
        return response


def _error(code: int, answer: bytes) -> KubeError:
    try:
        status = json.loads(answer)
    except ValueError:
        return KubeError(code, "Unknown", answer[:200].decode(errors="replace"))
    return KubeError(code, status.get("reason", ""), status.get("message", ""))
