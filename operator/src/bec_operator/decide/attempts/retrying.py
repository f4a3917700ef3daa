"""Whether a task gets another attempt, and after what time."""

from dataclasses import dataclass
from itertools import takewhile
from zlib import crc32

from bec_operator.api.base import seconds
from bec_operator.api.retry import Backoff
from bec_operator.decide.sight.failures import RULES, FailureClass
from bec_operator.decide.sight.seen import TaskSeen

MAX_DISRUPTIONS = 20
JITTER = 0.2  # of the delay, to either side
_DOUBLINGS = 30  # more are beyond any maximum


@dataclass(frozen=True, slots=True)
class Budget:
    """What `retry` allows a task: how many attempts, and whether a time-out is the end of it."""

    limit: int = 3
    timeouts_final: bool = False


def is_final(failures: list[FailureClass], budget: Budget) -> bool:
    """Return whether a task whose attempts failed like this gets no further attempt.

    `failures` is in the order of the attempts.
    """
    if not failures:
        return False
    last = RULES[failures[-1]]
    counted = sum(not RULES[f].free for f in failures)
    disruptions = sum(RULES[f].capped for f in failures)
    return (
        last.final
        or (last.timed_out and budget.timeouts_final)
        or counted >= budget.limit
        or disruptions >= MAX_DISRUPTIONS
    )


def delay(backoff: Backoff, failures: list[FailureClass], seed: str) -> float:
    """Return the seconds between the last of `failures` and the next attempt.

    `initial`, doubled with each earlier failure that had to wait, never above `max`. After a
    disruption it does not wait, after several in a row it does, whatever there was before. `seed`
    spreads the attempts of tasks that failed together: the same seed gives the same delay.
    """
    waits = _waits(failures)
    if not waits:
        return 0.0
    base = seconds(backoff.initial) * 2.0 ** min(waits - 1, _DOUBLINGS)
    spread = crc32(f"{seed} {len(failures)}".encode()) / 2**32  # 0 to 1
    return min(base, seconds(backoff.max)) * (1 + JITTER * (2 * spread - 1))


def _waits(failures: list[FailureClass]) -> int:
    """Return how often the task has had to wait, this time included; 0 if it need not."""
    if not failures or RULES[failures[-1]].at_once:
        return 0
    if RULES[failures[-1]].spared:
        return disruptions_in_a_row(failures) - 1
    return sum(not (RULES[f].at_once or RULES[f].spared) for f in failures)


def disruptions_in_a_row(failures: list[FailureClass]) -> int:
    """Return how many of the last failures were disruptions, with no other between them."""
    return sum(1 for _ in takewhile(lambda failure: RULES[failure].spared, reversed(failures)))


def is_due(task: TaskSeen, backoff: Backoff, now: float) -> bool:
    """Whether the back-off of a task is over.

    A moment that lies further ahead than any back-off does was told by another clock.
    """
    longest = seconds(backoff.max) * (1 + JITTER) + 1.0  # moments are kept to the second
    return not now < task.next_attempt <= now + longest
