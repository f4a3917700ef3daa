"""The operator's clock: epoch seconds that never jump, whatever happens to the machine's clock."""

import time


class Clock:
    """Wall time at the start, and from then on the monotonic clock."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def now(self) -> float:
        """Return the time, in epoch seconds."""
        return time.monotonic() + self._offset


AGAIN_AT_MOST = 300.0  # seconds
UNANSWERED_AGAIN_AT_MOST = 60.0  # the same, of who gave no answer at all
LONG = 2.0  # seconds; what takes longer is put off by so many times of what is beyond
TIMES_AS_LONG = 20


def later(clock: Clock, begun: float, least: float = 0.0, most: float = AGAIN_AT_MOST) -> float:
    """Return when to count as seen what is to be looked at again: the later, the longer it took.

    Else a long list with a fault in its last line would be read all the time.
    """
    now = clock.now()
    return now + max(least, min(most, TIMES_AS_LONG * (now - begun - LONG)))
