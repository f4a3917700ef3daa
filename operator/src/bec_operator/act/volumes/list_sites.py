"""The sites in a list that is read again: each volume keeps the one that it came with."""

from bec_operator.decide.volumes.volume_list import VolumeList
from bec_operator.decide.volumes.volume_sites import MOST_SITES
from bec_operator.sources.volumes import INVALID_MANIFEST, SourceError


def check_number(known: VolumeList, added: VolumeList) -> None:
    """Refuse what is new if it brings too many sites; raises SourceError."""
    if len({*known.sites.names, *added.sites.names}) > MOST_SITES:
        raise SourceError(
            INVALID_MANIFEST,
            f"with those of the volumes that the job has, there would be more than {MOST_SITES} "
            "different sites; put what is new into another job",
        )


def count_moved(known: VolumeList, listed: VolumeList) -> int:
    """Return how many volumes have another site in the list than they came with, or none.

    Most lists begin as they were, so few volumes are looked for.
    """
    old, new = known.sites, listed.sites
    if not (old.codes or new.codes):
        return 0
    alike = known.alike(listed)
    begin = known.begin_of(alike)
    moved = sum(old[index] != new[index] for index in range(begin))
    places = {row: index for index, row in enumerate(known.rows(alike), begin)}
    for index, row in enumerate(listed.rows(alike), begin):
        place = places.get(row)
        moved += place is not None and old[place] != new[index]
    return moved
