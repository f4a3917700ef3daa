"""The API server behind a proxy that can lose watches, and counts what it is asked."""

import asyncio
import ssl
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import yaml
from aiohttp import web

from tests.support.kube import configuration_of
from tests.support.proxy import ReverseProxy

Ask = tuple[str, str]  # verb and resource, such as ("WATCH", "pods")
_READING = {"GET", "LIST", "WATCH", "TRY"}


class ApiFaults(ReverseProxy):
    """Speaks plain HTTP to the operator, whose token, in `kubeconfig`, it passes on.

    `requests` counts what was asked for by verb (GET, LIST, WATCH, TRY for a dry run, or the
    method) and resource.
    """

    def __init__(self, kubeconfig: Path) -> None:
        upstream = configuration_of(kubeconfig)
        context = ssl.create_default_context(cafile=str(upstream.ssl_ca_cert))
        super().__init__(str(upstream.host), context)
        self._kubeconfig = kubeconfig
        self.requests: Counter[Ask] = Counter()
        self._watches = 0  # opened so far
        self._silent: dict[str, int] = {}  # resource → how many watches were open when it fell
        self._expired: set[str] = set()
        self._losing: set[Ask] = set()
        self._slow: dict[Ask, float] = {}
        self._refusing = False
        self._left: int | None = None  # writes that still get through; None: all
        self._cut = threading.Event()

    def kubeconfig(self, folder: Path) -> Path:
        """Write a kubeconfig that leads here."""
        content = yaml.safe_load(self._kubeconfig.read_text())
        content["clusters"][0]["cluster"] = {"server": self.url}
        path = folder / "proxy.kubeconfig"
        path.write_text(yaml.safe_dump(content))
        return path

    def silence(self, *resources: str) -> None:
        """Let nothing more through on the watches of some resources that are open now."""
        self._silent |= dict.fromkeys(resources, self._watches)

    def expire(self, *resources: str) -> None:
        """Tell the next watch of some resources that its version is too old: 410 Gone."""
        self._expired |= set(resources)

    def refuse(self) -> None:
        """Answer everything with 503, and break what is under way."""
        self._refusing = True
        self.drop()

    def lose(self, verb: str, resource: str) -> None:
        """Do what is asked, and break the connection before the answer."""
        self._losing.add((verb, resource))

    def slow_down(self, verb: str, resource: str, seconds: float) -> None:
        """Let what is asked take so long."""
        self._slow[verb, resource] = seconds

    def cut(self, after: int) -> None:
        """Let so many more writes happen, and let no answer through from the last one on.

        It is as if the operator died right after that write. Returns when that is so.
        """
        self._cut.clear()
        self._left = after
        if not self._cut.wait(60):
            raise AssertionError(f"the operator made less than {after} writes in 60 s")

    def heal(self) -> None:
        """Be well again."""
        self._refusing, self._left = False, None
        self._losing.clear()
        self._slow.clear()

    def writes(self) -> dict[Ask, int]:
        """Return how often something was asked that is not reading."""
        return {ask: n for ask, n in self.requests.items() if ask[0] not in _READING}

    async def answer(self, request: web.Request) -> web.StreamResponse | None:
        """Answer what is refused or has expired, and nothing once the line is cut."""
        verb, resource = ask = _ask(request)
        if self._cut.is_set() and self._left is not None:
            await self.hang()
        self.requests[ask] += 1
        await asyncio.sleep(self._slow.get(ask, 0.0))
        if self._refusing:
            return web.json_response(_status(503, "ServiceUnavailable"), status=503)
        if verb == "WATCH" and resource in self._expired:
            self._expired.discard(resource)
            event = {"type": "ERROR", "object": _status(410, "Expired")}
            return web.json_response(event)  # within the stream, as API servers do
        return None

    def silencer(self, request: web.Request) -> Callable[[], bool]:
        """Return whether the answer is lost: of a silent watch, or since the line is cut."""
        verb, resource = ask = _ask(request)
        if ask in self._losing and request.transport is not None:
            request.transport.abort()
        if verb != "WATCH":
            lost = verb not in _READING and self._is_last()
            return lambda: lost
        self._watches += 1
        number = self._watches
        return lambda: number <= self._silent.get(resource, 0)

    def _is_last(self) -> bool:
        """Count a write that has happened; say whether the line is cut after it."""
        if self._left is None:
            return False
        self._left -= 1
        if self._left <= 0:
            self._cut.set()
        return self._left <= 0


def _status(code: int, reason: str) -> dict[str, object]:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "reason": reason,
        "message": "injected by a test",
        "code": code,
    }


def _ask(request: web.Request) -> Ask:
    parts = request.path.strip("/").split("/")
    rest = parts[3:] if parts[0] == "apis" else parts[2:]
    if rest[:1] == ["namespaces"] and len(rest) > 2:
        rest = rest[2:]
    resource = "/".join(rest[:1] + rest[2:]) or "discovery"
    if "dryRun" in request.query:
        return "TRY", resource
    if request.method != "GET":
        return request.method, resource
    if "watch" in request.query:
        return "WATCH", resource
    return ("GET" if len(rest) > 1 else "LIST"), resource
