"""How long a task waits before another attempt."""

from zlib import crc32

from bec_operator.api.base import seconds
from bec_operator.api.job import Backoff
from bec_operator.decide.failures import RULES, FailureClass

JITTER = 0.2  # of the delay, to either side
_DOUBLINGS = 30  # more are beyond any maximum


def delay(backoff: Backoff, failures: list[FailureClass], seed: str) -> float:
    """Return the seconds between the last of `failures` and the next attempt.

    `initial`, doubled with each earlier failure that had to wait, never above `max`. `seed` spreads
    the attempts of tasks that failed together: the same seed gives the same delay.
    """
    if not failures or RULES[failures[-1]].at_once:
        return 0.0
    waits = sum(not RULES[failure].at_once for failure in failures)
    base = seconds(backoff.initial) * 2.0 ** min(waits - 1, _DOUBLINGS)
    spread = crc32(f"{seed} {len(failures)}".encode()) / 2**32  # 0 to 1
    return min(base, seconds(backoff.max)) * (1 + JITTER * (2 * spread - 1))
