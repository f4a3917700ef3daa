"""A source of volumes that changes in mid-run: what is new goes to the end of the manifest."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bec_operator.act.ground.api_server import ApiError
from bec_operator.act.ground.context import Context
from bec_operator.act.kube.events import post_event
from bec_operator.act.storage.frozen import put_manifest
from bec_operator.act.storage.long_names import check_names
from bec_operator.act.storage.manifest import prefixes_of
from bec_operator.act.storage.source_reader import SourceReader
from bec_operator.act.storage.storage_check import storage_fact
from bec_operator.api.volume_source import VolumeSource
from bec_operator.decide.jobs.growth import LIST_UNREADABLE, count_settled, removed, unreadable
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.seen import ListSeen
from bec_operator.decide.volumes.volume_list import Prefixes, VolumeList, joined
from bec_operator.sources.volumes import (
    INVALID_MANIFEST,
    STORAGE_UNAVAILABLE,
    SourceError,
    read_mark,
    read_volumes,
)
from bec_ops.contract.location import TemplateError
from bec_ops.contract.s3.store import StoreError
from bec_ops.contract.volume import Volume


async def look_at_list(ctx: Context, memory: Memory) -> None:
    """See whether the source has changed; if so, read it, and note what is new and what is gone.

    One that cannot be read changes nothing but what is said of it.
    """
    ledger, before, spec = memory.ledger, memory.books.listed, memory.job.spec
    if ledger is None or spec is None:
        return
    gone = before.gone if before is not None else 0
    seen = ListSeen(ctx.clock.now(), memory.job.generation, count_settled(ledger), gone=gone)
    added: Sequence[Volume] | None = None
    try:
        seen, added = await _look(ctx, memory, spec.volumes, seen)
    except SourceError as error:
        seen = replace(seen, problem=str(error), unknown=error.unknown)
    except ApiError as error:
        if not error.final:
            raise
        seen = replace(seen, problem=f"the API server refuses the operator: {error.message}")
    if memory.ledger is not ledger:
        return  # loaded anew meanwhile: that begins with a look
    memory.books.note_list(seen, added)
    await _tell(ctx, memory, before, seen)


async def _look(
    ctx: Context, memory: Memory, source: VolumeSource, seen: ListSeen
) -> tuple[ListSeen, Sequence[Volume] | None]:
    """Return `seen` with what the source shows, and what is new; None where it has not changed."""
    reader, before = SourceReader(ctx, memory.job.namespace), memory.books.listed
    mark = await read_mark(source, reader)
    seen = replace(seen, mark=mark)
    if before is not None and mark and mark == before.mark:
        return replace(seen, problem=before.problem), None
    try:
        most = ctx.settings.max_volumes
        new, gone = await _compare(memory, await read_volumes(source, reader, most), most)
        await check_names(ctx, memory, new, "those that are new")
    except SourceError as error:
        if error.reason != INVALID_MANIFEST:
            raise
        return replace(seen, problem=str(error)), None
    except TemplateError as error:
        return replace(seen, problem=f"spec.output: {error}"), None
    except StoreError as error:
        raise SourceError(STORAGE_UNAVAILABLE, str(error)) from error
    return replace(seen, gone=gone), new.volumes


async def _compare(memory: Memory, listed: VolumeList, most: int) -> tuple[Prefixes, int]:
    """Return the places for the outputs of what is new, and how many volumes are gone."""
    while True:
        known = memory.books.volumes
        added, gone = await asyncio.to_thread(difference, VolumeList.of(known), listed)
        if added and len(known) + len(added) > most:
            raise SourceError(
                INVALID_MANIFEST,
                f"{len(added)} volumes are new in the list, and with the {len(known)} that the job "
                f"has there would be more than {most:,}; put what is new into another job",
            )
        prefixes = await asyncio.to_thread(prefixes_of, memory, added)
        if memory.books.volumes is known:  # else it grew meanwhile, by an earlier look
            return prefixes, gone


def difference(known: VolumeList, listed: VolumeList) -> tuple[VolumeList, int]:
    """Return what is listed and not known, and how many are known and not listed.

    Most lists begin as they were, and that part needs no look at single volumes.
    """
    alike = known.alike(listed)
    gone = set(known.rows(alike))
    added = []
    for row in listed.rows(alike):
        if row in gone:
            gone.discard(row)
        else:
            added.append(row.decode())
    return VolumeList.pack(added), len(gone)


async def _tell(ctx: Context, memory: Memory, before: ListSeen | None, seen: ListSeen) -> None:
    """Tell people by an Event what a look has shown, if the one before did not show it."""
    problem = before.problem if before is not None and not before.unknown else ""
    if seen.unknown:
        return
    if seen.problem:
        if seen.problem != problem:
            said = unreadable(seen.problem)
            await post_event(ctx.api, ctx.clock, memory.job, LIST_UNREADABLE, said, "Warning")
    elif problem:
        await post_event(
            ctx.api, ctx.clock, memory.job, "ListReadable", "the list can be read again"
        )
    if seen.gone and (before is None or seen.gone != before.gone):
        await post_event(ctx.api, ctx.clock, memory.job, "VolumesRemoved", removed(seen.gone))


@dataclass(frozen=True, slots=True)
class Growth:
    """Volumes to be added, where their outputs go, and the SHA-256 of the manifest with them."""

    added: Sequence[Volume]
    prefixes: Sequence[str]
    manifest: str


async def prepare_growth(ctx: Context, memory: Memory) -> Growth | None:
    """Store the manifest that has what is new at its end. Until the ledger names it, it is nothing.

    None if nothing is new, or S3 does not take it.
    """
    added = memory.books.added
    if not added:
        return None
    prefixes = await asyncio.to_thread(prefixes_of, memory, added)
    try:
        manifest = await put_manifest(ctx, memory, joined(memory.books.volumes, added))
    except StoreError as error:
        memory.learn("storage", storage_fact(error, ctx.clock.now()))
        return None
    except SourceError as error:
        memory.books.refuse_added(str(error))
        return None
    return Growth(added, prefixes, manifest)


async def tell_growth(ctx: Context, memory: Memory, growth: Growth) -> None:
    """Tell people that volumes were added."""
    count, total = len(growth.added), len(memory.books.volumes)
    said = f"{count} volume{'s' if count > 1 else ''} came to the list, {total} in all"
    await post_event(ctx.api, ctx.clock, memory.job, "VolumesAdded", said)
