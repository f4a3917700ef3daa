"""S3 for a worker that has no keys: the operator signs each request that it makes."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from botocore import UNSIGNED
from botocore.exceptions import ClientError, HTTPClientError

from bec_ops.contract.protocol import Signed, SignedRequest, ToSign
from bec_ops.contract.s3.client import Patience
from bec_ops.contract.s3.settings import StoreSettings
from bec_ops.contract.s3.store import Store
from bec_ops.contract.task import Task
from bec_ops.link.operator_client import RefusedError, UnreachableError

_NOWHERE = "http://signed.invalid"  # each request gets another address before it is sent
_EARLY = 60.0  # seconds before an address ends, in which no request begins with it
_KEPT = 1000  # addresses of parts
_AT_ONCE = 100  # of a call: the operator signs no more
_FIRST_PARTS = 8
_TYPED = {"PutObject", "CreateMultipartUpload"}

Ask = Callable[..., Signed]
"""`OperatorClient.sign`; raises UnreachableError and RefusedError."""


class SignedStore(Store):
    """A store for one attempt at a task, by addresses that the operator signs.

    It reaches the task's own output, and reads those of the jobs that its job depends on. All else
    is refused as S3 refuses it: StoreError with the reason Forbidden. While the operator is away,
    it is as patient as with an S3 that is.
    """

    def __init__(self, ask: Ask, task: Task, stopping: Callable[[], bool]) -> None:
        patience = StoreSettings.from_environment().patience
        super().__init__(
            _NOWHERE,
            "us-east-1",
            settings=StoreSettings(patience=patience),  # the operator's own hold
            patience=Patience(patience, stopping),
            signature=UNSIGNED,
        )
        self._addresses = _Addresses(ask, task)
        events: Any = self._client.meta.events
        events.register("before-send.s3", self._addresses.put_in)

    def etag(self, bucket: str, key: str) -> str | None:
        """Return an object's ETag, by a HEAD as all others."""
        return self._etag(bucket, key)

    def dependencies(self) -> dict[str, str]:
        """Return where the jobs write that this one depends on, by job id, for an `Attempt`.

        Raises UnreachableError and RefusedError.
        """
        return self._addresses.dependencies()


class Dependencies(Mapping[str, str]):
    """Where the jobs write that a task depends on, by job id: asked for when that is wanted.

    Raises UnreachableError and RefusedError then.
    """

    def __init__(self, open_store: Callable[[], SignedStore]) -> None:
        self._open_store = open_store

    def __getitem__(self, job_id: str) -> str:
        return self._open_store().dependencies()[job_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._open_store().dependencies())

    def __len__(self) -> int:
        return len(self._open_store().dependencies())


class _Addresses:
    """What the operator has signed, and asks it for more; from any thread."""

    def __init__(self, ask: Ask, task: Task) -> None:
        self._ask = partial(ask, task_uid=task.task_uid, attempt=task.attempt)
        self._own = task.output_uri
        self._others: dict[str, str] | None = None
        self._parts: dict[ToSign, tuple[SignedRequest, float]] = {}
        self._lock = threading.Lock()

    def dependencies(self) -> dict[str, str]:
        if self._others is None:
            self._others = dict(self._ask(requests=()).dependencies)
        return self._others

    def put_in(self, request: Any, event_name: str, **_: Any) -> None:
        """Give a request the address that is signed for it, and the headers that go with it."""
        try:
            wanted = self._wanted(event_name.rpartition(".")[2], request.url, request.headers)
            signed = self._part(wanted) if wanted.operation == "UploadPart" else self._one(wanted)
        except UnreachableError as error:
            raise HTTPClientError(error=error) from error
        except (RefusedError, ValueError) as error:
            refused: Any = {
                "Error": {"Code": "AccessDenied", "Message": f"not signed: {error}"},
                "ResponseMetadata": {"HTTPStatusCode": 403},
            }
            raise ClientError(refused, "Sign") from error
        for name in [name for name in request.headers if name.lower().startswith("x-amz-")]:
            del request.headers[name]  # S3 takes none that is not signed
        request.url = signed.url
        for name, value in signed.headers.items():
            request.headers[name] = value

    def _wanted(self, operation: str, url: str, headers: Any) -> ToSign:
        """Say what a request of boto3 is; raises ValueError for one that cannot be signed."""
        parts = urlsplit(url)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        bucket, _, key = unquote(parts.path).lstrip("/").partition("/")
        if operation == "ListObjectsV2":
            key = query.get("prefix", "")
        job_id, name = self._relative(f"s3://{bucket}/{key}")
        content_type = headers.get("Content-Type", "")
        if isinstance(content_type, bytes):
            content_type = content_type.decode("latin-1")
        asked = {
            "content_type": content_type if operation in _TYPED else None,
            "upload_id": query.get("uploadId"),
            "part": query.get("partNumber"),
            "delimiter": query.get("delimiter"),
            "encoding": query.get("encoding-type"),
            "start_after": query.get("start-after"),
            "token": query.get("continuation-token"),
            "max_keys": query.get("max-keys"),
        }
        given = {name: value for name, value in asked.items() if value}
        return ToSign.model_validate(
            {"operation": operation, "key": name, "job_id": job_id, **given}
        )

    def _relative(self, uri: str) -> tuple[str, str]:
        """Return whose place it is in, no id for the task's own, and the rest of the key."""
        if uri.startswith(self._own):
            return "", uri.removeprefix(self._own)
        for job_id, place in self.dependencies().items():
            if uri.startswith(place):
                return job_id, uri.removeprefix(place)
        raise ValueError(f"{uri} is neither in {self._own} nor in the output of a dependency")

    def _one(self, wanted: ToSign) -> SignedRequest:
        return self._signed((wanted,))[0]

    def _part(self, wanted: ToSign) -> SignedRequest:
        """Return the address of a part; those of the next parts are signed with it."""
        with self._lock:
            found, until = self._parts.get(wanted, (None, 0.0))
            if found is not None and time.monotonic() < until:
                return found
            last = min(wanted.part + min(_FIRST_PARTS + wanted.part, _AT_ONCE), 10001)
            asked = tuple(
                wanted.model_copy(update={"part": part}) for part in range(wanted.part, last)
            )
            began = time.monotonic()
            answers = self._signed(asked)
            if len(self._parts) > _KEPT:
                self._parts.clear()
            for each, answer in zip(asked, answers, strict=True):
                self._parts[each] = answer, began + answer.expires - _EARLY
            return answers[0]

    def _signed(self, asked: tuple[ToSign, ...]) -> tuple[SignedRequest, ...]:
        answer = self._ask(requests=asked)
        if len(answer.signed) != len(asked):
            raise UnreachableError("the operator has not signed what it was asked to")
        return answer.signed
