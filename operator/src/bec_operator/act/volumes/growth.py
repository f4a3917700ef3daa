"""A source of volumes that changes in mid-run: what is new goes to the end of the manifest."""

import asyncio
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice

from bec_operator.act.ground.api_server import ApiError
from bec_operator.act.ground.clock import AGAIN_AT_MOST, UNANSWERED_AGAIN_AT_MOST, later
from bec_operator.act.ground.context import Context
from bec_operator.act.ground.storage import storage_fact
from bec_operator.act.kube.events import post_event
from bec_operator.act.volumes.followed_versions import newer_volumes
from bec_operator.act.volumes.frozen import put_manifest
from bec_operator.act.volumes.list_sites import check_number, count_moved
from bec_operator.act.volumes.long_names import check_names
from bec_operator.act.volumes.manifest import prefixes_of, unversioned_of
from bec_operator.act.volumes.source_reader import SourceReader
from bec_operator.api.volume_source import VolumeSource
from bec_operator.decide.lists.followed import told_of_growth
from bec_operator.decide.lists.growth import LIST_UNREADABLE, count_settled, removed, unreadable
from bec_operator.decide.lists.messages import queue_of
from bec_operator.decide.lists.sites import told_of_moved
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.memory.version_findings import finish_look, note_doubles, note_followed
from bec_operator.decide.sight.seen import Fact, ListSeen
from bec_operator.decide.volumes.volume_list import Prefixes, VolumeList, row_of
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
    begun = ctx.clock.now()
    seen = ListSeen(begun, memory.job.generation, count_settled(ledger))
    if before is not None:
        seen = replace(seen, gone=before.gone, moved=before.moved)
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
    most = UNANSWERED_AGAIN_AT_MOST if seen.unknown else AGAIN_AT_MOST
    seen = replace(seen, at=later(ctx.clock, begun, most=most))
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
        listed = await read_volumes(source, reader, most)
        new, gone = await _compare(ctx, memory, listed, most)
        known = VolumeList.of(memory.books.volumes)
        moved = await asyncio.to_thread(count_moved, known, listed)
    except SourceError as error:
        if error.reason != INVALID_MANIFEST:
            raise
        return replace(seen, problem=str(error)), None
    except TemplateError as error:
        return replace(seen, problem=f"spec.output: {error}"), None
    except StoreError as error:
        raise SourceError(STORAGE_UNAVAILABLE, str(error)) from error
    return replace(seen, gone=gone, moved=moved), new.volumes


async def _compare(
    ctx: Context, memory: Memory, listed: VolumeList, most: int
) -> tuple[Prefixes, int]:
    """Return the places for the outputs of what is new, and how many volumes are gone."""
    while True:
        known = memory.books.volumes
        differ = new_pairs if memory.stand_in else difference
        added, gone = await asyncio.to_thread(differ, VolumeList.of(known), listed)
        if added and len(known) + len(added) > most:
            raise SourceError(
                INVALID_MANIFEST,
                f"{len(added)} volumes are new in the list, and with the {len(known)} that the job "
                f"has there would be more than {most:,}; put what is new into another job",
            )
        check_number(VolumeList.of(known), added)
        prefixes = await asyncio.to_thread(prefixes_of, memory, added)
        await check_names(ctx, memory, prefixes, "those that are new")
        if memory.books.volumes is known:  # else it grew meanwhile, by an earlier look
            return prefixes, gone


def difference(known: VolumeList, listed: VolumeList) -> tuple[VolumeList, int]:
    """Return what is listed and not known, and how many are known and not listed.

    Most lists begin as they were, and that part needs no look at single volumes.
    """
    alike = known.alike(listed)
    gone = set(known.rows(alike))
    added, places = list[bytes](), array("L")
    for index, row in enumerate(listed.rows(alike), listed.begin_of(alike)):
        if row in gone:
            gone.discard(row)
        else:
            added.append(row)
            places.append(index)
    return listed.picked(places, added), len(gone)


def new_pairs(known: VolumeList, listed: VolumeList) -> tuple[VolumeList, int]:
    """Return what `difference` does, where volumes get versions that the list does not have.

    One that is listed without a version is known if one of its ids is, of whatever version.
    """
    alike = _alike(known, listed)
    rows = list(islice(known.rows(), alike, None))
    rest = list(islice(listed.rows(), alike, None))
    known_rows, known_pairs = set(rows), set(map(_pair, rows))
    added = {
        row: index
        for index, row in enumerate(rest, alike)
        if row not in known_rows and row not in known_pairs
    }
    seen = set(map(_pair, rest))
    gone = Counter(pair for pair in map(_pair, rows) if pair not in seen)
    if added or gone:  # what is alike may have the same volume, with a version or without
        for old, new in zip(islice(known.rows(), alike), listed.rows(), strict=False):
            added.pop(old, None)
            added.pop(_pair(old), None)
            gone.pop(_pair(new), None)
    return listed.picked(list(added.values()), added), gone.total()


def _alike(known: VolumeList, listed: VolumeList) -> int:
    """Return how many volumes at the beginning of both are the same.

    Most lists begin as they were: what is alike is kept in no set.
    """
    both = zip(known.rows(), listed.rows(), strict=False)
    for number, (old, new) in enumerate(both):
        if old != new and new != _pair(old):
            return number
    return min(len(known), len(listed))


def _pair(row: bytes) -> bytes:
    """Return a row without its version."""
    return row[: row.rindex(b"\x1f") + 1]


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
    if seen.moved and (before is None or seen.moved != before.moved):
        await post_event(ctx.api, ctx.clock, memory.job, "SitesKept", told_of_moved(seen.moved))


@dataclass(frozen=True, slots=True)
class Growth:
    """What a manifest has more than the one before, and its SHA-256.

    `added` are volumes at its end, and `unversioned` those of them whose versions are not found
    yet; `versions` are of volumes that stood there without, by index. `followed` are the versions
    of those that are newer ones of others, by the indices of these.
    """

    manifest: str
    volumes: VolumeList
    added: Sequence[Volume]
    prefixes: Prefixes  # of what is added
    unversioned: Sequence[int]
    versions: Mapping[int, str]
    followed: Mapping[int, str]


async def prepare_growth(ctx: Context, memory: Memory) -> Growth | None:
    """Store the manifest that has what is new. Until the ledger names it, it is nothing.

    None if nothing is new, or S3 does not take it.
    """
    books = memory.books
    added, versions = books.added, dict(books.versions.found)
    volumes = VolumeList.of(books.volumes)
    begin = len(volumes)
    if newer := await newer_volumes(memory, volumes, added):
        added = [*added, *newer.values()]
    if not added and not versions:
        return None
    if versions:
        doubles = await asyncio.to_thread(_doubles, volumes, versions, added)
        note_doubles(memory, doubles)
        versions = {index: found for index, found in versions.items() if index not in doubles}
        volumes = await asyncio.to_thread(volumes.versioned, versions)
    volumes = volumes.extended(added)
    try:
        prefixes = await asyncio.to_thread(prefixes_of, memory, VolumeList.of(added))
        bare = await asyncio.to_thread(unversioned_of, memory, VolumeList.of(added))
        manifest = await put_manifest(ctx, memory, volumes)
    except StoreError as error:
        memory.learn("storage", storage_fact(error, ctx.clock.now()))
        return None
    except (SourceError, TemplateError) as error:
        if newer:
            books.followed.refuse_found(str(error))  # the others are stored without them
            finish_look(memory)
        elif queue_of(memory) is not None:
            books.refuse_messages(Fact(ctx.clock.now(), INVALID_MANIFEST, str(error)))
        else:
            books.refuse_added(str(error))
        return None
    followed = {index: volume.i_version for index, volume in newer.items()}
    bare = [begin + index for index in bare]
    return Growth(manifest, volumes, added, prefixes, bare, versions, followed)


def _doubles(volumes: VolumeList, versions: Mapping[int, str], added: Sequence[Volume]) -> set[int]:
    """Return which volumes would be others of the list, with the versions that were found."""
    found, doubles = dict[bytes, int](), set[int]()
    for index, version in sorted(versions.items()):
        row = row_of(volumes[index]._replace(i_version=version)).encode()
        if row in found:
            doubles.add(index)
        found.setdefault(row, index)
    for row in chain(volumes.rows(), VolumeList.of(added).rows()):
        if row in found:
            doubles.add(found[row])
    return doubles


def note_growth(memory: Memory, growth: Growth) -> None:
    """Take in that the longer manifest is stored, and that the ledger names it."""
    memory.lengthen(growth.added, growth.prefixes, growth.manifest, growth.unversioned)
    note_followed(memory, growth.followed)
    if growth.versions:
        prefixes = growth.prefixes.of(growth.volumes)
        memory.note_versioned(growth.versions, growth.volumes, prefixes)


async def tell_growth(ctx: Context, memory: Memory, growth: Growth) -> None:
    """Tell people that volumes were added."""
    newer, total = len(growth.followed), len(memory.books.volumes)
    if newer:
        said = told_of_growth(newer, total)
        await post_event(ctx.api, ctx.clock, memory.job, "VersionsAdded", said)
    if count := len(growth.added) - newer:
        said = f"{count} volume{'s' if count > 1 else ''} came to the list, {total} in all"
        await post_event(ctx.api, ctx.clock, memory.job, "VolumesAdded", said)
