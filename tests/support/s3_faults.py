"""S3 behind a proxy that answers in its place when a test says so."""

import asyncio
from collections import Counter
from dataclasses import dataclass, replace

from aiohttp import web

from tests.cluster import S3
from tests.support.proxy import ReverseProxy

_CODES = {403: "AccessDenied", 404: "NoSuchKey", 503: "SlowDown"}


@dataclass(frozen=True)
class _Fault:
    """What goes wrong for which requests; the empty text stands for all of them."""

    operation: str
    key: str
    status: int = 0
    delay: float = 0.0
    swallow: bool = False


class S3Faults(ReverseProxy):
    """Passes on until told otherwise; the fault that was named first wins.

    Operations have the names of the S3 API: GetObject, PutObject, HeadBucket, ListObjectsV2, ….
    `requests` counts all that were asked for, whatever became of them.
    """

    def __init__(self, s3: S3) -> None:
        super().__init__(s3.endpoint_url)
        self.requests: Counter[str] = Counter()
        self._s3 = s3
        self._faults: tuple[_Fault, ...] = ()

    @property
    def s3(self) -> S3:
        """How to reach the store through this proxy."""
        return replace(self._s3, endpoint_url=self.url)

    def refuse(self, status: int, operation: str = "", key: str = "") -> None:
        """Answer with an error, where operation and part of the key are as given."""
        self._faults += (_Fault(operation, key, status=status),)

    def delay(self, seconds: float, operation: str = "", key: str = "") -> None:
        """Take so long before a request is passed on."""
        self._faults += (_Fault(operation, key, delay=seconds),)

    def swallow(self, operation: str = "", key: str = "") -> None:
        """Never answer."""
        self._faults += (_Fault(operation, key, swallow=True),)

    def heal(self) -> None:
        """Be well again."""
        self._faults = ()

    async def answer(self, request: web.Request) -> web.StreamResponse | None:
        """Answer with the fault that fits, if one does."""
        operation, key = _operation(request), request.path
        self.requests[operation] += 1
        for fault in self._faults:
            if fault.operation in {"", operation} and fault.key in key:
                if fault.swallow:
                    await self.hang()
                await asyncio.sleep(fault.delay)
                return _error(fault.status) if fault.status else None
        return None


def _operation(request: web.Request) -> str:
    of_bucket = "/" not in request.path.strip("/")
    if of_bucket and request.method == "GET":
        return "ListObjectsV2" if request.query.get("list-type") == "2" else "GetBucket"
    what = "Bucket" if of_bucket else "Object"
    return f"{request.method.capitalize()}{what}"


def _error(status: int) -> web.Response:
    code = _CODES.get(status, "InternalError")
    text = f"<Error><Code>{code}</Code><Message>Injected by a test.</Message></Error>"
    return web.Response(status=status, text=text, content_type="application/xml")
