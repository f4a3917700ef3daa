"""Volumes by the hundred thousand in little memory, and where their outputs go.

A volume as a Python object takes some 360 bytes; here it is its ids in UTF-8 and two bytes. A
`VolumeList` is made once and never changes, so two lists may share what they have in common.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, groupby, islice
from typing import TypeVar, overload

from bec_operator.decide.volumes.volume_sites import (
    NO_SITES,
    SitedVolume,
    VolumeSites,
    noted,
    sites_of,
)
from bec_ops.contract.location import OutputTemplate
from bec_ops.contract.s3.keys import longest_part
from bec_ops.contract.volume import Volume

# Control characters stand in no id: `check_volume` refuses them.
_BETWEEN_IDS = "\x1f"
_END = "\n"
_BLOCK = 32  # volumes that are kept as one `bytes`: an object each would double the size

T = TypeVar("T")


def row_of(volume: Volume) -> str:
    """Return a volume as one text, which differs for different volumes."""
    return _BETWEEN_IDS.join(volume)


class VolumeList(Sequence[Volume]):
    """A sequence of volumes whose ids hold no control character; made by `pack` or `of`.

    `sites` says where each is to be done, which is no part of what is compared.
    """

    __slots__ = ("_total", "blocks", "sites")

    def __init__(self, blocks: list[bytes], total: int, sites: VolumeSites = NO_SITES) -> None:
        self.blocks = blocks  # each but the last has `_BLOCK` rows, with their ends
        self._total = total
        self.sites = sites

    @classmethod
    def pack(cls, rows: Iterable[str]) -> "VolumeList":
        """Keep volumes that come one by one, each as `row_of` writes it. It is checked already."""
        return cls._packed([], 0, iter(rows))

    @classmethod
    def of(cls, volumes: Sequence[Volume]) -> "VolumeList":
        """Return the volumes as such a list; they are checked already."""
        if isinstance(volumes, cls):
            return volumes
        return cls.pack(map(row_of, volumes)).sited(sites_of(volumes))

    @classmethod
    def _packed(cls, blocks: list[bytes], total: int, rows: Iterator[str]) -> "VolumeList":
        """Go on with full blocks of `total` volumes."""
        while block := list(islice(rows, _BLOCK)):
            total += len(block)
            blocks.append((_END.join(block) + _END).encode())
        return cls(blocks, total)

    def sited(self, sites: VolumeSites) -> "VolumeList":
        """Return the list with these sites of its volumes."""
        return VolumeList(self.blocks, self._total, sites)

    def extended(self, more: Sequence[Volume]) -> "VolumeList":
        """Return the list with more at its end."""
        sites = self.sites.extended(self._total, sites_of(more))
        full, rest = divmod(self._total, _BLOCK)
        begun = self.blocks[-1].decode().split(_END)[:-1] if rest else []
        rows = chain(begun, map(row_of, more))
        return self._packed(self.blocks[:full], full * _BLOCK, rows).sited(sites)

    def versioned(self, versions: Mapping[int, str]) -> "VolumeList":
        """Return the list with other versions of the volumes at some indices."""
        blocks, found = list(self.blocks), sorted(versions)
        for number, indices in groupby(found, lambda index: index // _BLOCK):
            rows = blocks[number].decode().split(_END)
            for index in indices:
                row = rows[index % _BLOCK]
                rows[index % _BLOCK] = row[: row.rindex(_BETWEEN_IDS) + 1] + versions[index]
            blocks[number] = _END.join(rows).encode()
        return VolumeList(blocks, self._total, self.sites)

    def unversioned(self) -> list[int]:
        """Return the indices of the volumes without a version."""
        bare = _BETWEEN_IDS.encode()
        return [index for index, row in enumerate(self.rows()) if row.endswith(bare)]

    def rows(self, after: int = 0) -> Iterator[bytes]:
        """Yield each volume as `row_of` writes it, in UTF-8; without the first `after` blocks."""
        for block in islice(self.blocks, after, None):
            yield from block.split(b"\n")[:-1]

    def begin_of(self, block: int) -> int:
        """Return the index of the first volume of a block."""
        return min(block * _BLOCK, self._total)

    def picked(self, indices: Sequence[int], rows: Iterable[bytes]) -> "VolumeList":
        """Return the list of some of these volumes: their `rows`, and the sites at `indices`."""
        picked = self.pack(row.decode() for row in rows)
        return picked.sited(noted(map(self.sites.__getitem__, indices)))

    def alike(self, other: "VolumeList") -> int:
        """Return how many blocks at the beginning are the same in both lists."""
        pairs = zip(self.blocks, other.blocks, strict=False)
        return next(
            (number for number, (one, two) in enumerate(pairs) if one != two),
            min(len(self.blocks), len(other.blocks)),
        )

    def __len__(self) -> int:
        return self._total

    @overload
    def __getitem__(self, index: int) -> Volume: ...
    @overload
    def __getitem__(self, index: slice) -> list[Volume]: ...
    def __getitem__(self, index: int | slice) -> Volume | list[Volume]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(self._total))]
        place = range(self._total)[index]
        block, at = divmod(place, _BLOCK)
        volume = _volume(self.blocks[block].split(b"\n", at + 1)[at].decode())
        return SitedVolume.at(volume, self.sites[place]) if self.sites.codes else volume

    def __iter__(self) -> Iterator[Volume]:
        found = (_volume(row) for block in self.blocks for row in block.decode().split(_END)[:-1])
        if not self.sites.codes:
            return found
        return (SitedVolume.at(volume, self.sites[index]) for index, volume in enumerate(found))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, VolumeList):
            return self.blocks == other.blocks
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(other) == self._total and all(map(Volume.__eq__, self, other))

    __hash__ = None  # type: ignore[assignment]  # as for a list


@dataclass(frozen=True, slots=True)
class LongParts:
    """Output prefixes in which something between two slashes is longer than some stores take."""

    volumes: int  # how many have such a prefix
    longest: int  # the index of the one with the longest
    size: int  # bytes of that


class Prefixes(Sequence[str]):
    """The output prefix of each volume, written when it is asked for. `check` them once."""

    __slots__ = ("job_id", "template", "volumes")

    def __init__(self, template: OutputTemplate, job_id: str, volumes: Sequence[Volume]) -> None:
        self.template = template
        self.job_id = job_id
        self.volumes = volumes

    def check(self, stand_in: str = "") -> None:
        """Raise what `OutputTemplate.prefix` raises for a volume that has no place.

        `stand_in` is a version in place of those that are not found yet.
        """
        for volume in self.volumes:
            known = volume if volume.i_version else volume._replace(i_version=stand_in)
            self.template.prefix(self.job_id, known)

    def of(self, volumes: Sequence[Volume]) -> "Prefixes":
        """Return the output prefixes of other volumes of the same job."""
        return Prefixes(self.template, self.job_id, volumes)

    def long_parts(self, limit: int) -> LongParts | None:
        """Return which have more than `limit` bytes between two slashes; None if none has."""
        literals = "".join(self.template.parts[::2])
        # Escaping makes three of a byte, at most: of most rows this says enough.
        room = limit - len(literals.encode()) - 3 * len(self.job_id.encode())
        count, longest, most = 0, 0, limit
        for index, row in enumerate(VolumeList.of(self.volumes).rows()):
            if 3 * len(row) > room:
                prefix = self.template.known_prefix(self.job_id, _volume(row.decode()))
                size = len(longest_part(prefix).encode())
                count += size > limit
                if size > most:
                    longest, most = index, size
        return LongParts(count, longest, most) if count else None

    def extended(self, more: "Prefixes") -> "Prefixes":
        """Return the prefixes with those of more volumes at their end."""
        return self.of(joined(self.volumes, more.volumes))

    def __len__(self) -> int:
        return len(self.volumes)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        return self.template.prefix(self.job_id, self.volumes[index])

    def __iter__(self) -> Iterator[str]:
        return map(partial(self.template.known_prefix, self.job_id), self.volumes)


def joined(first: Sequence[T], more: Sequence[T]) -> Sequence[T]:
    """Return a sequence of both, of the kind of the first."""
    extend: Callable[[Sequence[T]], Sequence[T]] | None = getattr(first, "extended", None)
    return extend(more) if extend is not None else [*first, *more]


def _volume(row: str) -> Volume:
    return Volume._make(row.split(_BETWEEN_IDS))
