"""S3 behind a proxy that answers in its place when a test says so."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from aiohttp import web

from tests.cluster import S3
from tests.support.proxy import ReverseProxy

Request = web.BaseRequest
_CODES = {403: "AccessDenied", 404: "NoSuchKey", 503: "SlowDown"}


def _any(request: Request) -> bool:
    """Whatever is asked for."""
    del request
    return True


@dataclass(frozen=True)
class Said:
    """What a store says of an error: its code and words, further elements, and headers."""

    code: str = ""
    message: str = "Injected by a test."
    details: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Fault:
    """What goes wrong for which requests; the empty text stands for all of them."""

    operation: str
    key: str
    status: int = 0
    delay: float = 0.0
    swallow: bool = False
    said: Said = Said()
    where: Callable[[Request], bool] = _any


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

    def refuse(
        self,
        status: int,
        operation: str = "",
        key: str = "",
        said: Said = Said(),
        where: Callable[[Request], bool] = _any,
    ) -> None:
        """Answer with an error, where operation, part of the key and all else are as given."""
        self._faults += (_Fault(operation, key, status=status, said=said, where=where),)

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
            fits = fault.operation in {"", operation} and fault.key in key
            if fits and fault.where(request):
                if fault.swallow:
                    await self.hang()
                await asyncio.sleep(fault.delay)
                return _error(fault) if fault.status else None
        return None


def _operation(request: web.Request) -> str:
    of_bucket = "/" not in request.path.strip("/")
    if of_bucket and request.method == "GET":
        return "ListObjectsV2" if request.query.get("list-type") == "2" else "GetBucket"
    what = "Bucket" if of_bucket else "Object"
    return f"{request.method.capitalize()}{what}"


def _error(fault: _Fault) -> web.Response:
    said = fault.said
    code = said.code or _CODES.get(fault.status, "InternalError")
    told = {"Code": code, "Message": said.message, **said.details}
    text = "".join(f"<{name}>{value}</{name}>" for name, value in told.items())
    return web.Response(
        status=fault.status,
        text=f"<Error>{text}</Error>",
        content_type="application/xml",
        headers=said.headers,
    )
