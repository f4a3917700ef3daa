"""Finds the versions of volumes that came without one: by ETags in S3, or in a database."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from bec_operator.act.connections.sql import read_rows
from bec_operator.act.ground.connections import ConnectionTrouble
from bec_operator.act.ground.context import Context
from bec_operator.act.ground.storage import storage_fact
from bec_operator.api.versions import EtagVersions, SqlVersions
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.memory.version_findings import note_no_version, note_version
from bec_operator.decide.sight.seen import Fact
from bec_operator.decide.volumes.actions import FindVersions
from bec_operator.decide.volumes.ledger import Ledger
from bec_operator.sources.query_rows import versions_of_rows
from bec_operator.sources.text_lines import ListError
from bec_ops.contract.location import OutputTemplate
from bec_ops.contract.s3.store import Store, StoreError
from bec_ops.contract.volume import Volume

MEND = "have it there, and bump retryFailedAt"
ASKED_AT_ONCE = 2048  # volumes of one query
_FOLDER_OF_GROUP = re.compile(r"I(\d{4})")
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(slots=True)
class _Finding:
    """What becomes of one look for versions: it is noted bit by bit, so some begin soon."""

    memory: Memory
    ledger: Ledger | None
    volumes: Mapping[int, Volume]
    template: OutputTemplate
    generation: int
    trouble: Fact | None = None  # why some could not be found out

    def found(self, index: int, version: str) -> None:
        """Take in a version, if a place for the outputs can be made of it."""
        try:
            volume = self.volumes[index]._replace(i_version=version)
            self.template.prefix(self.memory.job.job_id, volume)
        except ValueError as error:
            self.missing(index, f"its version is of no use: {error}")
            return
        if self._counts:
            note_version(self.memory, index, version)

    def missing(self, index: int, why: str) -> None:
        """Take in that there is none, for good."""
        if self._counts:
            note_no_version(self.memory, index, why)

    @property
    def _counts(self) -> bool:
        """Whether the volumes are still those that were meant, and so is the way."""
        memory = self.memory
        return memory.ledger is self.ledger and memory.job.generation == self.generation


async def find_versions(ctx: Context, memory: Memory, action: FindVersions) -> None:
    """Find the versions of the volumes that `action` names."""
    spec, ledger = memory.job.spec, memory.ledger
    if spec is None or spec.volumes.versions is None or ledger is None:
        return
    volumes = {index: memory.books.volumes[index] for index in action.indices}
    way, template = spec.volumes.versions, OutputTemplate.parse(memory.output.prefix)
    finding = _Finding(memory, ledger, volumes, template, memory.job.generation)
    if way.etag is not None:
        await _by_etag(ctx, way.etag, finding)
    else:
        assert way.sql is not None
        await _by_query(ctx, way.sql, finding)
    if memory.ledger is ledger:
        last = 0 if action.over else action.indices[-1] + 1
        memory.books.versions.note_looked(finding.trouble, last)


# --- by the ETag of an object


async def _by_etag(ctx: Context, way: EtagVersions, finding: _Finding) -> None:
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


async def _by_query(ctx: Context, way: SqlVersions, finding: _Finding) -> None:
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
