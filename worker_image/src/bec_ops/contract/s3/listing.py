"""What stands in a bucket, page after page, in a way in which all stores agree."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from botocore.compat import unquote_str
from botocore.exceptions import ClientError
from botocore.handlers import set_list_objects_encoding_type_url

from bec_ops.contract.s3.errors import StoreError

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_s3.type_defs import ListObjectsV2OutputTypeDef as Page

_UNREADABLE = "500"  # without a word: what boto3 makes of an answer that is no XML


def take_keys_as_they_are(client: "S3Client") -> None:
    """Keep boto3 from asking for encoded keys: one store says that it encodes, and does not."""
    client.meta.events.unregister(
        "before-parameter-build.s3.ListObjectsV2", set_list_objects_encoding_type_url
    )


def pages(client: "S3Client", bucket: str, start_after: str = "", **asked: Any) -> Iterator["Page"]:
    """Yield the pages of a list.

    `start_after` goes with the first request alone: beside a token some stores refuse it, which is
    why boto3's own paginator is of no use.
    """
    request = {"Bucket": bucket, **asked}
    follows = {"StartAfter": start_after} if start_after else {}
    while True:
        page = _page(client, {**request, **follows})
        yield page
        if not page.get("IsTruncated"):
            return
        before, token = follows.get("ContinuationToken"), page.get("NextContinuationToken")
        if not token or token == before:
            raise StoreError(
                "Unavailable",
                f"S3 does not say where its list of s3://{bucket}/{asked.get('Prefix', '')} goes "
                f"on (after {token!r})",
            )
        follows = {"ContinuationToken": token}


def _page(client: "S3Client", request: dict[str, Any]) -> "Page":
    """Return a page; where a key has characters that XML cannot hold, have it encoded."""
    try:
        return client.list_objects_v2(**request)
    except ClientError as error:
        if error.response["Error"]["Code"] != _UNREADABLE:
            raise
    page = client.list_objects_v2(**request, EncodingType="url")
    if page.get("EncodingType") == "url":
        for found in page.get("Contents", ()):
            found["Key"] = unquote_str(found["Key"])
        for folder in page.get("CommonPrefixes", ()):
            folder["Prefix"] = unquote_str(folder["Prefix"])
    return page


def keys(client: "S3Client", bucket: str, prefix: str, **asked: Any) -> Iterator[str]:
    """Yield the keys under a prefix, in the store's order."""
    for page in pages(client, bucket, Prefix=prefix, **asked):
        for found in page.get("Contents", ()):
            yield found["Key"]


def folders(
    client: "S3Client", bucket: str, prefix: str, first: str = "", **asked: Any
) -> Iterator[str]:
    """Yield the folders right under a prefix; a folder may come twice.

    Where an object has a folder's name one store hides the folder, so objects are taken for such.
    """
    asked = {**asked, "Prefix": prefix, "Delimiter": "/"}
    for page in pages(client, bucket, first[:-1], **asked):
        for folder in page.get("CommonPrefixes", ()):
            yield folder["Prefix"]
        for found in page.get("Contents", ()):
            if not found["Key"].endswith("/"):  # the prefix itself, made as an object
                yield f"{found['Key']}/"
