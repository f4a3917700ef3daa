"""The loop: a job that may have changed is looked at, and what `decide` says is done.

Round each job is a fence. Whatever a pass over it raises concerns that job alone: it says so, is
looked at again ever more rarely, and as soon as it changes; all others go on.
"""

import asyncio
import logging
from contextlib import suppress
from dataclasses import replace

from bec_operator.act.books import count_books
from bec_operator.act.doing import Doer
from bec_operator.act.ground.context import Context
from bec_operator.act.ground.faults import kind_and_place, log_fault
from bec_operator.act.ground.key import Key
from bec_operator.act.passes import Neighbours, make_pass
from bec_operator.act.work import Fault, Work
from bec_operator.api.job import JobStatus
from bec_operator.decide.attempts.actions import WriteStatus
from bec_operator.decide.jobs.dependencies import depend_on
from bec_operator.decide.jobs.status import with_stall
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.seen import JobSeen
from bec_operator.decide.slots import pacing
from bec_operator.decide.slots.pacing import Budget
from bec_operator.decide.slots.shares import Demand
from bec_operator.decide.volumes.reasons import INTERNAL_ERROR
from bec_operator.metrics import (
    HOSTS_AVOIDED,
    JOB_FAULTS,
    JOB_VOLUMES,
    PASS_SECONDS,
    POOL_QUEUE,
    POOL_SECONDS,
    POOL_WORKERS,
)

log = logging.getLogger(__name__)

TICK = 1.0  # seconds after which an unfinished job is looked at, whatever happens
BEGIN_ANEW_AFTER = 2  # passes that break in a row before the job is looked at from scratch


class Reconciler:
    """Looks at each job when something happened to it, and each second while it is unfinished."""

    def __init__(self) -> None:
        self._jobs: dict[Key, Work] = {}
        self._faults: dict[Key, Fault] = {}
        self._dirty: set[Key] = set()
        self._wake = asyncio.Event()
        self._doer: Doer | None = None
        self._budget = Budget()
        self._ticked = 0.0
        self._stopping = False

    def look_at(self, job: Key) -> None:
        """Say that something happened to a job."""
        self._dirty.add(job)
        self._wake.set()

    def memory(self, job: Key) -> Memory | None:
        """Return what is remembered of a job."""
        work = self._jobs.get(job)
        return work.memory if work is not None else None

    async def run(self, ctx: Context) -> None:
        """Reconcile until `stop` is called."""
        self._doer = self._doer or Doer(ctx.settings.api_requests, self.look_at)
        while not self._stopping:
            for key in self._due(ctx):
                took = self._look(ctx, key)
                # Whoever else needs the loop gets it now, and its share of the time.
                await asyncio.sleep(self._budget.spend(ctx.clock.now(), took))
                if self._stopping:
                    break
            self._wake.clear()
            timeout = pacing.EVERY if self._dirty else TICK
            await asyncio.sleep(pacing.EVERY)
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await self._wake.wait()
        await self._doer.drain()

    async def stop(self) -> None:
        """Begin nothing more, and let what is under way come to an end."""
        self._stopping = True
        if self._doer is not None:
            self._doer.stopping = True
            await self._doer.drain()

    def _due(self, ctx: Context) -> list[Key]:
        """Return the jobs that should be looked at, those first that have waited longest."""
        now = ctx.clock.now()
        if now - self._ticked >= TICK:
            self._ticked = now
            try:
                self._tick()
            except Exception as error:  # noqa: BLE001 - the loop outlives it: it is all Jobs'
                log_fault(log, error, "a look at what bears on all Jobs")
        unfinished = {
            key
            for key, work in self._jobs.items()
            if (work.pauses or not work.memory.job.has_ended) and now - work.pacing.last >= TICK
        }
        due = self._dirty | unfinished | self._faults.keys()
        due -= {key for key in self._faults if self._must_wait(ctx, key, now)}
        # First all of them: their pods count beside all others'.
        for key in due - self._jobs.keys():
            self._fenced_work(ctx, key)
        works = [(work.pacing.last, key) for key in due if (work := self._jobs.get(key))]
        return [key for last, key in sorted(works) if now >= self._jobs[key].pacing.next]

    def _must_wait(self, ctx: Context, key: Key, now: float) -> bool:
        """Whether a pass over a job has broken so lately that none is made now."""
        job, fault = ctx.cache.jobs.get(*key), self._faults[key]
        return job is not None and not fault.is_over(job, now, news=key in self._dirty)

    def _tick(self) -> None:
        """See to what bears on all jobs together."""
        count_books([work.memory for work in self._jobs.values()])
        for (namespace, name), work in self._jobs.items():
            if not work.memory.ended_wanted:
                continue
            others = (w.memory for (where, _), w in self._jobs.items() if where == namespace)
            if not any(depend_on(other, name) for other in others):
                work.memory.let_record_go()

    def _look(self, ctx: Context, key: Key) -> float:
        """Make one pass over a job, behind its fence, and return the seconds that it took."""
        work = self._fenced_work(ctx, key)
        if work is None:
            return 0.0
        began = ctx.clock.now()
        self._dirty.discard(key)
        try:
            pools = self.look(ctx, key, work)
            self._faults.pop(key, None)
        except Exception as error:  # noqa: BLE001 - whatever it is, it concerns this job alone
            pools = False
            self._note_fault(ctx, key, work, error)
        took = ctx.clock.now() - began
        work.pacing.note(began, took, pacing.POOL_SHARE if pools else pacing.SHARE)
        PASS_SECONDS.labels(*key).inc(took)
        return took

    def look(self, ctx: Context, key: Key, work: Work) -> bool:
        """Make one pass over a job, and begin what it decides; return whether it has a pool."""
        neighbours = Neighbours(
            self._jobs, lambda name: self._fenced_work(ctx, (key[0], name)), self.look_at
        )
        assert self._doer is not None
        return make_pass(ctx, work, neighbours, self._doer)

    def _fenced_work(self, ctx: Context, key: Key) -> Work | None:
        """Return the work on a job as it is now; None, and nothing is kept, if it is gone."""
        job = ctx.cache.jobs.get(*key)
        if job is None:
            self._forget(key)
            return None
        work = self._jobs.get(key)
        try:
            if work is None or work.memory.job.uid != job.uid:
                work = self._jobs[key] = Work(Memory(job), _demand_of_pods(ctx, key))
            work.memory.observe_job(job)
        except Exception as error:  # noqa: BLE001 - as above
            self._dirty.discard(key)
            self._note_fault(ctx, key, work, error)
            return None
        return work

    def _forget(self, key: Key) -> None:
        self._dirty.discard(key)
        self._faults.pop(key, None)
        if self._jobs.pop(key, None) is not None:
            for gauge in (JOB_VOLUMES, HOSTS_AVOIDED, POOL_WORKERS, POOL_SECONDS, POOL_QUEUE):
                gauge.remove_by_labels({"namespace": key[0], "job": key[1]})
            for counter in (PASS_SECONDS, JOB_FAULTS):
                counter.remove_by_labels({"namespace": key[0], "job": key[1]})

    def _note_fault(self, ctx: Context, key: Key, work: Work | None, error: Exception) -> None:
        """Note that a pass broke. What is remembered may be why: in the end it goes."""
        job, now = ctx.cache.jobs.get(*key), ctx.clock.now()
        log_fault(log, error, f"{key[0]}/{key[1]}: a pass")
        JOB_FAULTS.labels(*key).inc()
        if job is None:
            return
        said = (
            f"looking at this Job fails with {kind_and_place(error)}, which is a fault of the "
            "operator: it looks again now and then, and when the Job changes; its log has more"
        )
        fault = self._faults.setdefault(key, Fault(said, job.generation))
        fault.note(said, job, now)
        if self._doer is None:
            return
        work = work or _bare_work(job)
        if work is None:
            return
        status = with_stall(job.status, INTERNAL_ERROR, said, job.generation, now)
        telling = WriteStatus(status)
        if status != job.status and work.may_start(telling, now):
            self._doer.start(ctx, work, telling)
        elif fault.failures >= BEGIN_ANEW_AFTER and not work.memory.busy:
            self._jobs.pop(key, None)


def _bare_work(job: JobSeen) -> Work | None:
    """Return the work on a job of which nothing can be remembered: it can be told so."""
    try:
        return Work(Memory(replace(job, spec=None, status=JobStatus())))
    except Exception as error:  # noqa: BLE001 - then nobody can help it
        log_fault(log, error, f"{job.namespace}/{job.name}: what is to be told")
        return None


def _demand_of_pods(ctx: Context, key: Key) -> Demand:
    """Return what a job holds of which nothing is known yet: its pods run on across a restart."""
    alive = sum(pod.alive for pod in ctx.cache.pods.of_job(key).values())
    return Demand(holds=alive, wants=alive)
