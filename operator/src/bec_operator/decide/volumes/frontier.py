"""The frontier: for each volume without a task, whether it could get one now. Kept in memory."""

from collections.abc import Iterable, Set
from enum import IntEnum


class Look(IntEnum):
    """What is known of a volume that decides whether a task may be made for it."""

    UNCHECKED = 0  # whether its marker stands has to be read first
    READING = 1
    STARTABLE = 2  # no marker stands
    ACTIVE = 3  # has a VolumeTask
    SETTLED = 4  # the ledger says what became of it
    GATED = 5  # no marker stands, and it waits for another job
    ARCHIVED = 6  # its marker stands, and cannot be read: it is looked at again much later


SHUT_BIT = 0x80
_READY = {Look.STARTABLE, Look.GATED}
_REGATED = bytes(
    (Look.GATED if look & SHUT_BIT else Look.STARTABLE)
    if look & ~SHUT_BIT in _READY
    else look & ~SHUT_BIT
    for look in range(256)
)
_CLEARED = bytes(Look.STARTABLE if look == Look.UNCHECKED else look for look in range(256))
_MASKS = {look: bytes(0xFF if at == look else 0 for at in range(256)) for look in Look}


class Frontier:
    """One byte a volume, searched at the speed of `bytes.find`."""

    def __init__(self, total: int, settled: Iterable[int] = ()) -> None:
        self._looks = bytearray(total)
        for index in settled:
            self._looks[index] = Look.SETTLED

    def __getitem__(self, index: int) -> Look:
        return Look(self._looks[index])

    def __setitem__(self, index: int, look: Look) -> None:
        self._looks[index] = look

    def lengthen(self, more: int) -> None:
        """Take in that the manifest has `more` volumes at its end."""
        self._looks.extend(bytes([Look.UNCHECKED]) * more)

    def clear(self, start: int, end: int, left_out: Set[int]) -> None:
        """Let what is unchecked from `start` until before `end` be startable, but for some."""
        kept = [index for index in left_out if self._looks[index] == Look.UNCHECKED]
        self._looks[start:end] = self._looks[start:end].translate(_CLEARED)
        for index in kept:
            self._looks[index] = Look.UNCHECKED

    def first(self, look: Look, count: int, start: int = 0) -> list[int]:
        """Return the first `count` indices from `start` on that are at `look`, in their order."""
        found: list[int] = []
        at = start - 1
        while len(found) < count and (at := self._looks.find(look, at + 1)) >= 0:
            found.append(at)
        return found

    def count(self, look: Look) -> int:
        """Return how many volumes are at `look`."""
        return self._looks.count(look)

    def turn(self, before: Look, after: Look) -> None:
        """Let all that is at one look be at another."""
        self._looks[:] = self._looks.replace(bytes([before]), bytes([after]))

    def regate(self, shut: bytes) -> None:
        """Let what could start wait for other jobs, or go.

        `shut` has `SHUT_BIT` for each volume that has to wait, else 0.
        """
        joined = int.from_bytes(self._looks) | int.from_bytes(shut)
        self._looks[:] = joined.to_bytes(len(shut)).translate(_REGATED)

    def among(self, look: Look, states: bytes) -> bytes:
        """Return `states`, a byte a volume, with 0 for each volume that is not at `look`."""
        mask = int.from_bytes(self._looks.translate(_MASKS[look]))
        return (mask & int.from_bytes(states)).to_bytes(len(states))
