"""The operator's clock: epoch seconds that never jump, whatever happens to the machine's clock."""

import time


class Clock:
    """Wall time at the start, and from then on the monotonic clock."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def now(self) -> float:
        """Return the time, in epoch seconds."""
        return time.monotonic() + self._offset
