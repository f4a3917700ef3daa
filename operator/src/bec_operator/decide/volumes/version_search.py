"""Versions of volumes that came without one: which are found, and how the search for them goes on.

It goes round through the manifest, so many at a time: what gives no answer hides nothing behind it.
"""

from collections.abc import Set
from dataclasses import dataclass, field

from bec_operator.decide.sight.seen import Fact

STAND_IN = "0" * 6  # where a version is needed, and is not found yet
FIRST, MOST = 64, 16384  # volumes that are asked about at once: few first, so that some soon begin
AGAIN, AGAIN_AT_MOST = 2.5, 60.0  # seconds between two rounds, if some gave no answer in the first


@dataclass(slots=True)
class VersionSearch:
    """The versions that are found and do not stand in the manifest yet, by index; and the rest."""

    found: dict[int, str] = field(default_factory=dict)
    at_once: int = FIRST
    search_from: int = 0  # where the next look begins
    not_before: float = 0.0
    trouble: Fact | None = None  # why some could not be found out, in this round or the last one
    in_round: Fact | None = None  # the same, of this round
    rounds_in_vain: int = 0  # one after the other

    def note_looked(self, trouble: Fact | None, search_from: int) -> None:
        """Take in that some were asked about, those before `search_from`, and what was in the way.

        With 0, all have had their turn.
        """
        self.at_once = min(2 * self.at_once, MOST)
        self.search_from = search_from
        self.in_round = trouble or self.in_round
        self.trouble = self.in_round or self.trouble
        if search_from:
            return
        self.trouble, self.in_round = self.in_round, None
        self.rounds_in_vain = self.rounds_in_vain + 1 if self.trouble is not None else 0
        if self.trouble is not None:
            wait = AGAIN * 2.0 ** min(self.rounds_in_vain, 10)
            self.not_before = self.trouble.at + min(wait, AGAIN_AT_MOST)

    def note_stored(self, indices: Set[int]) -> None:
        """Take in that the versions of these volumes stand in the manifest."""
        for index in indices:
            self.found.pop(index, None)
