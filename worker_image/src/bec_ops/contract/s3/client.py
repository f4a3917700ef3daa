"""The client of S3 that operator and workers use, with what it has to know of stores and buckets.

All of it hangs on events of botocore, so it holds for each part of an upload, too.
"""

import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import HTTPClientError
from botocore.utils import calculate_md5

from bec_ops.contract.s3.keys import has_long_part
from bec_ops.contract.s3.listing import take_keys_as_they_are

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_WRITES = ("PutObject", "UploadPart")
_CHECKSUMS = ("content-md5", "contentmd5", "x-amz-checksum")  # in words that demand one
_TRANSIENT = {429, 500, 502, 503, 504}
_TRANSIENT_CODES = {"RequestTimeout", "SlowDown", "Throttling", "TooManyRequests"}
_USUAL_TRIES = 3  # of boto3, within seconds
_FIRST, _LONGEST = 0.5, 15.0  # seconds between two tries
_LOOK = 0.25  # seconds between two looks whether to stop


@dataclass(frozen=True)
class Patience:
    """How many seconds a request is tried again while S3 does not answer, or is too busy to.

    It ends as soon as `stopping` says that nobody waits for the outcome any more.
    """

    seconds: float
    stopping: Callable[[], bool] = lambda: False

    def tries_again(
        self,
        response: Any,
        attempts: int,
        caught_exception: Exception | None,
        request_dict: dict[str, Any],
        **_: Any,
    ) -> float | None:
        """Wait, then say that a request is worth another try; None if it is not."""
        if not _is_transient(response, caught_exception):
            return None
        if attempts >= _USUAL_TRIES and _may_be_for_ever(response, request_dict):
            return None
        now = time.monotonic()
        until = request_dict["context"].setdefault("bec_until", now + self.seconds)
        longest = min(_FIRST * 2.0 ** min(attempts - 1, 10), _LONGEST)
        again = now + longest * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        if again > until:
            return None
        while (left := again - time.monotonic()) > 0:
            if self.stopping():
                return None
            time.sleep(min(left, _LOOK))
        return 0.0


def _is_transient(response: Any, error: Exception | None) -> bool:
    if response is None:
        return isinstance(error, HTTPClientError)
    answer, parsed = response
    code = parsed.get("Error", {}).get("Code")
    return answer.status_code in _TRANSIENT or code in _TRANSIENT_CODES


def _may_be_for_ever(response: Any, request: dict[str, Any]) -> bool:
    """Whether it is what a store over a file system says of a key, however often it is asked."""
    if response is None or response[0].status_code != 500:
        return False
    return has_long_part(unquote(request["url_path"]))


class Checksums:
    """Sends Content-MD5 to buckets that demand it, as those with Object Lock do.

    They say so once. Newer checksums are not known to all such stores.
    """

    def __init__(self) -> None:
        self._demanded: set[str] = set()

    def register(self, client: "S3Client") -> None:
        """Have it called for each write."""
        for operation in _WRITES:
            events: Any = client.meta.events  # of whose handlers' answers the stubs know nothing
            events.register(f"before-call.s3.{operation}", self._add)
            events.register(f"needs-retry.s3.{operation}", self._note)

    def _add(self, params: dict[str, Any], **_: Any) -> None:
        if _bucket(params) in self._demanded:
            params["headers"]["Content-MD5"] = calculate_md5(params["body"])

    def _note(self, response: Any, request_dict: dict[str, Any], **_: Any) -> float | None:
        """Send it again with a checksum, if that is what was asked for and was not sent."""
        if response is None or "Content-MD5" in request_dict["headers"]:
            return None
        answer, parsed = response
        words = str(parsed.get("Error", {})).lower()
        if answer.status_code != 400 or not any(word in words for word in _CHECKSUMS):
            return None
        self._demanded.add(_bucket(request_dict))
        request_dict["body"].seek(0)
        self._add(request_dict)
        return 0.0


def _bucket(request: dict[str, Any]) -> str:
    return str(request["context"]["input_params"]["Bucket"])


def make_client(
    endpoint_url: str | None,
    region: str | None,
    connections: int,
    patience: Patience | None,
    signature: Any = None,
) -> "S3Client":
    """Make a client; what is not given comes from the usual AWS variables.

    `signature` is botocore's word for how requests are signed, UNSIGNED for not at all. Without
    `patience` a request is tried thrice, within seconds.
    """
    endpoint_url = endpoint_url or os.environ.get("AWS_ENDPOINT_URL_S3")
    config = Config(
        signature_version=signature,
        connect_timeout=5,
        read_timeout=30,
        retries={"mode": "standard", "total_max_attempts": 1 if patience else _USUAL_TRIES},
        max_pool_connections=connections,
        # Stores other than AWS rarely have a host name for each bucket, and not all of them
        # know the newer checksums.
        s3={"addressing_style": "path" if endpoint_url else "auto"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    client: S3Client = Session().client(
        "s3",
        endpoint_url=endpoint_url,
        # boto3 itself only knows AWS_DEFAULT_REGION.
        region_name=region or os.environ.get("AWS_REGION") or None,
        config=config,
    )
    take_keys_as_they_are(client)
    Checksums().register(client)
    if patience is not None:
        events: Any = client.meta.events
        events.register("needs-retry.s3", patience.tries_again)
    return client
