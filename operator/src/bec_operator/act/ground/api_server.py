"""One way to the API server: raw JSON over the session of the `kubernetes` library's aio client."""

import os
import re
from collections.abc import Mapping
from typing import Any, Self
from urllib.parse import quote, urlencode

import aiohttp
import orjson
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration
from yarl import URL

from bec_operator.act.ground.deep_json import read_json
from bec_operator.api.base import GROUP, VERSION
from bec_operator.decide.sight.refusals import is_over_quota
from bec_operator.metrics import API_REQUESTS

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_TOKEN = "BearerToken"  # noqa: S105 - the name of a setting, not a secret
_TIMEOUT = 30.0
_MESSAGE_LIMIT = 4096  # characters of what it says that are kept
_LONGEST_WAIT = 60.0  # seconds that it may have us wait; a watch that lies still for longer is dead
_NAME = re.compile(r"[A-Za-z0-9._:-]{1,253}")  # every name that Kubernetes gives fits
Body = dict[str, Any]


class ApiError(Exception):
    """The API server refused or failed a request.

    `retry_after` is how many seconds it wants us to wait before the next try; 0 if it says nothing.
    """

    def __init__(self, code: int, reason: str, message: str, retry_after: float = 0.0) -> None:
        message = message[:_MESSAGE_LIMIT]
        super().__init__(f"{code} {reason}: {message}")
        self.code = code
        self.reason = reason
        self.message = message
        self.retry_after = retry_after

    @property
    def over_quota(self) -> bool:
        """Whether a ResourceQuota refused it: no fault of what was asked for."""
        return self.code == 403 and is_over_quota(self.message)

    @property
    def final(self) -> bool:
        """Whether the same request will not do: the object is refused for what it says."""
        return self.code in {400, 403, 422} and not self.over_quota


class ApiServer:
    """A session with the API server whose token is read again as it rotates."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        configuration.connection_pool_maxsize = 0  # watches stay open, and they may be many
        configuration.client_session_kwargs = {
            "middlewares": (self._authorize,),
            "trust_env": False,  # else .netrc and proxies are looked up for every request
        }
        self._client = ApiClient(configuration)
        self._session: aiohttp.ClientSession | None = None
        route = {
            "proxy": configuration.proxy,
            "proxy_headers": configuration.proxy_headers,
            "server_hostname": configuration.tls_server_name,
        }
        self._route: dict[str, Any] = {name: value for name, value in route.items() if value}

    @classmethod
    async def connect(cls) -> Self:
        """Connect as the user of $KUBECONFIG, else as a pod of the cluster."""
        configuration = Configuration()
        load: Any = config
        if kubeconfig := os.environ.get("KUBECONFIG"):
            await load.load_kube_config(config_file=kubeconfig, client_configuration=configuration)
        else:
            load.load_incluster_config(client_configuration=configuration)
        return cls(configuration)

    async def _authorize(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        token = await self._configuration.get_api_key_with_prefix(_TOKEN)
        if token:
            request.headers["Authorization"] = token
        return await handler(request)

    @property
    def address(self) -> str:
        """Where the API server is: scheme, host and port."""
        return str(self._configuration.host)

    async def session(self) -> aiohttp.ClientSession:
        """Return the session, which kopf shares: the library makes it with its first request."""
        if self._session is None:
            asked: Any = await self._client.call_api("GET", f"{self.address}/version")
            await asked.read()
            session: Any = self._client.rest_client.pool_manager
            assert isinstance(session, aiohttp.ClientSession)
            self._session = session
        return self._session

    async def request(
        self,
        method: str,
        path: str,
        body: Body | None = None,
        *,
        content_type: str = JSON,
        accept: str = JSON,
        query: Mapping[str, str] | None = None,
    ) -> Body:
        """Send one request and return the answer; raises ApiError for 400 and above."""
        response = await self.stream(
            method, path, body, content_type=content_type, accept=accept, query=query
        )
        async with response:
            answer: Body = read_json(await response.read() or b"{}")
        return answer

    async def tail(self, path: str, query: Mapping[str, str], most: int) -> bytes:
        """Return the last `most` bytes of an answer that is plain text."""
        async with await self.stream("GET", path, query=query) as response:
            end = b""
            async for part in response.content.iter_any():
                end = (end + part)[-most:]
        return end

    async def stream(
        self,
        method: str,
        path: str,
        body: Body | None = None,
        *,
        content_type: str = JSON,
        accept: str = JSON,
        query: Mapping[str, str] | None = None,
        seconds: float = _TIMEOUT,
        silence: float | None = None,
    ) -> aiohttp.ClientResponse:
        """Send one request and return the open response; raises ApiError for 400 and above.

        It may take `seconds` in all, and send nothing for `silence` seconds.
        """
        session = self._session or await self.session()
        headers = {"Accept": accept, "Content-Type": content_type}
        if token := await self._configuration.get_api_key_with_prefix(_TOKEN):
            headers["Authorization"] = token
        response = await session.request(
            method,
            # As it is: what looks like a step up must not be one by the time it is sent.
            URL(f"{self.address}{path}" + (f"?{urlencode(query)}" if query else ""), encoded=True),
            data=None if body is None else orjson.dumps(body),
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=seconds, sock_connect=5.0, sock_read=silence),
            middlewares=(),  # that of the session is for kopf: here the token is set already
            **self._route,
        )
        API_REQUESTS.labels(_verb(method, query), _resource(path), response.status).inc()
        if response.status >= 400:
            async with response:
                raise _error(response, await response.read())
        return response

    async def close(self) -> None:
        """End the session."""
        client: Any = self._client
        await client.close()


def _error(response: aiohttp.ClientResponse, answer: bytes) -> ApiError:
    code, wait = response.status, _retry_after(response.headers.get("Retry-After", ""))
    try:
        said: Any = orjson.loads(answer)
        reason, message = str(said.get("reason", "")), str(said.get("message", ""))
    except (ValueError, AttributeError):
        return ApiError(code, "Unknown", answer[:200].decode(errors="replace"), wait)
    return ApiError(code, reason, message, wait)


def _retry_after(header: str) -> float:
    """Return the seconds of a Retry-After; 0 for none, or a date, which no API server sends."""
    is_number = header.isascii() and header.isdecimal()
    return min(float(header[:9]), _LONGEST_WAIT) if is_number else 0.0


def _verb(method: str, query: Mapping[str, str] | None) -> str:
    return "WATCH" if query and query.get("watch") else method


def _resource(path: str) -> str:
    """Return the resource that a path is about, without names."""
    parts = path.strip("/").split("/")
    rest = parts[3:] if parts[0] == "apis" else parts[2:]
    if rest[:1] == ["namespaces"] and len(rest) > 2:
        rest = rest[2:]
    return "/".join(rest[:1] + rest[2:]) or "version"


def core(namespace: str | None, plural: str, name: str = "", sub: str = "") -> str:
    """Return the path of a core resource; all namespaces where `namespace` is None."""
    return _path("/api/v1", namespace, plural, name, sub)


def bec(namespace: str | None, plural: str, name: str = "", sub: str = "") -> str:
    """Return the path of a resource of ours; all namespaces where `namespace` is None."""
    return _path(f"/apis/{GROUP}/{VERSION}", namespace, plural, name, sub)


def apps(namespace: str | None, plural: str, name: str = "") -> str:
    """Return the path of a resource of group apps; all namespaces where `namespace` is None."""
    return _path("/apis/apps/v1", namespace, plural, name, "")


def _path(root: str, namespace: str | None, plural: str, name: str, sub: str) -> str:
    """Put a path together; raises ApiError for a part that can be no name.

    Namespaces and names come from people, too: with `..` or `/` in one, the request would be about
    something else, and it is the operator's rights that it is made with.
    """
    where = f"{root}/namespaces/{_part(namespace)}" if namespace else root
    return "/".join([where, *(_part(part) for part in (plural, name, sub) if part)])


def _part(text: str) -> str:
    if not _NAME.fullmatch(text) or text in {".", ".."}:
        said = f"{text[:64]!r} can be the name of no object: letters, digits, '-' and '.'"
        raise ApiError(400, "BadRequest", said)
    return quote(text, safe="")
