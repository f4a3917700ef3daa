"""Looks whether volumes that have a version have a newer one, which is a volume of its own."""

import asyncio
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from bec_operator.act.ground.clock import later
from bec_operator.act.ground.context import Context
from bec_operator.act.kube.events import post_event
from bec_operator.act.volumes.version_ways import ask_for_versions
from bec_operator.decide.lists.followed import LEFT_OUT, told_of_left_out
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.memory.version_findings import finish_look, note_followed
from bec_operator.decide.sight.seen import Fact
from bec_operator.decide.volumes.actions import FollowVersions
from bec_operator.decide.volumes.followed_versions import MOST
from bec_operator.decide.volumes.ledger import Ledger, Outcome
from bec_operator.decide.volumes.volume_list import VolumeList, row_of
from bec_ops.contract.location import OutputTemplate
from bec_ops.contract.volume import Volume


@dataclass(slots=True)
class _Look:
    """What becomes of one look at some volumes: it is noted at the end, all at once."""

    memory: Memory
    ledger: Ledger
    volumes: Mapping[int, Volume]
    template: OutputTemplate
    generation: int
    newer: dict[int, Volume] = field(default_factory=dict)  # those that have another version now
    told: set[int] = field(default_factory=set)
    gone: int = 0
    unusable: list[str] = field(default_factory=list)  # why versions are of no use
    trouble: Fact | None = None

    def found(self, index: int, version: str) -> None:
        """Take in a version, if a place for the outputs can be made of it."""
        self.told.add(index)
        if version == self.volumes[index].i_version:
            return
        try:
            volume = self.volumes[index]._replace(i_version=version)
            self.template.prefix(self.memory.job.job_id, volume)
        except ValueError as error:
            self.unusable.append(str(error))
        else:
            self.newer[index] = volume

    def missing(self, index: int, why: str) -> None:
        """Take in that there is none: what was done stays."""
        del why
        self.told.add(index)
        self.gone += bool(self.volumes[index].i_version)

    @property
    def counts(self) -> bool:
        """Whether the volumes are still those that were meant, and so is the way."""
        memory = self.memory
        return memory.ledger is self.ledger and memory.job.generation == self.generation


async def follow_versions(ctx: Context, memory: Memory, action: FollowVersions) -> None:
    """Look whether the volumes that `action` names have newer versions."""
    spec, ledger, books = memory.job.spec, memory.ledger, memory.books
    if spec is None or spec.volumes.versions is None or ledger is None:
        return
    if action.begins:
        books.followed.begin(ctx.clock.now(), len(books.volumes))
    volumes = VolumeList.of(books.volumes)
    newest = await asyncio.to_thread(newest_of, volumes, action.indices)
    sought = {i: v for i, v in newest.items() if _has_had_its_turn(ledger, i, v)}
    template = OutputTemplate.parse(memory.output.prefix)
    look = _Look(memory, ledger, sought, template, memory.job.generation)
    await ask_for_versions(ctx, spec.volumes.versions, look)
    rows = VolumeList.of(books.volumes).rows()
    known = await asyncio.to_thread(known_of, rows, look.newer)
    if not look.counts:
        return  # the same are asked about again
    said_before = books.followed.left_out
    _note(ctx, memory, action, look, known)
    if books.followed.left_out and not said_before:
        said = told_of_left_out(memory)
        await post_event(ctx.api, ctx.clock, memory.job, LEFT_OUT, said, "Warning")


def _has_had_its_turn(ledger: Ledger, index: int, volume: Volume) -> bool:
    """Whether a volume has a version, or was found to have none: else one is looked for already."""
    return bool(volume.i_version) or ledger.outcome(index) is not Outcome.WAITING


def _note(
    ctx: Context, memory: Memory, action: FollowVersions, look: _Look, known: Container[int]
) -> None:
    """Take in what a look has shown."""
    books, followed = memory.books, memory.books.followed
    new = {i: volume.i_version for i, volume in look.newer.items() if i not in known}
    total, most = len(books.volumes) + len(books.added), ctx.settings.max_volumes
    if new and total + len(followed.found) + len(new) > most:
        followed.note_left_out(
            len(new),
            f"with the {total} volumes that the job has there would be more than {most:,}; put "
            "what is new into another job",
        )
        new = {}
    if look.unusable:
        followed.note_left_out(len(look.unusable), f"a version is of no use: {look.unusable[0]}")
    followed.found.update(new)
    followed.note_missed(look.gone)
    silent = sorted(look.volumes.keys() - look.told)
    followed.note_told(frozenset(action.indices), silent, look.trouble)
    now, begun = ctx.clock.now(), followed.begun
    followed.go_on(action.upto, now, later(ctx.clock, begun if begun is not None else now))
    finish_look(memory)


def newest_of(volumes: VolumeList, indices: Sequence[int]) -> dict[int, Volume]:
    """Return the volumes at `indices` but for those whose ids stand further down once more."""
    asked, newest = frozenset(indices), dict[bytes, int]()
    for index, row in enumerate(volumes.rows()):
        pair = row[: row.rindex(b"\x1f") + 1]
        if index in asked:
            newest[pair] = index
        else:
            newest.pop(pair, None)
    return {index: volumes[index] for index in sorted(newest.values())}


def known_of(rows: Iterable[bytes], newer: Mapping[int, Volume]) -> set[int]:
    """Return those of `newer` that stand among rows of a list already, or in `newer` before."""
    sought, known = dict[bytes, int](), set[int]()
    for index, volume in newer.items():
        if sought.setdefault(row_of(volume).encode(), index) != index:
            known.add(index)
    if sought:
        known.update(sought[row] for row in rows if row in sought)
    return known


async def newer_volumes(
    memory: Memory, volumes: VolumeList, added: Sequence[Volume]
) -> dict[int, Volume]:
    """Return the new versions that were found, as volumes that are to stand behind `added`.

    Where very many come from the source, these go first.
    """
    books, found = memory.books, dict(memory.books.followed.found)
    if not found or len(added) > MOST:
        return {}
    newer = {i: volumes[i]._replace(i_version=version) for i, version in found.items()}
    rows = chain(volumes.rows(), VolumeList.of(added).rows())
    known = await asyncio.to_thread(known_of, rows, newer)
    if memory.books is books:
        note_followed(memory, {index: found[index] for index in known})
    return {index: volume for index, volume in newer.items() if index not in known}
