"""How often a job is looked at: at once while that costs little, seldom where it costs much."""

from dataclasses import dataclass

EVERY = 0.02  # seconds between two passes over one job, at least
SHARE = 0.02  # of the time, at most, is spent in passes over one job in the long run, or
POOL_SHARE = 0.1  # of it over one with a pool, whose workers wait for each; and
BURST = 0.1  # seconds of them beforehand: a small job is all beginning and end; but
LATEST = 5.0  # seconds after the last one is made all the same, if all jobs together allow it
ALL_SHARE = 0.4  # of the time, at most, is spent in passes over all jobs together, or
ALL_BURST = 0.2  # seconds of them beforehand; and
LONGEST_WAIT = 1.0  # seconds, for which they wait at most; and
LONGEST_BREATH = 0.02  # seconds at most are left to others between two of them for their own sake


@dataclass(slots=True)
class Pacing:
    """When the passes over one job are made: `last` and `next`, by our own clock.

    `credit` is how many seconds they may take now; it is earned as time goes by.
    """

    last: float = 0.0
    next: float = 0.0
    credit: float = BURST

    def note(self, now: float, took: float, share: float) -> None:
        """Take in that a pass began at `now` and took so many seconds."""
        earned = share * (now - self.last)
        credit = min(self.credit + earned, BURST) - took
        self.credit = max(credit, -share * LATEST)
        self.last, self.next = now, now + max(EVERY, -self.credit / share)


@dataclass(slots=True)
class Budget:
    """What passes over all jobs together may take of the time: workers call meanwhile."""

    credit: float = ALL_BURST
    _at: float = 0.0

    def spend(self, now: float, took: float) -> float:
        """Take in that a pass that has ended `now` took so many seconds.

        Return the seconds to wait before the next one: as many at least as it took, since what
        else is to be done, such as the answer to a call, takes several turns of the loop.
        """
        earned = ALL_SHARE * max(now - self._at, 0.0)
        self.credit = min(self.credit + earned, ALL_BURST) - took
        self._at = now
        wait = min(-self.credit / ALL_SHARE, LONGEST_WAIT)  # one long pass is not all jobs' fault
        return max(wait, min(took, LONGEST_BREATH))
