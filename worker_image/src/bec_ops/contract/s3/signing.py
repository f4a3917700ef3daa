"""Signs requests to S3 for those who have no keys."""

from functools import cache
from typing import Any, NamedTuple

from bec_ops.contract.s3.client import make_client
from bec_ops.contract.s3.settings import StoreSettings

SIGNED_SECONDS = 900
"""How long a signed address is good, at most."""
_SHORTER = (SIGNED_SECONDS, 600, 300, 120, 60)

_METHODS = {
    "GetObject": "get_object",
    "HeadObject": "head_object",
    "ListObjectsV2": "list_objects_v2",
    "PutObject": "put_object",
    "CreateMultipartUpload": "create_multipart_upload",
    "UploadPart": "upload_part",
    "CompleteMultipartUpload": "complete_multipart_upload",
    "AbortMultipartUpload": "abort_multipart_upload",
}
_ENCRYPTED = {"PutObject", "CreateMultipartUpload"}


class SignedAddress(NamedTuple):
    """An address, the headers that have to go with it, and the seconds for which it is good."""

    url: str
    headers: dict[str, str]
    expires: int


class Signing:
    """Signs by the keys that a store has, with what its settings demand. Nothing is asked of S3."""

    def __init__(
        self, endpoint_url: str | None, region: str | None, settings: StoreSettings
    ) -> None:
        self._settings = settings
        # boto3 signs addresses by an older way, which knows no headers, unless it is told.
        self._client = cache(lambda: make_client(endpoint_url, region, 1, None, "s3v4"))

    def sign(self, operation: str, bucket: str, arguments: dict[str, Any]) -> SignedAddress:
        """Sign a request; `arguments` are those of boto3. Raises what botocore raises."""
        client: Any = self._client()
        extra = self._settings.writing() if operation in _ENCRYPTED else self._settings.asking()
        given = {"Bucket": bucket, **arguments, **extra}
        expires = _lasting(client)
        url = client.generate_presigned_url(_METHODS[operation], given, expires)
        shape = client.meta.service_model.operation_model(operation).input_shape
        headers = {
            shape.members[name].serialization["name"]: str(value)
            for name, value in given.items()
            if shape.members[name].serialization.get("location") == "header"
        }
        return SignedAddress(url, headers, expires)


def _lasting(client: Any) -> int:
    """Return for how many seconds an address can be good: none outlives the keys behind it."""
    keys = client._get_credentials()  # noqa: SLF001 - the client's own: others may end earlier
    is_short = getattr(keys, "refresh_needed", None)  # of keys that end
    if is_short is None:
        return SIGNED_SECONDS
    keys.get_frozen_credentials()  # renews them, where that is due
    return next((each for each in _SHORTER if not is_short(each)), _SHORTER[-1])
