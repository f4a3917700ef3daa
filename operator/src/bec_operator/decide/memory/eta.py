"""How long a job still takes."""

from dataclasses import dataclass

from bec_operator.api.job import Counts


@dataclass(slots=True)
class Eta:
    """How many volumes had been tried as we began to count them, and for how long some have run.

    That is when the job was loaded, or opened again: what was done before says nothing of how fast
    it goes. Nor does the time in which nothing ran: it was suspended, stalled, or waited.
    """

    before: int = 0
    worked: float = 0.0  # seconds
    _last: float = 0.0
    _working: bool = False

    def begin(self, tried: int, now: float) -> None:
        """Count from now on: so many volumes have been tried."""
        self.before, self.worked, self._last, self._working = tried, 0.0, now, False

    def note(self, now: float, *, working: bool) -> None:
        """Take in whether anything runs."""
        if self._working:
            self.worked += max(now - self._last, 0.0)
        self._last, self._working = now, working

    def seconds_left(self, counts: Counts, share: float) -> float | None:
        """Return how long the rest takes at the rate so far; None while there is no rate.

        `share` is what is done of the volumes that run.
        """
        ran = counts.finished - counts.already_done - self.before + share
        left = counts.total - counts.finished - share
        if ran <= 0 or left <= 0:
            return None
        return left * max(self.worked, 1.0) / ran
