"""Volumes whose outputs a store cannot hold: told when their list is read, and not by workers.

A store that keeps keys as files has 255 bytes for what stands between two slashes, and a letter
outside ASCII takes six to twelve. Others take all that S3 allows: only the store knows.
"""

import asyncio
from contextlib import suppress

from bec_operator.act.context import Context
from bec_operator.decide.memory import Memory
from bec_operator.decide.volume_list import Prefixes
from bec_operator.sources.volumes import INVALID_MANIFEST, SourceError
from bec_ops.marker import MARKER_NAME
from bec_ops.store import StoreError, TooLargeError
from bec_ops.store_keys import LONGEST_PART


async def check_names(ctx: Context, memory: Memory, prefixes: Prefixes, among: str) -> None:
    """Ask S3 for the marker of the volume with the longest name, if some stores refuse such names.

    `among` says which volumes these are. Raises SourceError where this store refuses it, and
    StoreError where S3 does not tell.
    """
    long = await asyncio.to_thread(prefixes.long_parts, LONGEST_PART)
    if long is None:
        return
    bucket, key = memory.output.bucket, prefixes[long.longest] + MARKER_NAME
    try:
        with suppress(TooLargeError):  # it is there: a good answer
            await ctx.storage.call("get", lambda store: store.get(bucket, key, limit=0))
    except StoreError as error:
        if not error.of_one_key:
            raise
        if error.reason != "KeyRefused":
            return  # it may be there, and cannot be read now
        more = f", the longest of {long.volumes:,} that have more than {LONGEST_PART}"
        raise SourceError(
            INVALID_MANIFEST,
            f"volume {prefixes.volumes[long.longest]}, number {long.longest + 1:,} of {among}: its "
            f"outputs would be in a folder whose name has {long.size:,} bytes"
            f"{more if long.volumes > 1 else ''}, and {error}",
        ) from error
