"""How long a task is this worker's without a word of the operator: after that it is another's.

Nobody but the worker itself can stop it then, so it does, a margin before.
"""

import threading

from bec_ops.link.stopping import Stop
from bec_ops.outside.client import now

_LOOK = 1.0  # seconds, at most, between two looks: a machine that sleeps wakes up late
_SHARE = 4  # of a short lease the margin is a quarter, at most


class Lease:
    """Asks the work to stop once nothing was heard for too long; `begun` is when it was given."""

    def __init__(self, seconds: float, margin: float, begun: float, stop: Stop) -> None:
        self._seconds, self._stop = seconds, stop
        self._own = seconds - min(margin, seconds / _SHARE)
        self._heard = begun
        self._ended = threading.Event()
        threading.Thread(target=self._watch, name="lease", daemon=True).start()

    def renew(self, heard: float) -> None:
        """Count anew from a moment at which the operator is sure to have heard of the worker."""
        self._heard = max(self._heard, heard)

    def end(self) -> None:
        """Watch no more: the task has ended."""
        self._ended.set()

    def _watch(self) -> None:
        while (left := self._heard + self._own - now()) > 0:
            if self._ended.wait(min(left, _LOOK)):
                return
        if not self._ended.is_set():
            self._stop.request(
                f"the operator was not heard for {now() - self._heard:.0f} s, and after "
                f"{self._seconds:.0f} s the volume is another worker's"
            )
