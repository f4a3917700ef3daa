"""What comes from S3: an object as a whole, bit by bit, or what is known of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from bec_ops.contract.s3.errors import TooLargeError, answering

if TYPE_CHECKING:
    from botocore.response import StreamingBody

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


def chunks_of(body: "StreamingBody", bucket: str, key: str, limit: int) -> Iterator[bytes]:
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
