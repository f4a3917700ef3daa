"""S3, with the one difference that everything rests on: absent is an answer, unknown is not.

`None` and an exhausted iterator mean that S3 said so. Whatever keeps S3 from saying so, missing
rights and a missing bucket included, raises StoreError.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from botocore.exceptions import ClientError

from bec_ops.contract.marker import MARKER_NAME, MAX_MARKER_BYTES, InvalidMarker, Marker
from bec_ops.contract.s3 import listing as store_listing
from bec_ops.contract.s3.asking import Asking
from bec_ops.contract.s3.client import Patience, make_client
from bec_ops.contract.s3.errors import (
    Reason,
    StoreError,
    TooLargeError,
    answering,
    status,
)
from bec_ops.contract.s3.heads import Heads
from bec_ops.contract.s3.reading import READ_AT_MOST, Content, ObjectInfo, Stream, chunks_of
from bec_ops.contract.s3.settings import StoreSettings
from bec_ops.contract.s3.signing import SignedAddress, Signing
from bec_ops.contract.s3.transfers import Transfers, Watch, ignore
from bec_ops.contract.volume import Volume

__all__ = [
    "READ_AT_MOST",
    "Content",
    "ObjectInfo",
    "Patience",
    "Reason",
    "Store",
    "StoreError",
    "StoreSettings",
    "Stream",
    "TooLargeError",
]


class Store:
    """A client of one S3 endpoint, safe to use from many threads.

    Credentials come from the usual AWS chain; endpoint and region, where not given, from
    `AWS_ENDPOINT_URL_S3` and `AWS_REGION`, and `settings` from `BEC_S3_…`. `connections` is how
    many threads can be served at once. Without `patience` nobody waits long for an S3 that does
    not answer. `signature` is that of `make_client`.
    """

    def __init__(
        self,
        endpoint_url: str | None = None,
        region: str | None = None,
        *,
        connections: int = 32,
        settings: StoreSettings | None = None,
        patience: Patience | None = None,
        signature: Any = None,
    ) -> None:
        self._settings = settings or StoreSettings.from_environment()
        self._client = make_client(endpoint_url, region, connections, patience, signature)
        self._signing = Signing(endpoint_url, region, self._settings)
        self._transfers = Transfers(self._client)
        self._asking = Asking(self._client, self._settings)
        self._heads = Heads(self._client, self._settings, connections)

    @classmethod
    def of_worker(cls, stopping: Callable[[], bool]) -> Self:
        """Make a store for a worker, whose work is lost where an S3 that is busy is given up.

        It is as patient as `BEC_S3_PATIENCE` says, until it is `stopping`. Raises
        MisconfiguredError where the environment is wrong.
        """
        settings = StoreSettings.from_environment()
        return cls(settings=settings, patience=Patience(settings.patience, stopping))

    def get(self, bucket: str, key: str, limit: int = READ_AT_MOST) -> bytes | None:
        """Return an object's content, or None if S3 says that there is no such key.

        Raises TooLargeError, before it is read, for one of more than `limit` bytes.
        """
        found = self.fetch(bucket, key, limit)
        return None if found is None else found.body

    def fetch(self, bucket: str, key: str, limit: int = READ_AT_MOST) -> Content | None:
        """Return an object's content and age from one answer; None and errors as with `get`."""
        with self.open(bucket, key, limit) as found:
            if found is None:
                return None
            return Content(b"".join(found.chunks), found.last_modified)

    @contextmanager
    def open(self, bucket: str, key: str, limit: int) -> Iterator[Stream | None]:
        """Give an object bit by bit; None and errors as with `get`.

        Who does not read it to its end has not had it sent either.
        """
        with self._asking.about(bucket, key):
            try:
                found = self._client.get_object(Bucket=bucket, Key=key, **self._settings.asking())
            except self._client.exceptions.NoSuchKey:
                found = None
        if found is None:
            self._asking.see(bucket, key)
            yield None
            return
        size, body = found.get("ContentLength"), found["Body"]
        try:
            if size is not None and size > limit:
                raise TooLargeError(f"s3://{bucket}/{key}", size, limit)
            yield Stream(chunks_of(body, bucket, key, limit), found["LastModified"], size)
        finally:
            body.close()

    def head(self, bucket: str, key: str) -> ObjectInfo | None:
        """Return what S3 knows of an object, or None if S3 says that there is no such key."""
        with self._asking.about(bucket, key):
            try:
                found = self._client.head_object(Bucket=bucket, Key=key, **self._settings.asking())
            except ClientError as error:
                if status(error) != 404:
                    raise
                # A HEAD has no body that could tell a missing key from a missing bucket.
                self._asking.check_bucket(bucket, key)
                return None
        return ObjectInfo(
            etag=found["ETag"].strip('"'),
            last_modified=found["LastModified"],
            size=found["ContentLength"],
        )

    def etag(self, bucket: str, key: str) -> str | None:
        """Return what `head` does of an object's ETag, for who asks about very many."""
        return self._heads.etag(bucket, key, self._etag)

    def _etag(self, bucket: str, key: str) -> str | None:
        found = self.head(bucket, key)
        return found.etag if found is not None else None

    def put(
        self, bucket: str, key: str, body: bytes, content_type: str = "application/octet-stream"
    ) -> None:
        """Write an object in one request."""
        extra = {"ContentType": content_type, **self._settings.writing()}
        with self._asking.about(bucket, key, writing=True):
            self._client.put_object(Bucket=bucket, Key=key, Body=body, **extra)

    def delete(self, bucket: str, key: str) -> None:
        """Delete an object; there may be none."""
        with self._asking.about(bucket, key, writing=True):
            self._client.delete_object(Bucket=bucket, Key=key, **self._settings.asking())

    def upload(
        self,
        bucket: str,
        key: str,
        path: Path,
        content_type: str = "application/octet-stream",
        watch: Watch = ignore,
    ) -> None:
        """Write an object from a file of any size, in parts where it is big."""
        path.open("rb").close()  # what keeps it from being read is no trouble of S3
        extra = {"ContentType": content_type, **self._settings.writing()}
        with self._asking.about(bucket, key, writing=True):
            self._transfers.upload(bucket, key, path, extra, watch)

    def sign(self, operation: str, bucket: str, arguments: dict[str, Any]) -> SignedAddress:
        """Sign a request for somebody without keys: see `Signing`."""
        with answering(bucket, str(arguments.get("Key", ""))):
            return self._signing.sign(operation, bucket, arguments)

    def check_bucket(self, bucket: str, prefix: str = "") -> None:
        """Raise StoreError if the bucket does not exist, or may not be listed under the prefix.

        A HEAD would say less: neither why not, nor in which region the bucket is.
        """
        self._asking.check_bucket(bucket, prefix)

    def list_folders(self, bucket: str, prefix: str, first: str = "") -> Iterator[str]:
        """Yield the folders right under a prefix, as whole prefixes that end in ``/``.

        Where `first` is given, most of those are left out whose name is before it. (A few are not:
        stores disagree whether `a` or `a-b` is first, and whether the list begins at or after it.)
        What is no folder, but an object of such a name, may be yielded as well, and one twice.
        """
        with answering(bucket, prefix):
            yield from store_listing.folders(
                self._client, bucket, prefix, first, **self._settings.asking()
            )

    def list_keys(self, bucket: str, prefix: str) -> Iterator[str]:
        """Yield the keys of all objects under a prefix, in S3's order."""
        with answering(bucket, prefix):
            yield from store_listing.keys(self._client, bucket, prefix, **self._settings.asking())

    def read_marker(
        self,
        bucket: str,
        prefix: str,
        job_id: str,
        volume: Volume,
        redo_at: datetime | None = None,
    ) -> Marker | None:
        """Return the marker under an output prefix; None if there is none, or only an outdated one.

        `redo_at` has a time zone. Raises InvalidMarker for an object that stands there and is no
        valid marker.
        """
        key = prefix + MARKER_NAME
        try:
            found = self.fetch(bucket, key, MAX_MARKER_BYTES)
        except TooLargeError as error:
            raise InvalidMarker(f"the marker is not valid: {error}") from None
        except StoreError as error:
            if error.reason == "Archived" and self._is_older(bucket, key, redo_at):
                return None
            raise
        if found is None:
            return None
        try:
            marker = Marker.parse(found.body, job_id, volume)
        except InvalidMarker as error:
            raise InvalidMarker(f"s3://{bucket}/{key}: {error}") from None
        return marker if marker.counts(redo_at, found.last_modified) else None

    def _is_older(self, bucket: str, key: str, moment: datetime | None) -> bool:
        """Whether an object is from before a moment, so that what is in it does not matter."""
        info = self.head(bucket, key) if moment is not None else None
        return moment is not None and info is not None and info.last_modified < moment
