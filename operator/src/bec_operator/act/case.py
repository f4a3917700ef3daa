"""What the reconciler keeps of one job: its memory, its demand, what is paused, what is broken."""

import asyncio
import random
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field

from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.action import Action, Key
from bec_operator.decide.sight.seen import JobSeen
from bec_operator.decide.slots.pacing import Pacing
from bec_operator.decide.slots.shares import Demand

BACKOFF = (1.0, 60.0)  # seconds before what failed is tried again, at first and at most
LOOK_AGAIN = 5.0  # seconds after which a job whose pass broke is looked at if something happens


def backoff(failures: int) -> float:
    """Return the seconds until the next try of what has failed so often in a row before."""
    first, last = BACKOFF
    return min(first * 2.0 ** min(failures, 30), last) * random.uniform(0.8, 1.2)  # noqa: S311


@dataclass(slots=True)
class Pause:
    """An action that failed: how often, and when it may be tried again."""

    failures: int = 0
    until: float = 0.0


@dataclass(slots=True)
class Fault:
    """Passes over a job that broke, one after the other: how often, and until when it waits.

    `generation` is that of the Job then: one that was changed is looked at as soon as it is.
    """

    said: str
    generation: int
    failures: int = 0
    at: float = 0.0
    until: float = 0.0

    def note(self, said: str, job: JobSeen, now: float) -> None:
        """Take in that another pass broke."""
        self.said, self.generation = said, job.generation
        self.at, self.until = now, now + backoff(self.failures)
        self.failures += 1

    def is_over(self, job: JobSeen, now: float, *, news: bool) -> bool:
        """Whether to look at the job again; `news`: something has happened to it."""
        if now >= self.until or job.generation != self.generation or job.deleting:
            return True
        return news and now - self.at >= LOOK_AGAIN


@dataclass(slots=True)
class Case:
    """One job as the reconciler keeps it: what is remembered, what it wants, what is paused."""

    memory: Memory
    demand: Demand = field(default_factory=Demand)
    pacing: Pacing = field(default_factory=Pacing)
    pauses: dict[Key, Pause] = field(default_factory=dict)
    dependants_know: object = None  # what those that depend on it were last looked at for
    parts: dict[Hashable, asyncio.Semaphore] = field(default_factory=dict)  # of each lane
    laid_by: object = None  # what bears on the tasks that were laid by, as it was then

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name of the Job."""
        return self.memory.job.namespace, self.memory.job.name

    def may_start(self, action: Action, now: float) -> bool:
        """Whether an action is not under way, nor paused."""
        key = action.key
        if self.memory.under_way.has(key):
            return False
        pause = self.pauses.get(key)
        return pause is None or pause.until <= now

    def pause(self, action: Action, now: float, at_least: float = 0.0) -> float:
        """Note that an action failed, and return the seconds until it may be tried again."""
        pause = self.pauses.setdefault(action.key, Pause())
        delay = max(backoff(pause.failures), at_least)
        pause.failures += 1
        pause.until = now + delay
        return delay

    def note_done(self, action: Action) -> None:
        """Take in that an action was done."""
        key = action.key
        self.pauses.pop(key, None)
        self.memory.under_way.forget_fault(key)

    def forget_pauses(self, actions: Iterable[Action], now: float) -> None:
        """Drop the pauses that are over of what is not among the actions any more."""
        if not self.pauses:
            return
        wanted = {action.key for action in actions}
        for key in [key for key in self.pauses if key not in wanted]:
            if self.pauses[key].until <= now and not self.memory.under_way.has(key):
                del self.pauses[key]
                self.memory.under_way.forget_fault(key)
