"""Where the volumes of a job come from: inline, a ConfigMap, S3, or a database."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Protocol, TypeVar

from bec_operator.api.listing import ListingSource
from bec_operator.api.query import SqlSource
from bec_operator.api.volume_source import ConfigMapSource, Item, ManifestSource, VolumeSource
from bec_operator.decide.volumes.volume_list import VolumeList
from bec_operator.decide.volumes.volume_sites import SitedVolume
from bec_operator.sources.lists import MAX_VOLUMES, max_bytes, parse_list
from bec_operator.sources.text_lines import ListError
from bec_operator.sources.unseen import unseen
from bec_ops.contract.s3.store import StoreError, TooLargeError
from bec_ops.contract.volume import Volume, check_volume

T = TypeVar("T")
INVALID_MANIFEST = "InvalidManifest"  # it can be read, and is not good
STORAGE_UNAVAILABLE = "StorageUnavailable"  # S3 gave no answer


class SourceError(Exception):
    """The volumes cannot be read: a reason for a condition, and a sentence."""

    def __init__(self, reason: str, message: str, *, unknown: bool = False) -> None:
        super().__init__(message)
        self.reason = reason
        self.unknown = unknown or reason == STORAGE_UNAVAILABLE
        """Whether the other side gave no answer, so that nothing at all is known of the source."""


class Reader(Protocol):
    """Reads what a source names."""

    async def object(
        self, bucket: str, key: str, limit: int, take: Callable[[Iterable[bytes]], T]
    ) -> T | None:
        """Return what `take` makes, in a thread, of an object of S3; None if there is none.

        Raises StoreError, and TooLargeError for one of more than `limit` bytes.
        """

    async def etag(self, bucket: str, key: str) -> str | None:
        """Return the ETag of an object of S3, or None if there is none; raises StoreError."""

    async def config_map(self, name: str) -> tuple[str, dict[str, bytes]] | None:
        """Return version and entries of a ConfigMap of the Job's namespace, or None."""

    async def folders(self, source: ListingSource, max_volumes: int) -> VolumeList:
        """Return the volumes that S3 shows; raises StoreError and ListError."""

    async def rows(self, source: SqlSource, max_volumes: int) -> VolumeList:
        """Return the volumes that a database has; raises SourceError and ListError."""


async def read_volumes(
    source: VolumeSource, reader: Reader, max_volumes: int = MAX_VOLUMES
) -> VolumeList:
    """Return the volumes in the order of their source; raises SourceError."""
    try:
        if source.manifest is not None:
            return await _manifest(source.manifest, reader, max_volumes)
        if source.config_map is not None:
            data, name = await _config_map(source.config_map, reader)
            return await asyncio.to_thread(parse_list, [data], name, max_volumes)
        if source.s3 is not None:
            return await _folders(source.s3, reader, max_volumes)
        if source.sql is not None:
            return await _rows(source.sql, reader, max_volumes)
        if source.queue is not None:
            return VolumeList.pack(())  # they come one by one
    except ListError as error:
        raise SourceError(INVALID_MANIFEST, str(error)) from error
    assert source.items is not None
    return _inline(source.items)


async def _folders(source: ListingSource, reader: Reader, max_volumes: int) -> VolumeList:
    try:
        volumes = await reader.folders(source, max_volumes)
    except StoreError as error:
        raise _unanswered(error) from error
    if not volumes:
        raise SourceError(
            INVALID_MANIFEST,
            f"spec.volumes.s3.uri: S3 shows no folder that fits {source.uri}; it is asked again, "
            "and the job begins as soon as there are some",
        )
    return volumes


async def _rows(source: SqlSource, reader: Reader, max_volumes: int) -> VolumeList:
    volumes = await reader.rows(source, max_volumes)
    if not volumes:
        raise SourceError(
            INVALID_MANIFEST,
            f"spec.volumes.sql.query: connection {source.connection} has no row for it; it is "
            "asked again, and the job begins as soon as there are some",
        )
    return volumes


def _inline(items: Sequence[Item]) -> VolumeList:
    """Return the volumes that stand in the Job itself; raises SourceError as a list does."""
    places: dict[Volume, int] = {}  # its keys have their sites
    for place, item in enumerate(items):
        volume = SitedVolume.at(Volume(item.w_id, item.i_id, item.i_version), item.site or "")
        first = places.setdefault(volume, place)
        said = _fault(volume)
        if first != place:
            said = f"the volume {volume} is items[{first}] already; write each volume once"
        if said is not None:
            raise SourceError(INVALID_MANIFEST, f"spec.volumes.items[{place}]: {said}")
    return VolumeList.of(list(places))


def _fault(volume: Volume) -> str | None:
    try:
        check_volume(volume)
    except ValueError as error:
        return str(error)
    return unseen(volume)


async def read_mark(source: VolumeSource, reader: Reader) -> str:
    """Return what differs as soon as the source does; raises SourceError.

    It is empty for inline volumes, where the generation of their Job tells, and for a database
    and folders in S3, which have to be asked for.
    """
    if source.manifest is not None:
        etag = await _of_object(source.manifest, reader.etag)
        return f"{source.manifest.uri} {etag}"
    if source.config_map is not None:
        version, _ = await _entries(source.config_map, reader)
        return f"{source.config_map.name}/{source.config_map.key} {version}"
    return ""


async def _manifest(source: ManifestSource, reader: Reader, max_volumes: int) -> VolumeList:
    """Read a list as it comes, so that it is never there as a whole."""

    async def ask(bucket: str, key: str) -> VolumeList | None:
        take = partial(parse_list, name=source.uri, max_volumes=max_volumes)
        return await reader.object(bucket, key, max_bytes(max_volumes), take)

    try:
        return await _of_object(source, ask)
    except TooLargeError as error:
        raise SourceError(
            INVALID_MANIFEST,
            f"spec.volumes.manifest.uri: {error}; is it a list of volumes? split one that is into "
            "several jobs",
        ) from error


async def _of_object(source: ManifestSource, ask: Callable[[str, str], Awaitable[T | None]]) -> T:
    """Return what S3 says to a question about the list."""
    bucket, _, key = source.uri.removeprefix("s3://").partition("/")
    try:
        answer = await ask(bucket, key)
    except StoreError as error:
        raise _unanswered(error) from error
    if answer is None:
        raise SourceError(
            "ManifestNotFound",
            f"spec.volumes.manifest.uri: there is no object {source.uri}; put the list there",
        )
    return answer


def _unanswered(error: StoreError) -> SourceError:
    reasons = {"Forbidden": "ManifestForbidden", "BucketNotFound": "ManifestNotFound"}
    return SourceError(reasons.get(error.reason, STORAGE_UNAVAILABLE), str(error))


async def _config_map(source: ConfigMapSource, reader: Reader) -> tuple[bytes, str]:
    _, entries = await _entries(source, reader)
    if source.key not in entries:
        known = ", ".join(sorted(entries)) or "none"
        raise SourceError(
            "ConfigMapNotFound",
            f"spec.volumes.configMap.key: ConfigMap {source.name} has no key {source.key} "
            f"(it has: {known})",
        )
    return entries[source.key], f"{source.name}/{source.key}"


async def _entries(source: ConfigMapSource, reader: Reader) -> tuple[str, dict[str, bytes]]:
    found = await reader.config_map(source.name)
    if found is None:
        raise SourceError(
            "ConfigMapNotFound",
            f"spec.volumes.configMap.name: there is no ConfigMap {source.name} in this namespace",
        )
    return found
