"""The loop: a job that may have changed is looked at, and what `decide` says is done.

Round each job is a fence. Whatever a pass over it raises concerns that job alone: it says so, is
looked at again ever more rarely, and as soon as it changes; all others go on.
"""

import asyncio
import logging
from contextlib import suppress
from dataclasses import replace

from bec_operator.act.books import count_books
from bec_operator.act.case import Case, Fault
from bec_operator.act.doing import Doer
from bec_operator.act.ground.context import Context
from bec_operator.act.ground.faults import kind_and_place, log_fault
from bec_operator.act.ground.key import Key
from bec_operator.act.passes import Neighbours, make_pass
from bec_operator.api.job import JobStatus
from bec_operator.decide.jobs.actions import WriteStatus
from bec_operator.decide.jobs.delivering import deliver_last, owes
from bec_operator.decide.jobs.shared_queue import let_go_of_messages
from bec_operator.decide.jobs.stalls import with_stall
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.neighbours.dependencies import depend_on
from bec_operator.decide.sight.seen import JobSeen
from bec_operator.decide.slots import pacing
from bec_operator.decide.slots.pacing import Budget
from bec_operator.decide.slots.picture import Picture
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
    RESULTS_LAG,
)

log = logging.getLogger(__name__)

TICK = 1.0  # seconds after which an unfinished job is looked at, whatever happens
BEGIN_ANEW_AFTER = 2  # passes that break in a row before the job is looked at from scratch


class Reconciler:
    """Looks at each job when something happened to it, and each second while it is unfinished."""

    def __init__(self) -> None:
        self._jobs: dict[Key, Case] = {}
        self._faults: dict[Key, Fault] = {}
        self._dirty: set[Key] = set()
        self._wake = asyncio.Event()
        self._doer: Doer | None = None
        self._budget = Budget()
        self._last_picture: Picture[Key] = Picture(most=0)
        self._ticked = 0.0
        self._stopping = False

    def look_at(self, job: Key) -> None:
        """Say that something happened to a job."""
        self._dirty.add(job)
        self._wake.set()

    def memory(self, job: Key) -> Memory | None:
        """Return what is remembered of a job."""
        case = self._jobs.get(job)
        return case.memory if case is not None else None

    async def run(self, ctx: Context) -> None:
        """Reconcile until `stop` is called."""
        self._doer = self._doer or Doer(ctx.settings.api_requests, self.look_at)
        while not self._stopping:
            due = self._due(ctx)
            picture = self._picture(ctx)
            for key in due:
                took = self._look(ctx, key, picture)
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
                self._tick(now)
            except Exception as error:  # noqa: BLE001 - the loop outlives it: it is all Jobs'
                log_fault(log, error, "a look at what bears on all Jobs")
        unfinished = {
            key
            for key, case in self._jobs.items()
            if (case.pauses or not case.memory.job.has_ended or owes(case.memory))
            and now - case.pacing.last >= TICK
        }
        due = self._dirty | unfinished | self._faults.keys()
        due -= {key for key in self._faults if self._must_wait(ctx, key, now)}
        # First all of them: their pods count beside all others'.
        for key in due - self._jobs.keys():
            self._fenced_case(ctx, key)
        cases = [(case.pacing.last, key) for key in due if (case := self._jobs.get(key))]
        return [key for last, key in sorted(cases) if now >= self._jobs[key].pacing.next]

    def _must_wait(self, ctx: Context, key: Key, now: float) -> bool:
        """Whether a pass over a job has broken so lately that none is made now."""
        job, fault = ctx.cache.jobs.get(*key), self._faults[key]
        return job is not None and not fault.is_over(job, now, news=key in self._dirty)

    def _tick(self, now: float) -> None:
        """See to what bears on all jobs together."""
        count_books([case.memory for case in self._jobs.values()])
        for (namespace, name), case in self._jobs.items():
            since = case.memory.outbox.since
            if since is not None or list(case.memory.outbox.receivers):
                RESULTS_LAG.labels(namespace, name).set(now - since if since is not None else 0.0)
            if not case.memory.ends.wanted:
                continue
            others = (w.memory for (where, _), w in self._jobs.items() if where == namespace)
            if not any(depend_on(other, name) for other in others):
                case.memory.ends.let_go()

    def _picture(self, ctx: Context) -> Picture[Key]:
        """Return what all jobs have and want, and what the pods of jobs that are gone take up.

        If that cannot be made out, the last one holds: it is no single job's fault.
        """
        try:
            homeless = sum(
                pod.alive
                for key in ctx.cache.pods.jobs()
                if key not in self._jobs
                for pod in ctx.cache.pods.of_job(key).values()
            )
            demands = {key: case.demand for key, case in self._jobs.items()}
            self._last_picture = Picture.of(demands, ctx.settings.max_pods, homeless)
        except Exception as error:  # noqa: BLE001 - the loop outlives it: it is all Jobs'
            log_fault(log, error, "a picture of what all Jobs have and want")
        return self._last_picture

    def _look(self, ctx: Context, key: Key, picture: Picture[Key]) -> float:
        """Make one pass over a job, behind its fence, and return the seconds that it took."""
        case = self._fenced_case(ctx, key)
        if case is None:
            return 0.0
        began = ctx.clock.now()
        self._dirty.discard(key)
        try:
            pools = self.look(ctx, key, case, picture)
            self._faults.pop(key, None)
        except Exception as error:  # noqa: BLE001 - whatever it is, it concerns this job alone
            pools = False
            self._note_fault(ctx, key, case, error)
        took = ctx.clock.now() - began
        case.pacing.note(began, took, pacing.POOL_SHARE if pools else pacing.SHARE)
        PASS_SECONDS.labels(*key).inc(took)
        return took

    def look(self, ctx: Context, key: Key, case: Case, picture: Picture[Key] | None = None) -> bool:
        """Make one pass over a job, and begin what it decides; return whether it has a pool.

        What it is granted is in `picture`, that of this round.
        """
        neighbours = Neighbours(
            self._jobs,
            picture if picture is not None else self._picture(ctx),
            lambda name: self._fenced_case(ctx, (key[0], name)),
            self.look_at,
        )
        assert self._doer is not None
        return make_pass(ctx, case, neighbours, self._doer)

    def _fenced_case(self, ctx: Context, key: Key) -> Case | None:
        """Return the case of a job as it is now; None, and nothing is kept, if it is gone."""
        job = ctx.cache.jobs.get(*key)
        if job is None:
            self._part_with(ctx, key)
            self._forget(key)
            return None
        case = self._jobs.get(key)
        try:
            if case is not None and case.memory.job.uid != job.uid:
                self._part_with(ctx, key)
                case = None
            if case is None:
                case = self._jobs[key] = Case(Memory(job), _demand_of_pods(ctx, key))
            case.memory.observe_job(job)
        except Exception as error:  # noqa: BLE001 - as above
            self._dirty.discard(key)
            self._note_fault(ctx, key, case, error)
            return None
        return case

    def _part_with(self, ctx: Context, key: Key) -> None:
        """Let others have what they are to have of a job that is gone: messages, results."""
        case = self._jobs.get(key)
        if case is None or self._doer is None:
            return
        last = (*let_go_of_messages(case.memory, ctx.clock.now()), *deliver_last(case.memory))
        for action in last:
            if case.may_start(action, ctx.clock.now()):
                self._doer.start(ctx, case, action)

    def _forget(self, key: Key) -> None:
        self._dirty.discard(key)
        self._faults.pop(key, None)
        if self._jobs.pop(key, None) is not None:
            for gauge in (
                *(JOB_VOLUMES, HOSTS_AVOIDED, POOL_WORKERS, POOL_SECONDS, POOL_QUEUE),
                RESULTS_LAG,
            ):
                gauge.remove_by_labels({"namespace": key[0], "job": key[1]})
            for counter in (PASS_SECONDS, JOB_FAULTS):
                counter.remove_by_labels({"namespace": key[0], "job": key[1]})

    def _note_fault(self, ctx: Context, key: Key, case: Case | None, error: Exception) -> None:
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
        case = case or _bare_case(job)
        if case is None:
            return
        status = with_stall(job.status, INTERNAL_ERROR, said, job.generation, now)
        telling = WriteStatus(status)
        if status != job.status and case.may_start(telling, now):
            self._doer.start(ctx, case, telling)
        elif fault.failures >= BEGIN_ANEW_AFTER and not case.memory.under_way:
            self._jobs.pop(key, None)


def _bare_case(job: JobSeen) -> Case | None:
    """Return the case of a job of which nothing can be remembered: it can be told so."""
    try:
        return Case(Memory(replace(job, spec=None, status=JobStatus())))
    except Exception as error:  # noqa: BLE001 - then nobody can help it
        log_fault(log, error, f"{job.namespace}/{job.name}: what is to be told")
        return None


def _demand_of_pods(ctx: Context, key: Key) -> Demand:
    """Return what a job holds of which nothing is known yet: its pods run on across a restart."""
    alive = sum(pod.alive for pod in ctx.cache.pods.of_job(key).values())
    return Demand(holds=alive, wants=alive)
