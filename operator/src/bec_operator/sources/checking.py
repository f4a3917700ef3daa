"""What is asked of each volume of a source, however it came: a right id, and nobody twice."""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bec_operator.api.sites import check_site
from bec_operator.decide.volumes.volume_list import VolumeList, row_of
from bec_operator.decide.volumes.volume_sites import SiteNotes, site_of
from bec_operator.sources.text_lines import ListError
from bec_operator.sources.unseen import unseen
from bec_ops.contract.volume import Volume, check_volume


@dataclass(frozen=True, slots=True)
class Manner:
    """How one says where a volume stands, and what to do about one that may not stand there."""

    place: str
    split: str
    once: str


def checked(
    volumes: Iterable[tuple[int, Volume]],
    name: str,
    max_volumes: int,
    manner: Manner,
    sites: SiteNotes,
) -> Iterator[tuple[int, str]]:
    """Yield the numbers of lines or rows, and what is kept of their volumes. Raises ListError.

    Their sites are taken down in `sites`.
    """
    for count, (number, volume) in enumerate(volumes):
        if count == max_volumes:
            raise ListError(
                f"{name}, {manner.place} {number}: more than {max_volumes:,} volumes; "
                f"{manner.split}, or have maxVolumes of the operator's chart raised"
            )
        try:
            row = checked_row(volume)
            sites.note(checked_site(volume))
        except ValueError as error:
            raise ListError(f"{name}, {manner.place} {number}: {error}") from None
        yield number, row


def checked_row(volume: Volume) -> str:
    """Return what is kept of a volume; raises ValueError."""
    check_volume(volume)
    row = row_of(volume)
    if (" " in row or not row.isascii()) and (said := unseen(volume)):
        raise ValueError(said)
    return row


def checked_site(volume: Volume) -> str:
    """Return the site of a volume; raises ValueError."""
    site = site_of(volume)
    if site:
        check_site(site)
    return site


class Once:
    """Finds a volume that is there twice, at eight bytes a volume: only hashes are kept.

    Where two are alike, the volumes themselves are compared. In buckets, so that no step is long.
    """

    def __init__(self, name: str, manner: Manner) -> None:
        self._name = name
        self._manner = manner
        self._hashes = [array("q") for _ in range(64)]
        self._numbers = array("L")

    def noted(self, rows: Iterable[tuple[int, str]]) -> Iterator[str]:
        """Pass on what is kept of the volumes, having noted it."""
        for number, row in rows:
            hashed = hash(row)
            self._hashes[hashed & 63].append(hashed)
            self._numbers.append(number)
            yield row

    def check(self, volumes: VolumeList) -> None:
        """Refuse a list that has a volume twice, by both lines."""
        twice = {
            hashed
            for bucket in self._hashes
            if len(set(bucket)) < len(bucket)
            for hashed, count in Counter(bucket).items()
            if count > 1
        }
        place, seen = self._manner.place, dict[str, int]()
        for number, packed in zip(self._numbers, volumes.rows() if twice else (), strict=False):
            row = packed.decode()
            if hash(row) in twice and (first := seen.setdefault(row, number)) != number:
                raise ListError(
                    f"{self._name}, {place} {number}: {self._told(volumes, number, first)}; "
                    f"{self._manner.once}"
                )

    def _told(self, volumes: VolumeList, number: int, first: int) -> str:
        """Say of a volume that it is there twice; two sites do not make two of it."""
        volume, other = (volumes[self._numbers.index(at)] for at in (number, first))
        said = f"the volume {volume} stands in {self._manner.place} {first} already"
        if site_of(volume) == site_of(other):
            return said
        here, there = (site_of(it) or "none" for it in (volume, other))
        return f"{said}, with the site {there} there and {here} here, and has one at most"
