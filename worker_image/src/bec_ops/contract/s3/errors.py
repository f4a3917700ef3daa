"""What S3 says when it does not do what it was asked to, in words for people.

Whatever keeps S3 from answering is a StoreError. An object that is larger than what is read of
its kind is an answer, and has an error of its own.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from bec_ops.contract.s3.keys import sizes

Reason = Literal[
    "Unavailable",
    "Forbidden",
    "BucketNotFound",
    "KeyRefused",
    "KeyUnanswered",
    "Archived",
]
"""What keeps S3 from answering. The last three concern one key, and the storage is well: it can
hold no such key; it gives no good answer for this one alone; the object has to be restored first.
"""

_CREDENTIALS = (CredentialRetrievalError, NoCredentialsError, PartialCredentialsError)
# What botocore lets through as it is: of the connection, of a body, of a file that it reads.
_NO_ANSWER = (BotoCoreError, ResponseParserError, HTTPError, OSError)
# Some of these come with status 400 or 404 instead of 403.
_FORBIDDEN = {
    "AccessDenied",
    "ExpiredToken",
    "Forbidden",
    "InvalidAccessKeyId",
    "InvalidToken",
    "SignatureDoesNotMatch",
    "XAdminUserNotFound",  # versitygw
}
_NO_BUCKET = {"InvalidBucketName", "NoSuchBucket"}
_IN_THE_WAY = {
    "DirectoryObjectContainsData",
    "ExistingObjectIsDirectory",
    "ObjectParentIsFile",
    "XMinioObjectExistsAsDirectory",
    "XMinioParentIsObject",
}
_NO_KEY = {
    *_IN_THE_WAY,
    "InvalidObjectName",
    "KeyTooLongError",
    "XMinioInvalidObjectName",
    "XMinioInvalidResourceName",
}
_ELSEWHERE = {"AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}
_TOO_LONG = 414
_REDIRECTS = {301, 302, 307, 308}
_BUSY = {429, 503}


class StoreError(Exception):
    """S3 gave no answer: nothing is known about the object, least of all that it is absent."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason: Reason = reason

    @property
    def of_one_key(self) -> bool:
        """Whether it says nothing of any other key, and nothing of the storage."""
        return self.reason in {"KeyRefused", "KeyUnanswered", "Archived"}


class TooLargeError(Exception):
    """The object is there, and is larger than what is read of its kind.

    `size` is what S3 says of it; None where S3 says nothing, and more than `limit` came.
    """

    def __init__(self, place: str, size: int | None, limit: int) -> None:
        says = f"has {size:,} bytes" if size is not None else "goes on and on"
        super().__init__(f"{place} {says}; at most {limit:,} bytes are read of it")
        self.size = size
        self.limit = limit


@contextmanager
def answering(bucket: str, key: str = "") -> Iterator[None]:
    """Turn every way of not answering into a StoreError that names bucket and key."""
    place = f"s3://{bucket}/{key}"
    try:
        yield
    except ClientError as error:
        raise _refusal(error, bucket, key) from error
    except ParamValidationError as error:
        fault = str(error).splitlines()[-1].partition(" or be an ARN")[0]
        raise StoreError("BucketNotFound", f"{place} cannot exist in S3: {fault}") from error
    except _CREDENTIALS as error:
        raise StoreError("Forbidden", f"no S3 credentials for {place}: {error}") from error
    except _NO_ANSWER as error:
        raise _silence(error, place) from error


def _silence(error: Exception, place: str) -> StoreError:
    """Tell a file of credentials that cannot be read from an S3 that does not answer."""
    if isinstance(error, OSError) and error.filename:  # botocore opens no files but these
        return StoreError(
            "Forbidden",
            f"no S3 credentials for {place}: {error.filename} cannot be read ({error.strerror}); "
            "mount that file, or change the AWS_… variable or setting that names it",
        )
    return StoreError("Unavailable", f"S3 does not answer for {place}: {str(error) or repr(error)}")


def _refusal(error: ClientError, bucket: str, key: str) -> StoreError:
    """Sort an answer that is an error; only its code and message are told, never its headers."""
    code, place = error.response["Error"]["Code"], f"s3://{bucket}/{key}"
    if code in _NO_BUCKET:
        return no_bucket(bucket)
    if code == "InvalidObjectState":
        return _archived(error, place)
    if code in _NO_KEY or status(error) == _TOO_LONG:
        return no_such_place(error, bucket, key)
    if (region := _wanted_region(error)) is not None:
        return StoreError(
            "Unavailable",
            f"s3://{bucket} is in the region {region!r}, and was asked for in another: set the "
            f"value s3.region of the chart, or AWS_REGION, to {region!r} ({said(error)})",
        )
    if status(error) == 403 or code in _FORBIDDEN:
        return StoreError("Forbidden", f"S3 forbids access to {place} ({said(error)})")
    return StoreError("Unavailable", f"S3 gives no good answer for {place} ({said(error)})")


def said(error: ClientError) -> str:
    """Return the words of an answer that is an error."""
    code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
    return f"{code}: {message}" if message and message != code else code


def _archived(error: ClientError, place: str) -> StoreError:
    kept = error.response["Error"].get("StorageClass") or "of an archive"
    return StoreError(
        "Archived",
        f"{place} is archived (storage class {kept}), and cannot be read: restore it, or leave "
        f"{key_name(place)} out of the bucket's lifecycle rule ({said(error)})",
    )


def key_name(place: str) -> str:
    """Return the last part of a place."""
    return place.rpartition("/")[2]


def _wanted_region(error: ClientError) -> str | None:
    """Return the region in which a store says that a bucket is, if that is what it says."""
    code = error.response["Error"]["Code"]
    if code not in _ELSEWHERE and status(error) not in _REDIRECTS:
        return None
    headers = error.response["ResponseMetadata"]["HTTPHeaders"]
    return headers.get("x-amz-bucket-region") or error.response["Error"].get("Region")  # type: ignore[return-value]


def no_bucket(bucket: str) -> StoreError:
    """Return what is said of a bucket that is not there."""
    return StoreError("BucketNotFound", f"the bucket s3://{bucket} does not exist")


def no_such_place(
    error: ClientError, bucket: str, key: str, in_the_way: str | None = None
) -> StoreError:
    """Return what is said of a key that the store cannot hold; an object may be in its way."""
    if in_the_way is not None:
        why = f"s3://{bucket}/{in_the_way} is an object, where a folder would be; take it away"
    elif error.response["Error"]["Code"] in _IN_THE_WAY:
        why = "an object stands where a folder would be, or a folder where it would"
    else:
        why = f"{sizes(key)}; have shorter ids, or another output.prefix"
    told = f"this store can hold no object s3://{bucket}/{key} ({said(error)}): {why}"
    return StoreError("KeyRefused", told)


def no_answer_for_key(error: ClientError, bucket: str, key: str) -> StoreError:
    """Return what is said where the bucket answers, and does not for one key."""
    return StoreError(
        "KeyUnanswered",
        f"S3 gives no good answer for s3://{bucket}/{key} ({said(error)}), though it does for the "
        f"bucket; {sizes(key)}",
    )


def may_be_of_key(error: ClientError) -> bool:
    """Whether it is worth asking the bucket if an answer is a matter of this one key."""
    code, number = error.response["Error"]["Code"], status(error)
    known = {*_NO_BUCKET, *_NO_KEY, *_FORBIDDEN, *_ELSEWHERE, "InvalidObjectState"}
    return code not in known and number not in {403, _TOO_LONG, *_REDIRECTS, *_BUSY}


def status(error: ClientError) -> int:
    """Return the HTTP status of an answer that is an error."""
    return error.response["ResponseMetadata"]["HTTPStatusCode"]
