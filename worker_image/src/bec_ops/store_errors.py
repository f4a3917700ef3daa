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

Reason = Literal["Unavailable", "Forbidden", "BucketNotFound"]

_CREDENTIALS = (CredentialRetrievalError, NoCredentialsError, PartialCredentialsError)
# What botocore lets through as it is: of the connection, of a body, of a file that it reads.
_NO_ANSWER = (BotoCoreError, ResponseParserError, HTTPError, OSError)
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
        raise _refusal(error, bucket, place) from error
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


def _refusal(error: ClientError, bucket: str, place: str) -> StoreError:
    """Sort an answer that is an error; only its code and message are told, never its headers."""
    code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
    said = f"{code}: {message}" if message and message != code else code
    if code in {"NoSuchBucket", "InvalidBucketName"}:
        return no_bucket(bucket)
    if status(error) == 403 or code in _FORBIDDEN:
        return StoreError("Forbidden", f"S3 forbids access to {place} ({said})")
    return StoreError("Unavailable", f"S3 gives no good answer for {place} ({said})")


def no_bucket(bucket: str) -> StoreError:
    """Return what is said of a bucket that is not there."""
    return StoreError("BucketNotFound", f"the bucket s3://{bucket} does not exist")


def status(error: ClientError) -> int:
    """Return the HTTP status of an answer that is an error."""
    return error.response["ResponseMetadata"]["HTTPStatusCode"]
