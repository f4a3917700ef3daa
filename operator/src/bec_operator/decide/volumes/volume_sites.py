"""The sites of volumes, a byte each: where they are to be done, which is no part of what they are.

Two volumes of the same ids are one, whatever their sites.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

from bec_ops.contract.volume import Volume

MOST_SITES = 250
"""Different sites of the volumes of one job. A code and one more fit into a byte."""


class SitedVolume(Volume):
    """A volume that comes with its site. It equals the same one with another, or without any."""

    site: str

    @classmethod
    def at(cls, volume: Volume, site: str) -> Volume:
        """Return a volume with its site, if that is one."""
        if not site:
            return volume
        made = cls._make(volume)
        made.site = site
        return made

    def _replace(self, **changes: Any) -> Self:
        """Return the volume with other ids, at the same site: its next version is done there."""
        made = super()._replace(**changes)
        made.site = self.site
        return made


def site_of(volume: Volume) -> str:
    """Return the site that a volume came with; empty if with none."""
    return volume.site if isinstance(volume, SitedVolume) else ""


@dataclass(frozen=True, slots=True)
class VolumeSites:
    """The site of each volume, as a code: 0 for none, else one more than the place of its name.

    `codes` is empty where no volume has a site, and may end before the last one that has none.
    `counts` are the volumes of each name.
    """

    names: tuple[str, ...] = ()
    codes: bytes = b""
    counts: tuple[int, ...] = ()

    def __getitem__(self, index: int) -> str:
        code = self.codes[index] if index < len(self.codes) else 0
        return self.names[code - 1] if code else ""

    def code_of(self, name: str) -> int:
        """Return the code of a site; 0 if no volume has it."""
        return self.names.index(name) + 1 if name in self.names else 0

    def extended(self, total: int, more: "VolumeSites") -> "VolumeSites":
        """Return the sites of `total` volumes and of those behind them.

        Where there would be more than `MOST_SITES`, volumes of the last ones have none.
        """
        if not more.codes:
            return self
        names = list(dict.fromkeys((*self.names, *more.names)))[:MOST_SITES]
        places = {name: code for code, name in enumerate(names, 1)}
        codes = bytes([0, *(places.get(name, 0) for name in more.names)])
        moved = more.codes.translate(codes.ljust(256, b"\0"))
        both = dict(zip(self.names, self.counts, strict=True))
        for name, count in zip(more.names, more.counts, strict=True):
            both[name] = both.get(name, 0) + count
        counts = tuple(both[name] for name in names)
        return VolumeSites(tuple(names), self.codes.ljust(total, b"\0") + moved, counts)


NO_SITES = VolumeSites()


class SiteNotes:
    """Takes down the sites of volumes that come one by one."""

    def __init__(self) -> None:
        self._total = 0
        self._codes = bytearray()
        self._counts: dict[str, int] = {}
        self._places: dict[str, int] = {}

    def note(self, site: str) -> None:
        """Take down the site of the next volume. Raises ValueError if there are too many sites."""
        self._total += 1
        if not site:
            return
        code = self._places.get(site)
        if code is None:
            if len(self._places) == MOST_SITES:
                raise ValueError(
                    f"site: more than {MOST_SITES} different ones; is that column the site of a "
                    "volume? else leave it out"
                )
            code = self._places[site] = len(self._places) + 1
        self._codes.extend(bytes(self._total - 1 - len(self._codes)))
        self._codes.append(code)
        self._counts[site] = self._counts.get(site, 0) + 1

    def all(self) -> VolumeSites:
        """Return what was taken down."""
        return VolumeSites(tuple(self._places), bytes(self._codes), tuple(self._counts.values()))


def noted(sites: Iterable[str]) -> VolumeSites:
    """Return the sites of volumes, in their order; those of names that are too many have none."""
    notes = SiteNotes()
    for site in sites:
        try:
            notes.note(site)
        except ValueError:
            continue  # it is counted, without a site
    return notes.all()


def sites_of(volumes: Sequence[Volume]) -> VolumeSites:
    """Return the sites of volumes, of whatever sequence."""
    known: VolumeSites | None = getattr(volumes, "sites", None)
    return known if known is not None else noted(map(site_of, volumes))
