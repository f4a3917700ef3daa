"""The gate of one dependency: for each volume one byte, of whether the volume may start.

It is derived from what is known of the other job, wholly and anew when that has changed. With
tens of thousands of volumes this happens often, so bytes are handled all at once, never one by one.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import lru_cache
from typing import Any

from bec_operator.api.dependency import Dependency, OnFailure
from bec_operator.decide.sight.seen import Fact
from bec_operator.decide.volumes.frontier import Frontier, VolumeState
from bec_operator.decide.volumes.ledger import Ledger, Outcome
from bec_operator.decide.volumes.marker_retry_times import PutOff
from bec_operator.decide.volumes.volume_list import VolumeList
from bec_ops.contract.volume import Volume


class Way(IntEnum):
    """How it stands with one volume in one dependency. Bits, so that several can be laid over."""

    OPEN = 0
    SHUT = 1  # no success yet
    GIVEN_UP = 2  # failed for good over there, and it waits all the same
    SKIP = 4  # failed for good, so it is to be skipped, or
    FAIL = 8


_GIVEN_UP = {OnFailure.WAIT: Way.GIVEN_UP, OnFailure.SKIP: Way.SKIP, OnFailure.FAIL: Way.FAIL}
_LISTED = 0xFF  # the other job's ledger speaks for the volume
_HELD = 0x81  # as `SHUT`, and it is not asked now whether its marker stands
_AS_WAYS = bytes(Way.SHUT if way == _HELD else way for way in range(256))
_ONLY_HELD = bytes(way == _HELD for way in range(256))
_ONLY_SHUT = bytes(way == Way.SHUT for way in range(256))


@dataclass(frozen=True, slots=True)
class Place:
    """Where the artefacts of a dependency are: `prefix` is a template.

    Markers from before `redone` (epoch seconds) do not count there.
    """

    job_id: str
    bucket: str
    prefix: str
    redone: int = 0


@dataclass(frozen=True, slots=True)
class Outcomes:
    """The volumes of a job, and what became of each."""

    volumes: Sequence[Volume]
    ledger: Ledger


@lru_cache(maxsize=64)
def answers(on_failure: OnFailure, *, failures_stand: bool, ended: bool) -> bytes:
    """Return the way that each byte of a ledger stands for.

    `failures_stand` is whether what failed there will not be tried again, `ended` whether that
    holds for what has not been tried, too.
    """
    given_up = _GIVEN_UP[on_failure] if failures_stand else Way.SHUT
    ways = {
        int(Outcome.WAITING): given_up if ended else Way.SHUT,
        int(Outcome.SUCCEEDED): Way.OPEN,
        int(Outcome.FAILED): given_up,
        int(Outcome.SKIPPED): given_up,
    }
    return bytes(ways.get(entry & 0b111, Way.SHUT) for entry in range(256))


class Gate:
    """The gate of one dependency.

    `place` is None as long as it is not known. `trouble` says why its artefacts cannot be looked
    at, `unreadable` why its ledger cannot be read. `sweep_at` is when a sweep is due, `cursor` the
    volume to begin with.
    """

    def __init__(self, dependency: Dependency, volumes: Sequence[Volume]) -> None:
        self.dependency = dependency
        self.place: Place | None = None
        self.trouble: Fact | None = None
        self.unreadable: Fact | None = None
        self.sweep_at = 0.0
        self.cursor = 0
        self.held = PutOff()
        self._volumes = volumes
        self.states = self._all(Way.SHUT)
        self._found = bytearray(self.states)  # `_LISTED`, or whether a marker was found
        self._finds = 0
        self._basis: tuple[Any, ...] = ()
        self._list: tuple[str, int] | None = None
        self._runs = (array("i"), array("i"))  # as `_runs_of` has them

    @property
    def name(self) -> str:
        """What people call the dependency."""
        return self.dependency.name

    def _all(self, way: Way) -> bytes:
        return bytes([way]) * len(self._volumes)

    def shut(self) -> None:
        """Let all wait: nothing is known of the other job."""
        self._become(self._all(Way.SHUT), ())

    def locate(self, place: Place) -> None:
        """Take in where the artefacts are; what was found elsewhere, or before, counts no more."""
        if place == self.place:
            return
        self.place, self.trouble, self.sweep_at, self.cursor = place, None, 0.0, 0
        self.held = PutOff()
        self._found = bytearray(self._all(Way.SHUT))
        self._list, self._basis = None, ()

    def follow_artefacts(self) -> None:
        """Derive the gate from markers alone."""
        if self._basis != (self._finds,):
            self._become(bytes(self._found.translate(_AS_WAYS)), (self._finds,))

    def follow(self, outcomes: Outcomes, ways: bytes) -> None:
        """Derive the gate from a job's ledger, whose bytes stand for `ways`.

        For volumes that are not in its list, markers speak.
        """
        ledger = outcomes.ledger
        known = (ledger.manifest, len(ledger))
        if known != self._list:
            self._align(outcomes.volumes)
            self._list, self._basis = known, ()
        basis = (ledger, ledger.revision, ways, self._finds)
        if basis != self._basis:
            entries = ledger.translated(ways) + bytes([Way.SHUT])
            parts = [entries[start:end] for start, end in zip(*self._runs, strict=True)]
            picked = int.from_bytes(b"".join(parts))
            merged = picked & int.from_bytes(self._found.translate(_AS_WAYS))
            self._become(merged.to_bytes(len(self._volumes)), basis)

    def _become(self, states: bytes, basis: tuple[Any, ...]) -> None:
        self.states, self._basis = states, basis

    def _align(self, volumes: Sequence[Volume]) -> None:
        """Find each volume's place in the other job's list; past its end if it has none."""
        places = {row: index for index, row in enumerate(VolumeList.of(volumes).rows())}
        rows = VolumeList.of(self._volumes).rows()
        found = array("i", (places.get(row, len(volumes)) for row in rows))
        self._runs = _runs_of(found)
        for index, place in enumerate(found):
            if place < len(volumes):
                self._found[index] = _LISTED
            elif self._found[index] in {_LISTED, _HELD}:
                self._found[index] = Way.SHUT

    def note_found(self, index: int) -> None:
        """Take in that the marker of a volume stands over there."""
        if self._found[index] == Way.SHUT:
            self._found[index] = Way.OPEN
            self._finds += 1

    def note_held(self, indices: Sequence[int], fact: Fact, now: float) -> None:
        """Take in of which volumes S3 does not tell: none of the others waits for that."""
        for index in indices:
            if self._found[index] == Way.SHUT:
                self._found[index] = _HELD
        if indices:
            self.held.note(self._saying(fact), now)

    def let_go(self, now: float) -> None:
        """Have those looked at again of which S3 did not tell, once it is time to."""
        if self.held.ends(now):
            self._found = self._found.replace(bytes([_HELD]), bytes([Way.SHUT]))

    def _saying(self, fact: Fact) -> Fact:
        return replace(fact, message=f"dependsOn {self.name}: {fact.message}")

    def note_sweep(self, trouble: Fact | None, *, cursor: int, again_at: float) -> None:
        """Take in how a sweep went, and when and where the next one begins."""
        self.trouble = self._saying(trouble) if trouble is not None else None
        self.cursor, self.sweep_at = cursor, again_at
        if _HELD not in self._found:
            self.held.fact = None  # what was held has been looked at again

    def sought(self, frontier: Frontier) -> list[int]:
        """Return the volumes that wait for a marker that only a look at S3 can tell of."""
        sought = frontier.among(VolumeState.GATED, bytes(self._found).translate(_ONLY_SHUT))
        return [index for index, wanted in enumerate(sought) if wanted]

    def seeks(self, frontier: Frontier) -> bool:
        """Whether there are any of these."""
        return 1 in frontier.among(VolumeState.GATED, bytes(self._found).translate(_ONLY_SHUT))

    def holds(self, frontier: Frontier) -> bool:
        """Whether any wait for a marker of which S3 does not tell."""
        return 1 in frontier.among(VolumeState.GATED, bytes(self._found).translate(_ONLY_HELD))


def _runs_of(places: Sequence[int]) -> "tuple[array[int], array[int]]":
    """Return where the runs of places that follow each other begin, and where they end.

    Lists of jobs that depend on each other mostly have one order: so much is copied at once.
    """
    starts, ends = array("i"), array("i")
    for place in places:
        if ends and place == ends[-1]:
            ends[-1] += 1
        else:
            starts.append(place)
            ends.append(place + 1)
    return starts, ends
