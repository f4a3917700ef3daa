"""The frozen manifest in S3, and the ledger in its ConfigMap: read together, made together."""

import asyncio
import base64
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from bec_operator.act.ground.api_server import ApiError, core
from bec_operator.act.ground.clock import AGAIN_AT_MOST, UNANSWERED_AGAIN_AT_MOST, later
from bec_operator.act.ground.context import Context
from bec_operator.act.ground.storage import storage_fact
from bec_operator.act.kube.pod_spec import owner
from bec_operator.act.volumes.frozen import get_manifest, put_manifest
from bec_operator.act.volumes.long_names import check_names
from bec_operator.act.volumes.source_reader import SourceReader, get_config_map
from bec_operator.api.names import JOB_LABEL, ledger_name
from bec_operator.decide.lists.followed import follow_every
from bec_operator.decide.lists.messages import queue_of
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.moments import epoch, iso, precise
from bec_operator.decide.sight.seen import Fact, ListSeen
from bec_operator.decide.volumes.gate import Outcomes
from bec_operator.decide.volumes.ledger import Honoured, Ledger
from bec_operator.decide.volumes.volume_list import Prefixes, VolumeList
from bec_operator.sources.volumes import INVALID_MANIFEST, SourceError, read_volumes
from bec_ops.contract.location import OutputTemplate, TemplateError, reports_prefix
from bec_ops.contract.s3.store import StoreError
from bec_ops.contract.volume import Volume

log = logging.getLogger(__name__)

FOLLOWED = "versionsFollowedAt"  # when the last look for new versions was over
QUOTA_AGAIN_AFTER = 25.0  # seconds, beside those after which any check is made again

Object = dict[str, Any]


async def load_manifest(ctx: Context, memory: Memory) -> None:
    """Take in manifest and ledger; where there are none yet, freeze the source."""
    begun, generation = ctx.clock.now(), memory.job.generation
    try:
        found = await get_config_map(ctx, memory.job.namespace, ledger_name(memory.job.name))
        if found is None:
            _see_nothing_is_lost(memory)
            volumes, ledger, version = await _freeze(ctx, memory)
        else:
            volumes, ledger, version = await _thaw(ctx, memory, found)
        prefixes = await asyncio.to_thread(prefixes_of, memory, volumes)
        unversioned = await asyncio.to_thread(unversioned_of, memory, volumes)
    except SourceError as error:
        most = UNANSWERED_AGAIN_AT_MOST if error.unknown else AGAIN_AT_MOST
        at = later(ctx.clock, begun, most=most)
        memory.learn("manifest", Fact(at, error.reason, str(error)))
    except TemplateError as error:
        said = f"spec.output: {error}"
        memory.learn("manifest", Fact(later(ctx.clock, begun), "InvalidOutput", said))
    except StoreError as error:
        memory.learn("storage", storage_fact(error, ctx.clock.now()))
    except ApiError as error:
        if error.reason == "AlreadyExists":
            return  # another operator was faster: the next pass reads its ledger
        least = QUOTA_AGAIN_AFTER if error.over_quota else 0.0
        memory.learn("manifest", _refused(error, later(ctx.clock, begun, least)))
    else:
        now = ctx.clock.now()
        memory.saving.note(version, now)
        memory.load(volumes, prefixes, ledger, now, unversioned)
        if found is None:  # the source was read just now: that was the first look at it
            memory.books.note_list(ListSeen(begun, generation, settled=0), None)
        log.info(
            "%s/%s: %d volumes, manifest %s",
            memory.job.namespace, memory.job.name, len(volumes), ledger.manifest[:16],
        )  # fmt: skip


def _refused(error: ApiError, at: float) -> Fact:
    """Return what a refusal of the API server says; raises what may go well another time."""
    if error.over_quota:
        return Fact(
            at,
            "QuotaExceeded",
            f"the ledger, a ConfigMap, cannot be made: {error.message}; delete ConfigMaps that are "
            "not needed, or have the quota raised",
        )
    if not error.final:
        raise error
    return Fact(at, "OperatorForbidden", f"the API server refuses the operator: {error.message}")


async def read_outcomes(ctx: Context, memory: Memory) -> Outcomes | None:
    """Return the volumes of a job and their ledger, as they are stored; None if there is none.

    Raises SourceError, StoreError, and ApiError.
    """
    found = await get_config_map(ctx, memory.job.namespace, ledger_name(memory.job.name))
    if found is None:
        return None
    volumes, ledger, _ = await _thaw(ctx, memory, found)
    return Outcomes(volumes, ledger)


def prefixes_of(memory: Memory, volumes: Sequence[Volume]) -> Prefixes:
    """Return where the outputs go; raises TemplateError for a volume that can have none."""
    output, job_id = memory.output, memory.job.job_id
    template = OutputTemplate.parse(output.prefix)
    try:
        reports_prefix(output.reports, job_id)
        prefixes = Prefixes(template, job_id, volumes)
        prefixes.check(memory.stand_in)
    except TemplateError:
        raise
    except ValueError as error:
        raise SourceError(INVALID_MANIFEST, str(error)) from error
    return prefixes


def unversioned_of(memory: Memory, volumes: VolumeList) -> list[int]:
    """Return the volumes whose versions have to be found; none where the Job says no way to."""
    return volumes.unversioned() if memory.stand_in else []


def _see_nothing_is_lost(memory: Memory) -> None:
    """Refuse to begin anew where nobody else knows the volumes: their messages are deleted."""
    if queue_of(memory) is not None and memory.job.status.counts.total:
        raise SourceError(
            "LedgerLost",
            f"ConfigMap {ledger_name(memory.job.name)} is gone, and with it which volumes the "
            "queue had; put it back, or make a new Job and send what is not done again",
        )


async def _freeze(ctx: Context, memory: Memory) -> tuple[VolumeList, Ledger, str]:
    assert memory.job.spec is not None
    reader = SourceReader(ctx, memory.job.namespace)
    volumes = await read_volumes(memory.job.spec.volumes, reader, ctx.settings.max_volumes)
    prefixes = await asyncio.to_thread(prefixes_of, memory, volumes)
    await check_names(ctx, memory, prefixes, "the list")  # before anything is written
    digest = await put_manifest(ctx, memory, volumes)
    ledger = Ledger.fresh(digest, len(volumes))
    if follow_every(memory) is not None:  # all versions are of now
        ledger.followed = ledger.followed_stored = ctx.clock.now()
    made = await ctx.api.request(
        "POST", core(memory.job.namespace, "configmaps"), ledger_object(memory, ledger)
    )
    return volumes, ledger, made["metadata"]["resourceVersion"]


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
            **({FOLLOWED: precise(ledger.followed)} if ledger.followed else {}),
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


async def _thaw(ctx: Context, memory: Memory, found: Object) -> tuple[VolumeList, Ledger, str]:
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
        if FOLLOWED in found["data"]:
            ledger.followed = ledger.followed_stored = epoch(found["data"][FOLLOWED])
    except (KeyError, ValueError, OverflowError, OSError) as error:
        raise SourceError(
            "LedgerUnreadable", f"ConfigMap {name}: {error}; delete it to have it made anew"
        ) from error
    volumes = await get_manifest(ctx, memory, digest, total)
    return volumes, ledger, found["metadata"]["resourceVersion"]
