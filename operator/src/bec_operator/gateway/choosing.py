"""Of which Jobs a worker from elsewhere may have volumes now, and whose turn it is."""

from collections.abc import Callable, Iterator

from bec_operator.act.ground.context import Context
from bec_operator.act.ground.enrolled import Offer, Outsider
from bec_operator.act.ground.key import Key
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.seen import JobSeen
from bec_operator.decide.slots.sites import volumes_for
from bec_operator.worker_api.callers.refusals import CallRefusedError

LOOK_AGAIN = 0.5  # seconds between two looks whether a Job has work
BEHIND = 5.0  # seconds for which a Job that gave nothing is behind all others
_REMEMBERED = 10_000


class Choosing:
    """Whose turn it is: those of a higher priority, then those that were asked longest ago."""

    def __init__(self, ctx: Context, memory_of: Callable[[Key], Memory | None]) -> None:
        self._ctx = ctx
        self._memory_of = memory_of
        self._tried: dict[Key, float] = {}
        self._looked: dict[tuple[Key, str], tuple[float, bool]] = {}
        self._vain: dict[tuple[Key, str], float] = {}

    def note_served(self, job: Key) -> None:
        """Take in that a worker got a volume of a Job."""
        self._tried[job] = self._ctx.clock.now()
        if len(self._tried) > len(list(self._ctx.cache.jobs.all())) + 1000:
            self._tried = {k: at for k, at in self._tried.items() if self._ctx.cache.jobs.get(*k)}

    def note_vain(self, job: Key, offer: Offer) -> None:
        """Take in that a Job had a look at a worker, and gave it nothing: others come first now."""
        now = self._ctx.clock.now()
        self.note_served(job)
        self._vain[job, offer.site] = now
        if len(self._vain) > _REMEMBERED:
            self._vain = {k: at for k, at in self._vain.items() if now - at < BEHIND}

    def jobs(self, worker: Outsider, offer: Offer) -> list[Key]:
        """Return the Jobs that may have a volume for a worker now, the first one first."""
        now = self._ctx.clock.now()
        allowed = self._allowed(worker, offer)
        found = [(job, m) for job, m in allowed if self._has_work(_key(job), m, offer.site, now)]

        def turn(job: JobSeen) -> tuple[bool, int, float]:
            vain = now - self._vain.get((_key(job), offer.site), 0.0) < BEHIND
            priority = job.spec.priority if job.spec is not None else 0
            return vain, -priority, self._tried.get(_key(job), 0.0)

        return [_key(job) for job in sorted((job for job, _ in found), key=turn)]

    def _has_work(self, job: Key, memory: Memory, site: str, now: float) -> bool:
        """Whether there is work at a site, as of a moment ago: many may wait and ask."""
        at, has = self._looked.get((job, site), (0.0, False))
        if now - at >= LOOK_AGAIN:
            if len(self._looked) > _REMEMBERED:
                self._looked.clear()
            has = not _is_full(memory) and _has_work(memory, site, now)
            self._looked[job, site] = now, has
        return has

    def are_over(self, worker: Outsider, offer: Offer) -> bool:
        """Whether all Jobs that a worker names have ended; raises CallRefusedError if one is none.

        One that may not have a Job is told the same as if there was none.
        """
        ended = []
        for key in offer.jobs:
            job = self._ctx.cache.jobs.get(*key)
            if job is None or not worker.scope.covers(key):
                raise CallRefusedError("Forbidden", f"there is no Job {key[0]}/{key[1]} for you")
            if job.spec is not None and not job.spec.outside.allowed:
                raise CallRefusedError(
                    "Forbidden",
                    f"Job {key[0]}/{key[1]} gives nothing to workers from elsewhere; set "
                    "spec.outside.allowed, and it does",
                )
            ended.append(job.has_ended)
        return bool(ended) and all(ended)

    def _allowed(self, worker: Outsider, offer: Offer) -> Iterator[tuple[JobSeen, Memory]]:
        if not worker.scope.allows_site(offer.site):
            raise CallRefusedError(
                "Forbidden", f"its enrolment is not for the site {offer.site!r}: name another"
            )
        for job in self._ctx.cache.jobs.all():
            key, spec = _key(job), job.spec
            if spec is None or not spec.outside.allowed or spec.suspend or job.status.terminal:
                continue
            if not worker.scope.covers(key) or (offer.jobs and key not in offer.jobs):
                continue
            if offer.handlers and (spec.worker.handler or "") not in offer.handlers:
                continue
            memory = self._memory_of(key)
            if memory is not None and memory.ledger is not None:
                yield job, memory


def _key(job: JobSeen) -> Key:
    return job.namespace, job.name


def _is_full(memory: Memory) -> bool:
    """Whether workers from elsewhere have as many volumes of a Job as they may."""
    spec, begun = memory.job.spec, (t.recorded_begun for t in memory.books.tasks.values())
    held = sum(bool(attempt and attempt.lease_seconds) for attempt in begun)
    return spec is None or held >= spec.outside.max


def _has_work(memory: Memory, site: str, now: float) -> bool:
    """Whether any volume could start at a site, or waits for its next attempt."""
    if volumes_for(memory, site, now, 1):
        return True
    return any(task.recorded_begun is None for task in memory.books.tasks.values())
