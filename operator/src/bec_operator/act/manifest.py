"""The frozen manifest in S3, and the ledger in its ConfigMap: read together, made together."""

import asyncio
import base64
import gzip
import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from bec_operator.act.api_server import ApiError, core
from bec_operator.act.checks import storage_fact
from bec_operator.act.context import Context
from bec_operator.act.pod_spec import owner
from bec_operator.api.names import JOB_LABEL, ledger_name
from bec_operator.decide.gates import Record
from bec_operator.decide.ledger import Honoured, Ledger, LedgerError
from bec_operator.decide.memory import Memory
from bec_operator.decide.moments import epoch, iso, precise
from bec_operator.decide.seen import Fact
from bec_operator.sources.volumes import INVALID_MANIFEST, SourceError, read_volumes
from bec_ops.location import OutputTemplate, TemplateError, reports_prefix
from bec_ops.store import StoreError
from bec_ops.volume import Volume

log = logging.getLogger(__name__)

Object = dict[str, Any]


class SourceReader:
    """Reads for a Job: S3 with the operator's rights, ConfigMaps of the Job's namespace."""

    def __init__(self, ctx: Context, namespace: str) -> None:
        self._ctx = ctx
        self._namespace = namespace

    async def object(self, bucket: str, key: str) -> bytes | None:
        """Return an object of S3."""
        return await self._ctx.storage.call("get", lambda store: store.get(bucket, key))

    async def etag(self, bucket: str, key: str) -> str | None:
        """Return the ETag of an object of S3."""
        found = await self._ctx.storage.call("head", lambda store: store.head(bucket, key))
        return found.etag if found is not None else None

    async def config_map(self, name: str) -> tuple[str, dict[str, bytes]] | None:
        """Return version and entries of a ConfigMap."""
        found = await _config_map(self._ctx, self._namespace, name)
        if found is None:
            return None
        text = {key: value.encode() for key, value in (found.get("data") or {}).items()}
        binary = {k: base64.b64decode(v) for k, v in (found.get("binaryData") or {}).items()}
        return found["metadata"]["resourceVersion"], {**text, **binary}


async def load_manifest(ctx: Context, memory: Memory) -> None:
    """Take in manifest and ledger; where there are none yet, freeze the source."""
    now = ctx.clock.now()
    try:
        found = await _config_map(ctx, memory.job.namespace, ledger_name(memory.job.name))
        if found is None:
            volumes, ledger, version = await _freeze(ctx, memory)
        else:
            volumes, ledger, version = await _thaw(ctx, memory, found)
        prefixes = await asyncio.to_thread(prefixes_of, memory, volumes)
    except SourceError as error:
        memory.facts.manifest = Fact(now, error.reason, str(error))
    except TemplateError as error:
        memory.facts.manifest = Fact(now, "InvalidOutput", f"spec.output: {error}")
    except StoreError as error:
        memory.facts.storage = storage_fact(error, now)
    except ApiError as error:
        if error.reason == "AlreadyExists":
            return  # another operator was faster: the next pass reads its ledger
        if not error.final:
            raise
        message = f"the API server refuses the operator: {error.message}"
        memory.facts.manifest = Fact(now, "OperatorForbidden", message)
    else:
        memory.ledger_version = version
        memory.saved_at = now
        memory.load(volumes, prefixes, ledger, now)
        log.info(
            "%s/%s: %d volumes, manifest %s",
            memory.job.namespace, memory.job.name, len(volumes), ledger.manifest[:16],
        )  # fmt: skip


async def read_record(ctx: Context, memory: Memory) -> Record | None:
    """Return the volumes of a job and their ledger, as they are stored; None if there is none.

    Raises SourceError, StoreError, and ApiError.
    """
    found = await _config_map(ctx, memory.job.namespace, ledger_name(memory.job.name))
    if found is None:
        return None
    volumes, ledger, _ = await _thaw(ctx, memory, found)
    return Record(volumes, ledger)


async def _config_map(ctx: Context, namespace: str, name: str) -> Object | None:
    try:
        return await ctx.api.request("GET", core(namespace, "configmaps", name))
    except ApiError as error:
        if error.code == 404:
            return None
        raise


def prefixes_of(memory: Memory, volumes: Sequence[Volume]) -> list[str]:
    """Return where the outputs go; raises TemplateError for a volume that can have none."""
    output, job_id = memory.output, memory.job.job_id
    template = OutputTemplate.parse(output.prefix)
    try:
        reports_prefix(output.reports, job_id)
        return [template.prefix(job_id, volume) for volume in volumes]
    except TemplateError:
        raise
    except ValueError as error:
        raise SourceError(INVALID_MANIFEST, str(error)) from error


def _manifest_key(memory: Memory, digest: str) -> str:
    folder = reports_prefix(memory.output.reports, memory.job.job_id)
    return f"{folder}manifest-{digest[:16]}.jsonl.gz"


async def _freeze(ctx: Context, memory: Memory) -> tuple[list[Volume], Ledger, str]:
    assert memory.job.spec is not None
    reader = SourceReader(ctx, memory.job.namespace)
    volumes = await read_volumes(memory.job.spec.volumes, reader)
    await asyncio.to_thread(prefixes_of, memory, volumes)  # before anything is written
    digest = await put_manifest(ctx, memory, volumes)
    ledger = Ledger.fresh(digest, len(volumes))
    made = await ctx.api.request(
        "POST", core(memory.job.namespace, "configmaps"), ledger_object(memory, ledger)
    )
    return volumes, ledger, made["metadata"]["resourceVersion"]


async def put_manifest(ctx: Context, memory: Memory, volumes: Sequence[Volume]) -> str:
    """Store a manifest under its SHA-256, and return that; raises StoreError."""
    lines = await asyncio.to_thread(_lines, volumes)
    digest = hashlib.sha256(lines).hexdigest()
    bucket, key = memory.output.bucket, _manifest_key(memory, digest)
    packed = await asyncio.to_thread(gzip.compress, lines, 6, mtime=0)
    await ctx.storage.call("put", lambda store: store.put(bucket, key, packed, "application/gzip"))
    return digest


def _lines(volumes: Sequence[Volume]) -> bytes:
    rows = (
        json.dumps({"wId": v.w_id, "iId": v.i_id, "iVersion": v.i_version}, ensure_ascii=False)
        for v in volumes
    )
    return "".join(row + "\n" for row in rows).encode()


def ledger_object(memory: Memory, ledger: Ledger, version: str | None = None) -> Object:
    """Return the ConfigMap that holds `ledger`; `version` is the resourceVersion it replaces."""
    job = memory.job
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": ledger_name(job.name),
            "namespace": job.namespace,
            "labels": {JOB_LABEL: job.name},
            "ownerReferences": [owner("Job", job.name, job.uid)],
            **({"resourceVersion": version} if version is not None else {}),
        },
        "data": {
            "manifest": ledger.manifest,
            "total": str(len(ledger)),
            **_honoured("retryFailedAt", ledger.retried),
            **_honoured("redoAt", ledger.redone),
        },
        "binaryData": {"ledger": base64.b64encode(ledger.encode()).decode()},
    }


def _honoured(name: str, honoured: Honoured) -> dict[str, str]:
    """Return what the ledger's object says of a moment that was acted on."""
    if not honoured.wish:
        return {}
    return {
        name: honoured.wish,
        f"{name}.until": iso(honoured.moment),
        f"{name}.honoured": precise(honoured.at),
    }


def _read_honoured(name: str, data: Mapping[str, str]) -> Honoured:
    if name not in data:
        return Honoured()
    until, at = epoch(data[f"{name}.until"]), epoch(data[f"{name}.honoured"])
    return Honoured(data[name], int(until), at)


async def _thaw(ctx: Context, memory: Memory, found: Object) -> tuple[list[Volume], Ledger, str]:
    name = found["metadata"]["name"]
    owners = found["metadata"].get("ownerReferences") or []
    if all(reference.get("uid") != memory.job.uid for reference in owners):
        raise SourceError(
            "LedgerTaken",
            f"ConfigMap {name} is there and is not this Job's ledger; it goes by itself if it was "
            "an older Job's of this name, else delete it",
        )
    try:
        digest, total = found["data"]["manifest"], int(found["data"]["total"])
        packed = base64.b64decode(found["binaryData"]["ledger"])
        turns = [_read_honoured(name, found["data"]) for name in ("retryFailedAt", "redoAt")]
        ledger = Ledger.decode(digest, packed, total, *turns)
    except (KeyError, ValueError, LedgerError) as error:
        raise SourceError(
            "LedgerUnreadable", f"ConfigMap {name}: {error}; delete it to have it made anew"
        ) from error
    volumes = await _frozen(ctx, memory, digest)
    return volumes, ledger, found["metadata"]["resourceVersion"]


async def _frozen(ctx: Context, memory: Memory, digest: str) -> list[Volume]:
    bucket, key = memory.output.bucket, _manifest_key(memory, digest)
    place = f"s3://{bucket}/{key}"
    packed = await ctx.storage.call("get", lambda store: store.get(bucket, key))
    if packed is None:
        raise SourceError(
            "ManifestLost",
            f"the frozen manifest {place} is gone; put it back, or delete ConfigMap "
            f"{ledger_name(memory.job.name)} to have the source read anew",
        )

    def parse() -> list[Volume]:
        lines = gzip.decompress(packed)
        if hashlib.sha256(lines).hexdigest() != digest:
            raise ValueError("its SHA-256 is not the one in the ledger")
        rows = map(json.loads, lines.splitlines())  # as `_lines` wrote them
        return [Volume(row["wId"], row["iId"], row["iVersion"]) for row in rows]

    try:
        return await asyncio.to_thread(parse)
    except (ValueError, OSError, EOFError) as error:
        raise SourceError("ManifestLost", f"the frozen manifest {place}: {error}") from error
