"""An S3 in memory, which can be out of order; markers are read by the real code."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256

from bec_ops.contract.location import LOG_FOLDER
from bec_ops.contract.s3.store import (
    READ_AT_MOST,
    Content,
    ObjectInfo,
    Reason,
    Store,
    StoreError,
    Stream,
    TooLargeError,
)


class FakeStore(Store):
    """Objects by key, in one bucket. While `trouble` is set, S3 gives no good answer.

    `read` has the keys of all that were read. `logs_forbidden`: a policy allows everything but
    the logs of attempts.
    """

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.trouble: Reason | None = None
        self.logs_forbidden = False
        self.read: set[str] = set()

    def fetch(self, bucket: str, key: str, limit: int = READ_AT_MOST) -> Content | None:
        self._check(bucket, key)
        self.read.add(key)
        body = self.objects.get(key)
        if body is not None and len(body) > limit:
            raise TooLargeError(f"s3://{bucket}/{key}", len(body), limit)
        return Content(body, datetime.now(UTC)) if body is not None else None

    @contextmanager
    def open(self, bucket: str, key: str, limit: int) -> Iterator[Stream | None]:
        found = self.fetch(bucket, key, limit)
        if found is None:
            yield None
        else:
            yield Stream(iter([found.body]), found.last_modified, len(found.body))

    def head(self, bucket: str, key: str) -> ObjectInfo | None:
        self._check(bucket, key)
        found = self.objects.get(key)
        if found is None:
            return None
        return ObjectInfo(sha256(found).hexdigest(), datetime.now(UTC), len(found))

    def put(
        self, bucket: str, key: str, body: bytes, content_type: str = "application/octet-stream"
    ) -> None:
        self._check(bucket, key)
        assert content_type
        self.objects[key] = body

    def delete(self, bucket: str, key: str) -> None:
        self._check(bucket, key)
        self.objects.pop(key, None)

    def _check(self, bucket: str, key: str) -> None:
        self.check_bucket(bucket)
        if self.logs_forbidden and LOG_FOLDER in key:
            raise StoreError("Forbidden", f"s3://{bucket}/{key} is forbidden")

    def check_bucket(self, bucket: str, prefix: str = "") -> None:
        del prefix
        if self.trouble is not None:
            raise StoreError(self.trouble, f"s3://{bucket} is out of order")

    def list_folders(self, bucket: str, prefix: str, first: str = "") -> Iterator[str]:
        self.check_bucket(bucket)
        rests = (key[len(prefix) :] for key in self.objects if key.startswith(prefix))
        found = {prefix + rest[: rest.index("/") + 1] for rest in rests if "/" in rest}
        yield from sorted(folder for folder in found if folder > first[:-1])

    def list_keys(self, bucket: str, prefix: str) -> Iterator[str]:
        self.check_bucket(bucket)
        yield from sorted(key for key in self.objects if key.startswith(prefix))
