"""The loop: a job that may have changed is looked at, and what `decide` says is done."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp

from bec_operator.act.api_server import ApiError
from bec_operator.act.attempt_log import keep_log
from bec_operator.act.cache import Key
from bec_operator.act.checks import check_storage, check_template, sweep
from bec_operator.act.context import Context
from bec_operator.act.gates import load_ended, sweep_gate
from bec_operator.act.growth import look_at_list
from bec_operator.act.job_status import write_status
from bec_operator.act.ledger import save_ledger
from bec_operator.act.manifest import load_manifest
from bec_operator.act.markers import read_marker
from bec_operator.act.nodes import check_node
from bec_operator.act.pods import create_pod, delete_pod, delete_pods, record_heartbeat, stop_pod
from bec_operator.act.pool import (
    delete_pool,
    guard_worker,
    hand_task,
    make_pool,
    mark_worker,
    scale_pool,
)
from bec_operator.act.pool_view import observe_pool, seats
from bec_operator.act.report import compile_report
from bec_operator.act.tasks import create_task, delete_tasks, record_task
from bec_operator.act.telling import tell_failures, tell_idle
from bec_operator.decide import pacing
from bec_operator.decide.actions import (
    Action,
    CheckNode,
    CheckStorage,
    CheckTemplate,
    CompileReport,
    CreatePod,
    CreateTask,
    DeletePod,
    DeletePods,
    DeletePool,
    DeleteTasks,
    GuardWorker,
    HandTask,
    KeepLog,
    LoadEnded,
    LoadManifest,
    LookAtList,
    MakePool,
    MarkWorker,
    ReadMarker,
    RecordHeartbeat,
    RecordTask,
    SaveLedger,
    ScalePool,
    Settle,
    SettleUntried,
    StopPod,
    Sweep,
    SweepGate,
    TellFailures,
    TellIdle,
    WriteStatus,
)
from bec_operator.decide.conflicts import judge
from bec_operator.decide.dependencies import depend_on, has_gates, judge_gates, release
from bec_operator.decide.job import CHECK_AGAIN_AFTER, Seen, decide, may_launch
from bec_operator.decide.memory import Memory
from bec_operator.decide.pacing import Pacing
from bec_operator.decide.pool import Pool
from bec_operator.decide.seen import PodSeen
from bec_operator.decide.shares import Demand, allowance
from bec_operator.decide.window import Standings, demand
from bec_operator.metrics import (
    ACTIONS,
    DECIDE_SECONDS,
    JOB_VOLUMES,
    MARKER_KNOWN_SECONDS,
    POOL_QUEUE,
    POOL_SECONDS,
    POOL_WORKERS,
)
from bec_ops.store import StoreError

log = logging.getLogger(__name__)

TICK = 1.0  # seconds after which an unfinished job is looked at, whatever happens
DRAIN_SECONDS = 10.0
BACKOFF = (1.0, 60.0)  # seconds before an action that failed is tried again

Doing = Callable[[Context, Memory, Any], Awaitable[None]]
_DOINGS: dict[type[Action], Doing] = {
    CheckStorage: lambda ctx, memory, _: check_storage(ctx, memory),
    LoadManifest: lambda ctx, memory, _: load_manifest(ctx, memory),
    LookAtList: lambda ctx, memory, _: look_at_list(ctx, memory),
    CheckTemplate: lambda ctx, memory, _: check_template(ctx, memory),
    Sweep: lambda ctx, memory, _: sweep(ctx, memory),
    SweepGate: sweep_gate,
    LoadEnded: lambda ctx, memory, _: load_ended(ctx, memory),
    ReadMarker: read_marker,
    CreateTask: create_task,
    CreatePod: create_pod,
    HandTask: hand_task,
    MakePool: make_pool,
    ScalePool: scale_pool,
    DeletePool: lambda ctx, _, action: delete_pool(ctx, action),
    MarkWorker: lambda ctx, _, action: mark_worker(ctx, action),
    GuardWorker: lambda ctx, _, action: guard_worker(ctx, action),
    RecordTask: record_task,
    RecordHeartbeat: record_heartbeat,
    StopPod: stop_pod,
    CheckNode: check_node,
    KeepLog: keep_log,
    SaveLedger: lambda ctx, memory, _: save_ledger(ctx, memory),
    CompileReport: lambda ctx, memory, _: compile_report(ctx, memory),
    TellFailures: tell_failures,
    TellIdle: tell_idle,
    DeletePod: lambda ctx, _, action: delete_pod(ctx, action),
    DeletePods: lambda ctx, _, action: delete_pods(ctx, action),
    DeleteTasks: lambda ctx, _, action: delete_tasks(ctx, action),
    WriteStatus: lambda ctx, memory, action: write_status(ctx, memory, action.status),
}


@dataclass(slots=True)
class _Pause:
    """An action that failed: how often, and when it may be tried again."""

    failures: int = 0
    until: float = 0.0


@dataclass(slots=True)
class _Work:
    """One job's memory, and what is paused in it."""

    memory: Memory
    demand: Demand = field(default_factory=Demand)
    pacing: Pacing = field(default_factory=Pacing)
    pauses: dict[Hashable, _Pause] = field(default_factory=dict)
    told: object = None  # what those that depend on it have last been told of

    def forget_pauses(self, actions: Iterable[Action], now: float) -> None:
        """Drop the pauses that are over of what is not among the actions any more."""
        wanted = {action.key for action in actions} if self.pauses else set()
        for key in [key for key in self.pauses if key not in wanted]:
            if self.pauses[key].until <= now and key not in self.memory.busy:
                del self.pauses[key]


class Reconciler:
    """Looks at each job when something happened to it, and each second while it is unfinished."""

    def __init__(self) -> None:
        self._jobs: dict[Key, _Work] = {}
        self._dirty: set[Key] = set()
        self._wake = asyncio.Event()
        self._doing: set[asyncio.Task[None]] = set()
        self._gate = asyncio.Semaphore()
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
        self._gate = asyncio.Semaphore(ctx.settings.api_requests)
        while not self._stopping:
            for key in list(self._dirty | self._unfinished(ctx)):
                work = self._work(ctx, key)
                if work is not None and ctx.clock.now() >= work.pacing.next:
                    self._dirty.discard(key)
                    self._pass(ctx, work)
            self._wake.clear()
            timeout = pacing.EVERY if self._dirty else TICK
            await asyncio.sleep(pacing.EVERY)
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await self._wake.wait()
        await self._drained()

    async def _drained(self) -> None:
        """Wait for what is under way; what takes too long is broken off, as by a crash."""
        if not self._doing:
            return
        _, late = await asyncio.wait(self._doing, timeout=DRAIN_SECONDS)
        for doing in late:
            doing.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def stop(self) -> None:
        """Begin nothing more, and let what is under way come to an end."""
        self._stopping = True
        await self._drained()

    def _unfinished(self, ctx: Context) -> set[Key]:
        now = ctx.clock.now()
        return {
            key
            for key, work in self._jobs.items()
            if (work.pauses or not work.memory.job.has_ended) and now - work.pacing.last >= TICK
        }

    def _work(self, ctx: Context, key: Key) -> _Work | None:
        """Return the work on a job as it is now; None, and nothing is kept, if it is gone."""
        job = ctx.cache.jobs.get(*key)
        work = self._jobs.get(key)
        if job is None:
            self._dirty.discard(key)
            if self._jobs.pop(key, None) is not None:
                _forget_metrics(key)
            return None
        if work is None or work.memory.job.uid != job.uid:
            work = self._jobs[key] = _Work(Memory(job))
        work.memory.observe_job(job)
        return work

    def _pass(self, ctx: Context, work: _Work) -> None:
        memory, now = work.memory, ctx.clock.now()
        key = (memory.job.namespace, memory.job.name)
        with DECIDE_SECONDS.time():
            tasks = list(ctx.cache.tasks.of_job(key).values())
            memory.turn_back(now)
            pods = {**ctx.cache.pods.of_job(key), **seats(ctx, memory, tasks, now)}
            memory.observe(tasks, pods, now, ctx.cache.workers.get)
            self._judge_conflict(memory, now)
            self._judge_gates(ctx, memory, now)
            pool = observe_pool(ctx, memory, tasks, now)
            actions = decide(self._seen(ctx, work, pods, pool, now))
        work.forget_pauses(actions, now)
        for action in actions:
            if isinstance(action, Settle):
                _measure(memory, action, now)
                memory.settle(action.task, action.outcome, action.failure, now)
                self.look_at(key)
            elif isinstance(action, SettleUntried):
                memory.settle_untried(action.index, action.outcome)
                self.look_at(key)
            elif action.key not in memory.busy:
                pause = work.pauses.get(action.key)
                if pause is None or pause.until <= now:
                    self._start(ctx, work, action)
        self._tell_dependants(work)
        share = pacing.POOL_SHARE if pool.deployments else pacing.SHARE
        work.pacing.note(now, ctx.clock.now() - now, share)

    def _seen(
        self, ctx: Context, work: _Work, pods: Mapping[str, PodSeen], pool: Pool, now: float
    ) -> Seen:
        """Return what the decisions are made from; the job's demand counts beside all others'."""
        memory = work.memory
        standings = Standings.of(memory, pods)
        launch = may_launch(memory, now)
        work.demand = demand(memory, standings, now, pool, launch=launch)
        demands = {key: other.demand for key, other in self._jobs.items()}
        key = (memory.job.namespace, memory.job.name)
        return Seen(
            memory,
            pods,
            now,
            record_every=2 * ctx.settings.heartbeat_seconds,
            node_lost=ctx.settings.node_lost_seconds,
            parted=ctx.cache.parted,
            list_every=ctx.settings.list_every,
            standings=standings,
            allowed=allowance(demands, key, ctx.settings.max_pods),
            pool=pool,
            turned_away=ctx.cache.workers.turned_away,
        )

    def _judge_conflict(self, memory: Memory, now: float) -> None:
        known = memory.facts.conflict
        stale = known is None or (not known.good and now - known.at >= CHECK_AGAIN_AFTER)
        if memory.ledger is not None and stale:
            others = [work.memory for work in self._jobs.values()]
            memory.facts.conflict = judge(memory, others, now)

    def _judge_gates(self, ctx: Context, memory: Memory, now: float) -> None:
        """Derive what the job waits for; what others have to read for that is asked of them."""
        namespace = memory.job.namespace
        others = self._of_namespace(ctx, namespace) if has_gates(memory) else {}
        if memory.job.status.terminal and memory.ledger is None:
            release(memory, others)
            return
        for name in judge_gates(memory, others, now):
            others[name].ended_wanted = True
            self.look_at((namespace, name))

    def _of_namespace(self, ctx: Context, namespace: str) -> dict[str, Memory]:
        """Return all jobs of a namespace by name, those that were not yet looked at included."""
        keys = [(job.namespace, job.name) for job in ctx.cache.jobs.all()]
        works = {key[1]: self._work(ctx, key) for key in keys if key[0] == namespace}
        return {name: work.memory for name, work in works.items() if work is not None}

    def _tell_dependants(self, work: _Work) -> None:
        """Have those looked at that depend on a job of which more is known now."""
        news = work.memory.known_of_volumes
        if news == work.told:
            return
        work.told = news
        job = work.memory.job
        for (namespace, name), other in self._jobs.items():
            if namespace == job.namespace and depend_on(other.memory, job.name):
                self.look_at((namespace, name))

    def _start(self, ctx: Context, work: _Work, action: Action) -> None:
        work.memory.busy.add(action.key)
        if isinstance(action, CreatePod) or (isinstance(action, CreateTask) and action.pod):
            work.demand = replace(work.demand, holds=work.demand.holds + 1)
        if isinstance(action, ReadMarker):
            work.memory.note_reading_begun(action.index)
        doing = asyncio.create_task(self._do(ctx, work, action))
        self._doing.add(doing)
        doing.add_done_callback(self._doing.discard)

    async def _do(self, ctx: Context, work: _Work, action: Action) -> None:
        memory, name, outcome = work.memory, type(action).__name__, "ok"
        try:
            if isinstance(action, ReadMarker | SweepGate):  # S3 has a bound of its own
                await _DOINGS[type(action)](ctx, memory, action)
            else:
                async with self._gate:
                    if self._stopping:
                        outcome = "dropped"
                        return
                    await _DOINGS[type(action)](ctx, memory, action)
            work.pauses.pop(action.key, None)
        except asyncio.CancelledError:
            outcome = "dropped"
            raise
        except (ApiError, StoreError, aiohttp.ClientError, TimeoutError) as error:
            outcome = "failed"
            self._pause(ctx, work, action, error)
        except Exception:
            outcome = "broken"
            self._pause(ctx, work, action, None)
            log.exception("%s of %s/%s broke", name, memory.job.namespace, memory.job.name)
        finally:
            memory.busy.discard(action.key)
            ACTIONS.labels(name, outcome).inc()
            self.look_at((memory.job.namespace, memory.job.name))

    def _pause(self, ctx: Context, work: _Work, action: Action, error: Exception | None) -> None:
        pause = work.pauses.setdefault(action.key, _Pause())
        first, last = BACKOFF
        delay = min(first * 2**pause.failures, last) * random.uniform(0.8, 1.2)  # noqa: S311
        pause.failures += 1
        pause.until = ctx.clock.now() + delay
        if error is not None:
            job = work.memory.job
            log.warning(
                "%s of %s/%s failed, again in %.0f s: %s",
                type(action).__name__, job.namespace, job.name, delay, error or repr(error),
            )  # fmt: skip


def _measure(memory: Memory, action: Settle, now: float) -> None:
    reading = memory.readings.get(action.task.index)
    if action.failure is None and reading is not None and reading.written:
        MARKER_KNOWN_SECONDS.observe(max(now - reading.written, 0.0))


def _forget_metrics(key: Key) -> None:
    for gauge in (JOB_VOLUMES, POOL_WORKERS, POOL_SECONDS, POOL_QUEUE):
        gauge.remove_by_labels({"namespace": key[0], "job": key[1]})
