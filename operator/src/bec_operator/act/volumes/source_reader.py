"""Reads what people name as the source of volumes: for `sources`, which does no I/O itself."""

import asyncio
import base64
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeVar

from bec_operator.act.connections.sql import read_rows
from bec_operator.act.ground.api_server import ApiError, core
from bec_operator.act.ground.connections import ConnectionTrouble
from bec_operator.act.ground.context import Context
from bec_operator.act.volumes.walk import find_folders
from bec_operator.api.listing import ListingSource
from bec_operator.api.query import SqlSource
from bec_operator.decide.volumes.volume_list import VolumeList
from bec_operator.sources.folder_template import FolderTemplate
from bec_operator.sources.listed_folders import volumes_of_folders
from bec_operator.sources.query_rows import volumes_of_rows
from bec_operator.sources.volumes import SourceError
from bec_ops.contract.s3.store import Store

T = TypeVar("T")


class SourceReader:
    """Reads for a Job: S3 with the operator's rights, ConfigMaps of the Job's namespace."""

    def __init__(self, ctx: Context, namespace: str) -> None:
        self._ctx = ctx
        self._namespace = namespace

    async def object(
        self, bucket: str, key: str, limit: int, take: Callable[[Iterable[bytes]], T]
    ) -> T | None:
        """Return what `take` makes of an object of S3, as it comes."""

        def read(store: Store) -> T | None:
            with store.open(bucket, key, limit) as found:
                return take(found.chunks) if found is not None else None

        return await self._ctx.storage.call("get", read)

    async def etag(self, bucket: str, key: str) -> str | None:
        """Return the ETag of an object of S3."""
        found = await self._ctx.storage.call("head", lambda store: store.head(bucket, key))
        return found.etag if found is not None else None

    async def config_map(self, name: str) -> tuple[str, dict[str, bytes]] | None:
        """Return version and entries of a ConfigMap."""
        found = await get_config_map(self._ctx, self._namespace, name)
        if found is None:
            return None
        text = {key: value.encode() for key, value in (found.get("data") or {}).items()}
        binary = {k: base64.b64decode(v) for k, v in (found.get("binaryData") or {}).items()}
        return found["metadata"]["resourceVersion"], {**text, **binary}

    async def folders(self, source: ListingSource, max_volumes: int) -> VolumeList:
        """Return the volumes that S3 shows; raises StoreError and ListError."""
        template = FolderTemplate.parse(source.uri)
        folders = await find_folders(self._ctx.storage, template, max_volumes)
        return await asyncio.to_thread(volumes_of_folders, template, lambda: folders)

    async def rows(self, source: SqlSource, max_volumes: int) -> VolumeList:
        """Return the volumes that a database has; raises SourceError and ListError."""
        ctx, name = self._ctx, f"the answer of connection {source.connection}"
        take = partial(volumes_of_rows, name=name, max_volumes=max_volumes)
        seconds = ctx.settings.query_seconds
        try:
            connection = ctx.connections.find(source.connection, "sql", self._namespace)
            return await ctx.connections.call(
                connection,
                lambda it: read_rows(it, source.query, source.parameters, take, seconds=seconds),
            )
        except ConnectionTrouble as error:
            said = f"spec.volumes.sql: {error}"
            raise SourceError(error.reason, said, unknown=error.unknown) from error


async def get_config_map(ctx: Context, namespace: str, name: str) -> dict[str, Any] | None:
    """Return a ConfigMap, or None if there is none; raises ApiError."""
    try:
        return await ctx.api.request("GET", core(namespace, "configmaps", name))
    except ApiError as error:
        if error.code == 404:
            return None
        raise
