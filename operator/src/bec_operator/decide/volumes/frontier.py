"""The frontier: for each volume without a task, whether it could get one now. Kept in memory."""

from collections.abc import Iterable, Iterator, Set
from enum import IntEnum
from itertools import islice


class VolumeState(IntEnum):
    """What is known of a volume that decides whether a task may be made for it."""

    UNCHECKED = 0  # whether its marker stands has to be read first
    READING = 1
    STARTABLE = 2  # no marker stands
    ACTIVE = 3  # has a VolumeTask
    SETTLED = 4  # the ledger says what became of it
    GATED = 5  # no marker stands, and it waits for another job
    ARCHIVED = 6  # its marker stands, and cannot be read: it is looked at again much later
    UNVERSIONED = 7  # it came without a version, which is looked for: it has no place yet


SHUT_BIT = 0x80
_READY = {VolumeState.STARTABLE, VolumeState.GATED}
_REGATED = bytes(
    (VolumeState.GATED if state & SHUT_BIT else VolumeState.STARTABLE)
    if state & ~SHUT_BIT in _READY
    else state & ~SHUT_BIT
    for state in range(256)
)
_CLEARED = bytes(
    VolumeState.STARTABLE if state == VolumeState.UNCHECKED else state for state in range(256)
)
_MASKS = {state: bytes(0xFF if at == state else 0 for at in range(256)) for state in VolumeState}


class Frontier:
    """One byte a volume, searched at the speed of `bytes.find`."""

    def __init__(self, total: int, settled: Iterable[int] = ()) -> None:
        self._states = bytearray(total)
        for index in settled:
            self._states[index] = VolumeState.SETTLED

    def __getitem__(self, index: int) -> VolumeState:
        return VolumeState(self._states[index])

    def __setitem__(self, index: int, state: VolumeState) -> None:
        self._states[index] = state

    @property
    def states(self) -> bytes:
        """The states of all volumes, a byte each."""
        return bytes(self._states)

    def lengthen(self, more: int) -> None:
        """Take in that the manifest has `more` volumes at its end."""
        self._states.extend(bytes([VolumeState.UNCHECKED]) * more)

    def clear(self, start: int, end: int, left_out: Set[int]) -> None:
        """Let what is unchecked from `start` until before `end` be startable, but for some."""
        kept = [index for index in left_out if self._states[index] == VolumeState.UNCHECKED]
        self._states[start:end] = self._states[start:end].translate(_CLEARED)
        for index in kept:
            self._states[index] = VolumeState.UNCHECKED

    def first(self, state: VolumeState, count: int, start: int = 0) -> list[int]:
        """Return the first `count` indices from `start` on that are at `state`, in their order."""
        return list(islice(self.each(state, start), max(count, 0)))

    def each(self, state: VolumeState, start: int = 0) -> Iterator[int]:
        """Yield the indices from `start` on that are at `state`, in their order."""
        at = start - 1
        while (at := self._states.find(state, at + 1)) >= 0:
            yield at

    def count(self, state: VolumeState) -> int:
        """Return how many volumes are at `state`."""
        return self._states.count(state)

    def turn(self, before: VolumeState, after: VolumeState) -> None:
        """Let all that is at one state be at another."""
        self._states[:] = self._states.replace(bytes([before]), bytes([after]))

    def regate(self, shut: bytes) -> None:
        """Let what could start wait for other jobs, or go.

        `shut` has `SHUT_BIT` for each volume that has to wait, else 0.
        """
        joined = int.from_bytes(self._states) | int.from_bytes(shut)
        self._states[:] = joined.to_bytes(len(shut)).translate(_REGATED)

    def among(self, state: VolumeState, states: bytes) -> bytes:
        """Return `states`, a byte a volume, with 0 for each volume that is not at `state`."""
        mask = int.from_bytes(self._states.translate(_MASKS[state]))
        return (mask & int.from_bytes(states)).to_bytes(len(states))
