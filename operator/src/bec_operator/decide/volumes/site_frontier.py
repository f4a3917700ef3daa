"""The frontier of volumes that have sites: what could start of each, and what has waited for long.

Three bytes a volume more, kept so that a search is one for a byte. How long volumes have waited is
counted in steps, an eighth of the time that is asked for: so no volume has a moment of its own.
"""

from collections.abc import Iterable, Iterator, Sequence, Set
from heapq import merge

from bec_operator.decide.volumes.frontier import Frontier, VolumeState
from bec_operator.decide.volumes.volume_sites import VolumeSites, sites_of
from bec_ops.contract.volume import Volume

STEPS = 8
_RIPE = STEPS + 1  # the first step may have begun before the volume could start
_MARKS = bytes(min(code + 1, 255) for code in range(256))  # 0 is for volumes that cannot start
_OLDER = bytes(min(age + 1, _RIPE) for age in range(256))
_IS_RIPE = bytes(0xFF if age >= _RIPE else 0 for age in range(256))


class SiteFrontier(Frontier):
    """The frontier that knows of each volume that could start its site, and if it is *ripe*.

    That is one that could start for so long that it is for other sites as well. After a restart,
    all begin to wait anew.
    """

    def __init__(self, states: bytes, sites: VolumeSites) -> None:
        """Go on with the states of volumes, which all begin to wait."""
        super().__init__(0)
        self._states = bytearray(states)
        self._ready, self._ages, self._ripe = (bytearray(len(states)) for _ in range(3))
        self._stepped: float | None = None
        self.note_sites(sites)

    def note_sites(self, sites: VolumeSites) -> None:
        """Take in the sites of all volumes; those that are known do not change."""
        self.sites = sites
        self._marks = sites.codes.ljust(len(self._states), b"\0").translate(_MARKS)
        self._derive()

    # --- what changes

    def __setitem__(self, index: int, state: VolumeState) -> None:
        super().__setitem__(index, state)
        if state is not VolumeState.STARTABLE:
            self._ready[index] = self._ages[index] = self._ripe[index] = 0
        elif not self._ready[index]:
            self._ready[index] = self._marks[index]

    def clear(self, start: int, end: int, left_out: Set[int]) -> None:
        """Let what is unchecked from `start` until before `end` be startable, but for some."""
        super().clear(start, end, left_out)
        self._derive()

    def turn(self, before: VolumeState, after: VolumeState) -> None:
        """Let all that is at one state be at another."""
        super().turn(before, after)
        self._derive()

    def regate(self, shut: bytes) -> None:
        """Let what could start wait for other jobs, or go."""
        super().regate(shut)
        self._derive()

    def lengthen(self, more: int) -> None:
        """Take in that the manifest has `more` volumes at its end, of no site."""
        super().lengthen(more)
        for part in (self._ready, self._ages, self._ripe):
            part.extend(bytes(more))
        self._marks = self._marks.ljust(len(self._ready), _MARKS[:1])

    def _derive(self) -> None:
        """Take in what has changed of many: what can start no more has not waited either."""
        self._ready[:] = self.among(VolumeState.STARTABLE, self._marks)
        for part in (self._ages, self._ripe):
            if part.count(0) < len(part):
                part[:] = self.among(VolumeState.STARTABLE, bytes(part))

    def let_wait(self, now: float, patience: float) -> None:
        """Take in that time has passed: after so many seconds volumes are for other sites too."""
        step = patience / STEPS
        if self._stepped is None or now < self._stepped:
            self._stepped = now
        steps = int((now - self._stepped) / step)
        if not steps:
            return
        self._stepped += steps * step
        if self._ripe == self._ready:
            return
        for _ in range(min(steps, _RIPE)):
            self._ages = self._ages.translate(_OLDER)
        self._ages[:] = self.among(VolumeState.STARTABLE, bytes(self._ages))
        ripe = int.from_bytes(self._ages.translate(_IS_RIPE)) & int.from_bytes(self._marks)
        self._ripe[:] = ripe.to_bytes(len(self._marks))

    # --- what is asked

    def startable(self, codes: Iterable[int], *, ripe: bool = False) -> Iterator[int]:
        """Yield, in manifest order, what could start of the sites of some codes.

        With `ripe`, what has waited for long alone.
        """
        part = self._ripe if ripe else self._ready
        return merge(*(_found(part, _MARKS[code]) for code in codes))

    def count_startable(self, code: int, *, ripe: bool = False) -> int:
        """Return how many volumes of a site could start, or are ripe."""
        return (self._ripe if ripe else self._ready).count(_MARKS[code])


def with_sites(frontier: Frontier, volumes: Sequence[Volume]) -> Frontier:
    """Return the frontier as it is of volumes with their sites; the same one if none has any."""
    sites = sites_of(volumes)
    if isinstance(frontier, SiteFrontier):
        frontier.note_sites(sites)
        return frontier
    return SiteFrontier(frontier.states, sites) if sites.codes else frontier


def _found(part: bytearray, mark: int) -> Iterator[int]:
    at = -1
    while (at := part.find(mark, at + 1)) >= 0:
        yield at
