"""Volumes whose outputs a store cannot hold: told when their list is read, and not by workers.

A store that keeps keys as files has 255 bytes for what stands between two slashes, and a letter
outside ASCII takes six to twelve. Others take all that S3 allows: only the store knows.
"""

import asyncio
from contextlib import suppress
from functools import partial

from bec_operator.act.ground.context import Context
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.volumes.volume_list import Prefixes
from bec_operator.sources.volumes import INVALID_MANIFEST, SourceError
from bec_ops.contract.marker import MARKER_NAME
from bec_ops.contract.s3.keys import LONGEST_PART, longest_part
from bec_ops.contract.s3.store import Store, StoreError, TooLargeError


async def check_names(ctx: Context, memory: Memory, prefixes: Prefixes, among: str) -> None:
    """Ask S3 about the volume with the longest name, if it is one that some stores refuse.

    `among` says which volumes these are. Raises SourceError where this store refuses it, and
    StoreError where S3 does not tell.
    """
    long = await asyncio.to_thread(prefixes.long_parts, LONGEST_PART)
    if long is None:
        return
    prefix, bucket = prefixes[long.longest], memory.output.bucket
    keys = (prefix + MARKER_NAME, f"{longest_part(prefix)}/{MARKER_NAME}")
    refusal = await ctx.storage.call("get", partial(_refusal, bucket=bucket, keys=keys))
    if refusal is not None:
        more = f", the longest of {long.volumes:,} that have more than {LONGEST_PART}"
        raise SourceError(
            INVALID_MANIFEST,
            f"volume {prefixes.volumes[long.longest]}, number {long.longest + 1:,} of {among}: its "
            f"outputs would be in a folder whose name has {long.size:,} bytes"
            f"{more if long.volumes > 1 else ''}, and {refusal}",
        ) from refusal


def _refusal(store: Store, bucket: str, keys: tuple[str, str]) -> StoreError | None:
    """Return why a store can hold no such key, if it says so.

    Asked for a key in a folder that is not there yet, some say that there is no such key before
    they look at its length: the second key is right in the bucket, which operators need not be
    allowed to read.
    """
    for key in keys:
        try:
            with suppress(TooLargeError):  # it is there: a good answer
                store.get(bucket, key, limit=0)
        except StoreError as error:
            if error.reason == "KeyRefused":
                return error
            if not error.of_one_key and (key == keys[0] or error.reason != "Forbidden"):
                raise
    return None
