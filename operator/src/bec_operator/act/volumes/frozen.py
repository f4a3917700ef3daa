"""The frozen manifest as it stands in S3: JSON Lines, gzipped, under the SHA-256 of the lines.

Whoever may write to the bucket may put anything there, so what is read is bounded by what the
ledger says, and it is hashed before it is looked into.
"""

import asyncio
import hashlib
import json
import zlib
from collections.abc import Iterator, Sequence
from itertools import islice

from bec_operator.act.ground.context import Context
from bec_operator.api.names import ledger_name
from bec_operator.api.sites import check_site
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.volumes.volume_list import VolumeList, row_of
from bec_operator.decide.volumes.volume_sites import SiteNotes, site_of
from bec_operator.sources.text_lines import plain, text_lines
from bec_operator.sources.volumes import INVALID_MANIFEST, SourceError
from bec_ops.contract.location import reports_prefix
from bec_ops.contract.s3.store import TooLargeError
from bec_ops.contract.volume import Volume, check_volume

_MAX_ROW = 1700  # bytes: three ids of 128 characters of four bytes, a site, what is in between
_AT_ONCE = 1000  # volumes that are written in one go
_CHUNK = 256 * 1024
_GZIP = 31  # wbits of zlib
_PACKED_BASE = 1024 * 1024
_PACKED_ROW = 128  # bytes


def _packed_limit(total: int) -> int:
    """Return how large so many volumes may be when packed; a row is some ten bytes as a rule."""
    return _PACKED_BASE + total * _PACKED_ROW


def _key(memory: Memory, digest: str) -> str:
    folder = reports_prefix(memory.output.reports, memory.job.job_id)
    return f"{folder}manifest-{digest[:16]}.jsonl.gz"


async def put_manifest(ctx: Context, memory: Memory, volumes: Sequence[Volume]) -> str:
    """Store a manifest under its SHA-256, and return that; raises StoreError and SourceError."""
    digest, packed = await asyncio.to_thread(pack, volumes)
    if len(packed) > _packed_limit(len(volumes)):
        raise SourceError(
            INVALID_MANIFEST,
            f"the {len(volumes)} volumes take {len(packed):,} bytes when packed, at most "
            f"{_packed_limit(len(volumes)):,} may be; their ids are too long: use shorter ones",
        )
    bucket, key = memory.output.bucket, _key(memory, digest)
    await ctx.storage.call("put", lambda store: store.put(bucket, key, packed, "application/gzip"))
    return digest


async def get_manifest(ctx: Context, memory: Memory, digest: str, total: int) -> VolumeList:
    """Return the volumes of the manifest that the ledger names; raises StoreError, SourceError."""
    bucket, key = memory.output.bucket, _key(memory, digest)
    place = f"the frozen manifest s3://{bucket}/{key}"
    mend = (
        f"put it back, or delete ConfigMap {ledger_name(memory.job.name)} to have the source read "
        "anew"
    )
    limit = _packed_limit(total)
    try:
        packed = await ctx.storage.call("get", lambda store: store.get(bucket, key, limit))
        if packed is None:
            raise SourceError("ManifestLost", f"{place} is gone; {mend}")
        return await asyncio.to_thread(unpack, packed, digest, total)
    except (TooLargeError, ValueError) as error:
        raise SourceError(
            "ManifestLost", f"{place} is not what we wrote: {error}; {mend}"
        ) from None


def pack(volumes: Sequence[Volume]) -> tuple[str, bytes]:
    """Return the SHA-256 of the lines, and the lines, gzipped."""
    digest, packer, packed = hashlib.sha256(), zlib.compressobj(6, wbits=_GZIP), bytearray()
    rows = map(_row, volumes)
    while lines := "".join(islice(rows, _AT_ONCE)).encode():
        digest.update(lines)
        packed += packer.compress(lines)
    packed += packer.flush()
    return digest.hexdigest(), bytes(packed)


def unpack(packed: bytes, digest: str, total: int) -> VolumeList:
    """Return the volumes, having made sure of the SHA-256; raises ValueError with what is wrong."""
    most, name = total * _MAX_ROW, "it"
    found = hashlib.sha256()
    for lines in plain(_chunks(packed), name, most):
        found.update(lines)
    if found.hexdigest() != digest:
        raise ValueError("its SHA-256 is not the one in the ledger")
    sites = SiteNotes()
    volumes = VolumeList.pack(
        _read(line, number, sites)
        for number, line in text_lines(_chunks(packed), name, most)
        if line
    )
    if len(volumes) != total:
        raise ValueError(f"it has {len(volumes)} volumes, and the ledger {total}")
    return volumes.sited(sites.all())


def _chunks(packed: bytes) -> Iterator[bytes]:
    return (packed[at : at + _CHUNK] for at in range(0, len(packed), _CHUNK))


def _row(volume: Volume) -> str:
    w_id, i_id, i_version = volume
    row = {"wId": w_id, "iId": i_id, "iVersion": i_version}
    if site := site_of(volume):
        row["site"] = site
    return json.dumps(row, ensure_ascii=False) + "\n"


def _read(line: str, number: int, sites: SiteNotes) -> str:
    """Return what is kept of a line that `_row` wrote; its site is taken down in `sites`."""
    try:
        row = json.loads(line)
        volume = Volume(row["wId"], row["iId"], row["iVersion"])
        check_volume(volume)
        site = row.get("site", "")
        if site:
            check_site(site)
        sites.note(site)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError(f"line {number} is no volume") from None
    return row_of(volume)
