"""ETags of many objects, at a third of the processor time that the client's own HEAD takes.

A request is signed and sent by botocore's own parts, without all that goes before and after it in a
client. What is answered with anything but a plain yes is asked again by the client, which knows of
retries, of other regions, and of what stores mean.
"""

import os
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from boto3.session import Session
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

from bec_ops.contract.s3.settings import StoreSettings

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_HEADERS = {
    "ExpectedBucketOwner": "x-amz-expected-bucket-owner",
    "RequestPayer": "x-amz-request-payer",
}
_CONNECT, _READ = 5, 30  # seconds
_PLACES = 16  # buckets to which connections are kept


class Heads:
    """Asks one store, from many threads."""

    def __init__(self, client: "S3Client", settings: StoreSettings, connections: int) -> None:
        self._client = client
        self._headers = {_HEADERS[name]: value for name, value in settings.asking().items()}
        self._connections = connections
        self._region = client.meta.region_name
        self._places: dict[str, tuple[str, URLLib3Session]] = {}

    @cached_property
    def _credentials(self) -> Any:
        """Who asks; None where nobody is named. Found as the client finds it, when it is needed."""
        return Session().get_credentials()

    def etag(self, bucket: str, key: str, ask: Callable[[str, str], str | None]) -> str | None:
        """Return the ETag of an object; whatever is not plain is for `ask` to find out."""
        try:
            answer = self._send(bucket, key)
        except BotoCoreError:
            answer = None
        if answer is None:
            return ask(bucket, key)
        etag = answer.headers.get("ETag", "") if answer.status_code == 200 else ""
        return str(etag).strip('"') if etag else ask(bucket, key)

    def _send(self, bucket: str, key: str) -> Any:
        """Return the answer to a HEAD; None where nobody is named to ask. Raises BotoCoreError."""
        if self._credentials is None:
            return None
        url, http = self._place(bucket)
        request = AWSRequest("HEAD", url + quote(key, safe="/~"), dict(self._headers))
        frozen = self._credentials.get_frozen_credentials()
        S3SigV4Auth(frozen, "s3", self._region).add_auth(request)
        return http.send(request.prepare())

    def _place(self, bucket: str) -> tuple[str, URLLib3Session]:
        """Return where the objects of a bucket are, and the connections to there."""
        if bucket not in self._places:
            if len(self._places) >= _PLACES:
                self._places.clear()
            signed = self._client.generate_presigned_url(
                "head_object", Params={"Bucket": bucket, "Key": "key"}
            )
            url = signed.partition("?")[0].removesuffix("key")
            how: dict[str, Any] = {  # of which the stubs know less than it takes
                "verify": os.environ.get("AWS_CA_BUNDLE") or True,
                "proxies": get_environ_proxies(url),
                "timeout": (_CONNECT, _READ),
                "max_pool_connections": self._connections,
            }
            http = URLLib3Session(**how)
            self._places[bucket] = url, http
        return self._places[bucket]
