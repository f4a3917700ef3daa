"""What is asked of each volume of a source, however it came: a right id, and nobody twice."""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bec_operator.decide.volumes.volume_list import VolumeList, row_of
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
    volumes: Iterable[tuple[int, Volume]], name: str, max_volumes: int, manner: Manner
) -> Iterator[tuple[int, str]]:
    """Yield the numbers of lines or rows, and what is kept of their volumes. Raises ListError."""
    for count, (number, volume) in enumerate(volumes):
        if count == max_volumes:
            raise ListError(
                f"{name}, {manner.place} {number}: more than {max_volumes:,} volumes; "
                f"{manner.split}, or have maxVolumes of the operator's chart raised"
            )
        try:
            row = checked_row(volume)
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
                volume = volumes[self._numbers.index(number)]
                raise ListError(
                    f"{self._name}, {place} {number}: the volume {volume} stands in {place} "
                    f"{first} already; {self._manner.once}"
                )
