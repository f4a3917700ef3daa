"""Where the volumes of a job come from: inline, a ConfigMap, or a list in S3."""

from typing import Protocol

from bec_operator.api.job import ConfigMapSource, ManifestSource, VolumeSource
from bec_operator.sources.lists import ListError, parse_list
from bec_ops.store import StoreError
from bec_ops.volume import Volume


class SourceError(Exception):
    """The volumes cannot be read: a reason for a condition, and a sentence."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Reader(Protocol):
    """Reads what a source names."""

    async def object(self, bucket: str, key: str) -> bytes | None:
        """Return an object of S3, or None if there is none; raises StoreError."""

    async def config_map(self, name: str) -> dict[str, bytes] | None:
        """Return the entries of a ConfigMap of the Job's namespace, or None if there is none."""


async def read_volumes(source: VolumeSource, reader: Reader) -> list[Volume]:
    """Return the volumes in the order of their source; raises SourceError."""
    if source.items is not None:
        return [Volume(item.w_id, item.i_id, item.i_version) for item in source.items]
    if source.manifest is not None:
        data, name = await _manifest(source.manifest, reader)
    else:
        assert source.config_map is not None
        data, name = await _config_map(source.config_map, reader)
    try:
        return parse_list(data, name)
    except ListError as error:
        raise SourceError("InvalidManifest", str(error)) from error


async def _manifest(source: ManifestSource, reader: Reader) -> tuple[bytes, str]:
    bucket, _, key = source.uri.removeprefix("s3://").partition("/")
    try:
        data = await reader.object(bucket, key)
    except StoreError as error:
        reasons = {"Forbidden": "ManifestForbidden", "BucketNotFound": "ManifestNotFound"}
        raise SourceError(reasons.get(error.reason, "StorageUnavailable"), str(error)) from error
    if data is None:
        raise SourceError(
            "ManifestNotFound",
            f"spec.volumes.manifest.uri: there is no object {source.uri}; put the list there",
        )
    return data, source.uri


async def _config_map(source: ConfigMapSource, reader: Reader) -> tuple[bytes, str]:
    entries = await reader.config_map(source.name)
    if entries is None:
        raise SourceError(
            "ConfigMapNotFound",
            f"spec.volumes.configMap.name: there is no ConfigMap {source.name} in this namespace",
        )
    if source.key not in entries:
        known = ", ".join(sorted(entries)) or "none"
        raise SourceError(
            "ConfigMapNotFound",
            f"spec.volumes.configMap.key: ConfigMap {source.name} has no key {source.key} "
            f"(it has: {known})",
        )
    return entries[source.key], f"{source.name}/{source.key}"
