"""How long a job still takes."""

from dataclasses import dataclass

from bec_operator.api.job import Counts


@dataclass(slots=True)
class Eta:
    """How many volumes had been tried, and when that was, as we began to count them.

    That is when the job was loaded, or opened again: what was done before it lay idle, or before
    this process began, says nothing of how fast it goes.
    """

    since: float = 0.0
    before: int = 0

    def begin(self, tried: int, now: float) -> None:
        """Count from now on: so many volumes have been tried."""
        self.since, self.before = now, tried

    def seconds_left(self, counts: Counts, share: float, now: float) -> float | None:
        """Return how long the rest takes at the rate so far; None while there is no rate.

        `share` is what is done of the volumes that run.
        """
        ran = counts.finished - counts.already_done - self.before + share
        left = counts.total - counts.finished - share
        if ran <= 0 or left <= 0:
            return None
        return left * max(now - self.since, 1.0) / ran
