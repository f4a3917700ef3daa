"""Markers of which S3 did not tell, for a reason that concerns each of them alone."""

import math
from dataclasses import dataclass

from bec_operator.decide.sight.refusals import STORAGE_FORBIDDEN
from bec_operator.decide.sight.seen import Fact

AGAIN_AFTER = 5.0  # seconds until S3 is asked again for a marker, and
AGAIN_AT_MOST = 3600.0  # at most: doubled from time to time
RESTORED_AFTER = 60.0  # seconds until archived ones are asked for again: to restore takes hours


@dataclass(frozen=True, slots=True)
class Unread:
    """Why S3 did not tell of a marker, the last of so many times in a row."""

    fact: Fact
    times: int = 1

    def again(self, fact: Fact) -> "Unread":
        """Return it as it is after another look in vain."""
        return Unread(fact, self.times + 1 if fact.reason == self.fact.reason else 1)

    def is_due(self, now: float) -> bool:
        """Whether to look again. What is forbidden may be mended in a moment, all else takes time.

        Where the storage is out of order, that is found out in another way.
        """
        times = 1 if self.fact.reason == STORAGE_FORBIDDEN else self.times
        return now - self.fact.at >= min(AGAIN_AFTER * 2.0 ** min(times - 1, 20), AGAIN_AT_MOST)


@dataclass(slots=True)
class PutOff:
    """When markers that are put off are asked for again, all at once, and each time later.

    `fact` says of one of them why, as it was when it was looked at last, `number` how many they
    were when they were asked for again.
    """

    fact: Fact | None = None
    number: int = 0
    rounds: int = 0
    until: float = math.inf

    def note(self, fact: Fact, now: float) -> None:
        """Take in that a marker is put off."""
        wait = min(RESTORED_AFTER * 2.0 ** min(self.rounds, 20), AGAIN_AT_MOST)
        self.fact, self.until = fact, now + wait

    def ends(self, now: float) -> bool:
        """Whether it is time to ask again; if so, the next time comes later."""
        if now < self.until:
            return False
        self.rounds, self.until = self.rounds + 1, math.inf
        return True
