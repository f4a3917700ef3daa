"""The API server behind a proxy that can lose watches, and counts what it is asked."""

import ssl
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web
from kubernetes.client import Configuration
from kubernetes.config import load_kube_config

from tests.support.proxy import ReverseProxy

Ask = tuple[str, str]  # verb and resource, such as ("WATCH", "pods")
_READING = {"GET", "LIST", "WATCH"}
_GONE = {
    "kind": "Status",
    "apiVersion": "v1",
    "status": "Failure",
    "reason": "Expired",
    "message": "too old resource version (injected by a test)",
    "code": 410,
}


class ApiFaults(ReverseProxy):
    """Speaks plain HTTP to the operator, and to the API server with an administrator's rights.

    `requests` counts what was asked for by verb (GET, LIST, WATCH, or the method) and resource.
    """

    def __init__(self, kubeconfig: Path) -> None:
        configuration = Configuration()
        load: Any = load_kube_config  # it has no types
        load(str(kubeconfig), client_configuration=configuration)
        context = ssl.create_default_context(cafile=str(configuration.ssl_ca_cert))
        context.load_cert_chain(str(configuration.cert_file), str(configuration.key_file))
        super().__init__(str(configuration.host), context)
        self.requests: Counter[Ask] = Counter()
        self._silent: frozenset[str] = frozenset()
        self._expired: set[str] = set()

    def kubeconfig(self, folder: Path) -> Path:
        """Write a kubeconfig that leads here."""
        context = {"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "proxy",
            "clusters": [{"name": "proxy", "cluster": {"server": self.url}}],
            "users": [{"name": "proxy", "user": {}}],
            "contexts": [context],
        }
        path = folder / "proxy.kubeconfig"
        path.write_text(yaml.safe_dump(content))
        return path

    def silence(self, resource: str) -> None:
        """Let nothing more through on the watches of a resource that are open now."""
        self._silent |= {resource}

    def speak(self) -> None:
        """Let the watches that are opened from now on say what they have to say."""
        self._silent = frozenset()

    def expire(self, resource: str) -> None:
        """Answer the next watch of a resource with 410 Gone."""
        self._expired.add(resource)

    def writes(self) -> dict[Ask, int]:
        """Return how often something was asked that is not reading."""
        return {ask: n for ask, n in self.requests.items() if ask[0] not in _READING}

    async def answer(self, request: web.Request) -> web.StreamResponse | None:
        """Answer a watch that is to expire."""
        verb, resource = ask = _ask(request)
        self.requests[ask] += 1
        if verb == "WATCH" and resource in self._expired:
            self._expired.discard(resource)
            return web.json_response(_GONE, status=410)
        return None

    def silencer(self, request: web.Request) -> Callable[[], bool]:
        """Return whether this watch has been silenced since it was opened."""
        verb, resource = _ask(request)
        silent = False

        def silenced() -> bool:
            nonlocal silent
            silent = silent or (verb == "WATCH" and resource in self._silent)
            return silent

        return silenced


def _ask(request: web.Request) -> Ask:
    parts = request.path.strip("/").split("/")
    rest = parts[3:] if parts[0] == "apis" else parts[2:]
    if rest[:1] == ["namespaces"] and len(rest) > 2:
        rest = rest[2:]
    resource = "/".join(rest[:1] + rest[2:]) or "discovery"
    if request.method != "GET":
        return request.method, resource
    if "watch" in request.query:
        return "WATCH", resource
    return ("GET" if len(rest) > 1 else "LIST"), resource
