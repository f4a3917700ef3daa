"""S3, with the one difference that everything rests on: absent is an answer, unknown is not.

`None` and an exhausted iterator mean that S3 said so. Whatever keeps S3 from saying so, missing
rights and a missing bucket included, raises StoreError.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import ClientError

from bec_ops.marker import MARKER_NAME, MAX_MARKER_BYTES, InvalidMarker, Marker
from bec_ops.store_errors import (
    Reason,
    StoreError,
    TooLargeError,
    answering,
    no_bucket,
    status,
)
from bec_ops.transfers import Transfers, Watch, ignore
from bec_ops.volume import Volume

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3.client import S3Client

__all__ = [
    "READ_AT_MOST",
    "Content",
    "ObjectInfo",
    "Reason",
    "Store",
    "StoreError",
    "Stream",
    "TooLargeError",
]

READ_AT_MOST = 1024 * 1024 * 1024
"""Bytes of an object that is read as a whole, where nothing smaller is said."""

_CHUNK = 256 * 1024


@dataclass(frozen=True)
class Content:
    """An object as S3 sends it, and since when it has been so."""

    body: bytes
    last_modified: datetime


@dataclass(frozen=True)
class Stream:
    """An object that comes bit by bit. `size` is what S3 says that it has, if it says so.

    `chunks` raises StoreError where S3 breaks off, and TooLargeError as soon as too much has come.
    """

    chunks: Iterator[bytes]
    last_modified: datetime
    size: int | None


@dataclass(frozen=True)
class ObjectInfo:
    """What S3 says about an object without sending it; `size` in bytes."""

    etag: str
    last_modified: datetime
    size: int


class Store:
    """A client of one S3 endpoint, safe to use from many threads.

    Credentials come from the usual AWS chain; endpoint and region, where not given, from
    `AWS_ENDPOINT_URL_S3` and `AWS_REGION`. `connections` is how many threads can be served at
    once.
    """

    def __init__(
        self, endpoint_url: str | None = None, region: str | None = None, *, connections: int = 32
    ) -> None:
        endpoint_url = endpoint_url or os.environ.get("AWS_ENDPOINT_URL_S3")
        config = Config(
            connect_timeout=5,
            read_timeout=30,
            retries={"mode": "standard", "total_max_attempts": 3},
            max_pool_connections=connections,
            # Stores other than AWS rarely have a host name for each bucket, and not all of them
            # know the newer checksums.
            s3={"addressing_style": "path" if endpoint_url else "auto"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        self._client: S3Client = Session().client(
            "s3",
            endpoint_url=endpoint_url,
            # boto3 itself only knows AWS_DEFAULT_REGION.
            region_name=region or os.environ.get("AWS_REGION") or None,
            config=config,
        )
        self._transfers = Transfers(self._client)

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
        with answering(bucket, key):
            try:
                found = self._client.get_object(Bucket=bucket, Key=key)
            except self._client.exceptions.NoSuchKey:
                found = None
        if found is None:
            yield None
            return
        size, body = found.get("ContentLength"), found["Body"]
        try:
            if size is not None and size > limit:
                raise TooLargeError(f"s3://{bucket}/{key}", size, limit)
            yield Stream(_chunks(body, bucket, key, limit), found["LastModified"], size)
        finally:
            body.close()

    def head(self, bucket: str, key: str) -> ObjectInfo | None:
        """Return what S3 knows of an object, or None if S3 says that there is no such key."""
        with answering(bucket, key):
            try:
                found = self._client.head_object(Bucket=bucket, Key=key)
            except ClientError as error:
                if status(error) != 404:
                    raise
                # A HEAD has no body that could tell a missing key from a missing bucket.
                self.check_bucket(bucket)
                return None
        return ObjectInfo(
            etag=found["ETag"].strip('"'),
            last_modified=found["LastModified"],
            size=found["ContentLength"],
        )

    def put(
        self, bucket: str, key: str, body: bytes, content_type: str = "application/octet-stream"
    ) -> None:
        """Write an object in one request."""
        with answering(bucket, key):
            self._client.put_object(Bucket=bucket, Key=key, Body=body, ContentType=content_type)

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
        with answering(bucket, key):
            self._transfers.upload(bucket, key, path, {"ContentType": content_type}, watch)

    def check_bucket(self, bucket: str) -> None:
        """Raise StoreError if the bucket does not exist or cannot be reached."""
        with answering(bucket):
            try:
                self._client.head_bucket(Bucket=bucket)
            except ClientError as error:
                if status(error) != 404:
                    raise
                raise no_bucket(bucket) from None

    def list_folders(self, bucket: str, prefix: str, first: str = "") -> Iterator[str]:
        """Yield the folders right under a prefix, as whole prefixes that end in ``/``.

        Where `first` is given, most of those are left out whose name is before it. (A few are not:
        stores disagree whether `a` or `a-b` is first, and whether the list begins at or after it.)
        """
        pages = partial(
            self._client.get_paginator("list_objects_v2").paginate,
            Bucket=bucket,
            Prefix=prefix,
            Delimiter="/",
        )
        with answering(bucket, prefix):
            for page in pages(StartAfter=first[:-1]) if first else pages():
                for folder in page.get("CommonPrefixes", ()):
                    yield folder["Prefix"]

    def list_keys(self, bucket: str, prefix: str) -> Iterator[str]:
        """Yield the keys of all objects under a prefix, in S3's order."""
        pages = self._client.get_paginator("list_objects_v2")
        with answering(bucket, prefix):
            for page in pages.paginate(Bucket=bucket, Prefix=prefix):
                for found in page.get("Contents", ()):
                    yield found["Key"]

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
        if found is None:
            return None
        try:
            marker = Marker.parse(found.body, job_id, volume)
        except InvalidMarker as error:
            raise InvalidMarker(f"s3://{bucket}/{key}: {error}") from None
        return marker if marker.counts(redo_at, found.last_modified) else None


def _chunks(body: "StreamingBody", bucket: str, key: str, limit: int) -> Iterator[bytes]:
    """Yield what comes, up to the limit, whatever S3 said of the size."""
    come = 0
    while True:
        with answering(bucket, key):
            chunk = body.read(_CHUNK)
        if not chunk:
            return
        come += len(chunk)
        if come > limit:
            raise TooLargeError(f"s3://{bucket}/{key}", None, limit)
        yield chunk
