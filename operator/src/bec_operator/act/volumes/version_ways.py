"""What tells the version of a volume: the ETag of an object in S3, or a row of a database."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Protocol

from bec_operator.act.connections.sql import read_rows
from bec_operator.act.ground.connections import ConnectionTrouble
from bec_operator.act.ground.context import Context
from bec_operator.act.ground.storage import storage_fact
from bec_operator.api.versions import EtagVersions, SqlVersions, Versions
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.seen import Fact
from bec_operator.sources.query_rows import versions_of_rows
from bec_operator.sources.text_lines import ListError
from bec_ops.contract.s3.store import Store, StoreError
from bec_ops.contract.volume import Volume

MEND = "have it there, and bump retryFailedAt"
ASKED_AT_ONCE = 2048  # volumes of one query
_FOLDER_OF_GROUP = re.compile(r"I(\d{4})")
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


class Finding(Protocol):
    """Who asks for versions, of which volumes, and takes in what comes of it bit by bit."""

    memory: Memory
    volumes: Mapping[int, Volume]
    trouble: Fact | None  # why some could not be found out

    def found(self, index: int, version: str) -> None:
        """Take in a version."""

    def missing(self, index: int, why: str) -> None:
        """Take in that there is none, and why."""


async def ask_for_versions(ctx: Context, way: Versions, finding: Finding) -> None:
    """Ask for the versions of volumes in the way that their Job says."""
    if way.etag is not None:
        await _by_etag(ctx, way.etag, finding)
    else:
        assert way.sql is not None
        await _by_query(ctx, way.sql, finding)


# --- by the ETag of an object


async def _by_etag(ctx: Context, way: EtagVersions, finding: Finding) -> None:
    """Ask S3 for an object of each volume."""
    bucket, _, template = way.uri.removeprefix("s3://").partition("/")
    length = way.length

    def look(store: Store, index: int) -> str | None:
        return store.etag(bucket, object_key(template, finding.volumes[index]))

    def note(index: int, etag: str | StoreError | None) -> None:
        place = f"s3://{bucket}/{object_key(template, finding.volumes[index])}"
        if isinstance(etag, StoreError):
            if etag.reason == "KeyRefused":
                finding.missing(index, str(etag))
            else:
                finding.trouble = storage_fact(etag, ctx.clock.now())
        elif etag is None:
            finding.missing(index, f"there is no object {place}; {MEND}")
        elif (begin := re.match(rf"[0-9a-fA-F]{{{length}}}", etag)) is None:
            finding.missing(
                index,
                f"the ETag of {place} does not begin with {length} hexadecimal digits, so it gives "
                "no version; use volumes.versions.sql, or write the versions into the list",
            )
        else:
            finding.found(index, begin[0])

    await ctx.storage.in_bulk("head", list(finding.volumes), look, note)


def object_key(template: str, volume: Volume) -> str:
    """Return the key of the object that stands for a volume."""
    group = _FOLDER_OF_GROUP.fullmatch(volume.i_id)
    values = {
        "w_id": volume.w_id,
        "i_id": volume.i_id,
        "w_md5": hashlib.md5(volume.w_id.encode(), usedforsecurity=False).hexdigest()[:2],
        "i_folder": group[1] if group is not None else volume.i_id,
    }
    return _PLACEHOLDER.sub(lambda name: values[name[1]], template)


# --- by a query


async def _by_query(ctx: Context, way: SqlVersions, finding: Finding) -> None:
    """Ask a database, for so many at once as it may be asked for."""
    name = f"the answer of connection {way.connection}"
    take = partial(versions_of_rows, name=name, max_rows=2 * ASKED_AT_ONCE)
    seconds = ctx.settings.query_seconds
    try:
        connection = ctx.connections.find(way.connection, "sql", finding.memory.job.namespace)
        for indices in _in_turn(list(finding.volumes)):
            pairs = [finding.volumes[index][:2] for index in indices]
            ask = partial(
                read_rows, query=way.query, values={"volumes": pairs}, take=take, seconds=seconds
            )
            answer = await ctx.connections.call(connection, ask)
            for index, pair in zip(indices, pairs, strict=True):
                if version := answer.get(pair):
                    finding.found(index, version)
                else:
                    said = f"the query of volumes.versions.sql gives no version for it; {MEND}"
                    finding.missing(index, said)
    except ConnectionTrouble as error:
        said = f"volumes.versions.sql: {error}"
        finding.trouble = Fact(ctx.clock.now(), error.reason, said)
    except ListError as error:
        said = f"volumes.versions.sql: {error}"
        finding.trouble = Fact(ctx.clock.now(), "InvalidVersions", said)


def _in_turn(indices: Sequence[int]) -> Iterator[Sequence[int]]:
    return (indices[at : at + ASKED_AT_ONCE] for at in range(0, len(indices), ASKED_AT_ONCE))
