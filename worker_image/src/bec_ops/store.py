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
from typing import TYPE_CHECKING, Literal

from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)

from bec_ops.marker import MARKER_NAME, InvalidMarker, Marker
from bec_ops.volume import Volume

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

Reason = Literal["Unavailable", "Forbidden", "BucketNotFound"]

_CREDENTIALS = (CredentialRetrievalError, NoCredentialsError, PartialCredentialsError)
# Some of these come with status 400 instead of 403.
_FORBIDDEN = {
    "AccessDenied",
    "ExpiredToken",
    "Forbidden",
    "InvalidAccessKeyId",
    "InvalidToken",
    "SignatureDoesNotMatch",
}


class StoreError(Exception):
    """S3 gave no answer: nothing is known about the object, least of all that it is absent."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason: Reason = reason


@dataclass(frozen=True)
class Content:
    """An object as S3 sends it, and since when it has been so."""

    body: bytes
    last_modified: datetime


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

    def get(self, bucket: str, key: str) -> bytes | None:
        """Return an object's content, or None if S3 says that there is no such key."""
        found = self.fetch(bucket, key)
        return None if found is None else found.body

    def fetch(self, bucket: str, key: str) -> Content | None:
        """Return an object's content and age from one answer; None as `get` does."""
        with _answering(bucket, key):
            try:
                found = self._client.get_object(Bucket=bucket, Key=key)
                return Content(found["Body"].read(), found["LastModified"])
            except self._client.exceptions.NoSuchKey:
                return None

    def head(self, bucket: str, key: str) -> ObjectInfo | None:
        """Return what S3 knows of an object, or None if S3 says that there is no such key."""
        with _answering(bucket, key):
            try:
                found = self._client.head_object(Bucket=bucket, Key=key)
            except ClientError as error:
                if _status(error) != 404:
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
        with _answering(bucket, key):
            self._client.put_object(Bucket=bucket, Key=key, Body=body, ContentType=content_type)

    def upload(
        self,
        bucket: str,
        key: str,
        path: Path,
        content_type: str = "application/octet-stream",
    ) -> None:
        """Write an object from a file of any size, in parts where it is big."""
        extra = {"ContentType": content_type}
        with path.open("rb") as file, _answering(bucket, key):
            self._client.upload_fileobj(file, bucket, key, ExtraArgs=extra)

    def check_bucket(self, bucket: str) -> None:
        """Raise StoreError if the bucket does not exist or cannot be reached."""
        with _answering(bucket):
            try:
                self._client.head_bucket(Bucket=bucket)
            except ClientError as error:
                if _status(error) != 404:
                    raise
                raise _no_bucket(bucket) from None

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
        with _answering(bucket, prefix):
            for page in pages(StartAfter=first[:-1]) if first else pages():
                for folder in page.get("CommonPrefixes", ()):
                    yield folder["Prefix"]

    def list_keys(self, bucket: str, prefix: str) -> Iterator[str]:
        """Yield the keys of all objects under a prefix, in S3's order."""
        pages = self._client.get_paginator("list_objects_v2")
        with _answering(bucket, prefix):
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
        found = self.fetch(bucket, key)
        if found is None:
            return None
        try:
            marker = Marker.parse(found.body, job_id, volume)
        except InvalidMarker as error:
            raise InvalidMarker(f"s3://{bucket}/{key}: {error}") from None
        return marker if marker.counts(redo_at, found.last_modified) else None


@contextmanager
def _answering(bucket: str, key: str = "") -> Iterator[None]:
    """Turn every way of not answering into a StoreError that names bucket and key."""
    place = f"s3://{bucket}/{key}"
    try:
        yield
    except ClientError as error:
        raise _refusal(error, bucket, place) from error
    except ParamValidationError as error:
        fault = str(error).splitlines()[-1].partition(" or be an ARN")[0]
        raise StoreError("BucketNotFound", f"{place} cannot exist in S3: {fault}") from error
    except _CREDENTIALS as error:
        raise StoreError("Forbidden", f"no S3 credentials for {place}: {error}") from error
    except BotoCoreError as error:
        raise StoreError("Unavailable", f"S3 does not answer for {place}: {error}") from error


def _refusal(error: ClientError, bucket: str, place: str) -> StoreError:
    """Sort an answer that is an error; only its code and message are told, never its headers."""
    code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
    said = f"{code}: {message}" if message and message != code else code
    if code in {"NoSuchBucket", "InvalidBucketName"}:
        return _no_bucket(bucket)
    if _status(error) == 403 or code in _FORBIDDEN:
        return StoreError("Forbidden", f"S3 forbids access to {place} ({said})")
    return StoreError("Unavailable", f"S3 gives no good answer for {place} ({said})")


def _no_bucket(bucket: str) -> StoreError:
    return StoreError("BucketNotFound", f"the bucket s3://{bucket} does not exist")


def _status(error: ClientError) -> int:
    return error.response["ResponseMetadata"]["HTTPStatusCode"]
