"""One pass over one job: what is seen is put together, decided on, and begun.

The order is of weight: what turns volumes back comes before the tasks are looked at, the tasks
before it is judged what they wait for, and all that before anything is decided.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from bec_operator.act.doing import Doer
from bec_operator.act.ground.context import Context
from bec_operator.act.ground.key import Key
from bec_operator.act.pool.pool_view import observe_hosts, observe_pool, seats
from bec_operator.act.work import Work
from bec_operator.api.volume_task import Attempt
from bec_operator.decide.attempts.actions import (
    Action,
    CreatePod,
    CreateTask,
    LayBy,
    Settle,
    SettleUntried,
)
from bec_operator.decide.hosts.pool import Pool
from bec_operator.decide.jobs.checks import CHECK_AGAIN_AFTER, may_launch
from bec_operator.decide.jobs.conflicts import judge
from bec_operator.decide.jobs.dependencies import depend_on, has_gates, judge_gates
from bec_operator.decide.jobs.ended import has_ended
from bec_operator.decide.jobs.job import decide
from bec_operator.decide.jobs.scene import Seen
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.memory.observing import observe
from bec_operator.decide.memory.settling import settle, settle_untried
from bec_operator.decide.sight.seen import PodSeen, TaskSeen
from bec_operator.decide.slots.shares import allowance
from bec_operator.decide.slots.window import Standings, demand
from bec_operator.metrics import DECIDE_SECONDS, MARKER_KNOWN_SECONDS


@dataclass(frozen=True, slots=True)
class Neighbours:
    """All jobs that there are, and how to have one looked at.

    `of_namespace` gives the work on the Job of a name in the namespace of the one that is looked
    at, even if nobody has looked at that yet.
    """

    jobs: Mapping[Key, Work]
    of_namespace: Callable[[str], Work | None]
    look_at: Callable[[Key], None]


def make_pass(ctx: Context, work: Work, neighbours: Neighbours, doer: Doer) -> bool:
    """Make one pass over a job, and begin what it decides; return whether it has a pool."""
    memory, now = work.memory, ctx.clock.now()
    key = (memory.job.namespace, memory.job.name)
    with DECIDE_SECONDS.time():
        memory.turn_back(now)
        _take_up(ctx, work, key)
        tasks = list(ctx.cache.tasks.of_job(key).values())
        pods = {**ctx.cache.pods.of_job(key), **seats(ctx, memory, tasks, now)}
        observe(memory, tasks, pods, now, ctx.cache.workers.get)
        memory.note_unreadable(ctx.cache.unreadable.of_job(key), now)
        _judge_conflict(memory, neighbours, now)
        _judge_gates(ctx, memory, neighbours, now)
        pool = observe_pool(ctx, memory, tasks, now)
        observe_hosts(memory, pods, pool, now)
        actions = decide(_seen(ctx, work, neighbours, pods, pool, now))
    if not actions and has_ended(memory):
        memory.end()  # the answer was lost when that was written
        neighbours.look_at(key)  # what is left of its pool and its history goes
    work.forget_pauses(actions, now)
    for action in actions:
        if not _note(ctx, memory, action, now):
            if work.may_start(action, now):
                if isinstance(action, CreatePod) or (isinstance(action, CreateTask) and action.pod):
                    work.demand = replace(work.demand, holds=work.demand.holds + 1)
                doer.start(ctx, work, action)
        elif not isinstance(action, LayBy):
            neighbours.look_at(key)
    _tell_dependants(work, neighbours)
    return bool(pool.deployments)


def _take_up(ctx: Context, work: Work, key: Key) -> None:
    """Look again at the tasks that were laid by, if what bears on them has changed."""
    memory, ledger = work.memory, work.memory.ledger
    turns = (ledger.retried, ledger.redone) if ledger is not None else ()
    bearing = (ledger, turns, memory.job.generation, memory.job.status.terminal)
    if bearing != work.laid_by:
        work.laid_by = bearing
        ctx.cache.tasks.take_up(key)
    ctx.cache.tasks.take_up(key, (pod.task for pod in ctx.cache.pods.of_job(key).values()))


def _note(ctx: Context, memory: Memory, action: Action, now: float) -> bool:
    """Do what is done in memory alone; return whether it was such an action."""
    if isinstance(action, Settle):
        reading = memory.readings.get(action.task.index)
        if action.failure is None and reading is not None and reading.written:
            MARKER_KNOWN_SECONDS.observe(max(now - reading.written, 0.0))
        if action.failure is None:
            memory.hosts.note_success(action.task.index, _done_in(ctx, action.task), now)
        settle(memory, action.task, action.outcome, action.failure, now)
    elif isinstance(action, SettleUntried):
        settle_untried(memory, action.index, action.outcome)
    elif isinstance(action, LayBy):
        memory.lay_by(action.task)
        ctx.cache.tasks.lay_by(action.task)
    else:
        return False
    return True


def _done_in(ctx: Context, task: TaskSeen) -> Attempt:
    """Return the attempt that has succeeded, with as much of its host as is known."""
    pod, parted = ctx.cache.pods.get(task.namespace, task.pod), ctx.cache.parted.get(task.uid)
    if task.recorded_begun is not None:
        return task.recorded_begun
    last = pod if pod is not None and pod.owner_uid == task.uid else parted
    if last is None or last.name != task.pod:
        return Attempt(number=task.attempt, pod=task.pod)
    return Attempt(
        number=task.attempt,
        pod=last.name,
        pod_uid=last.uid,
        node=last.node,
        start_time=last.start_time,
    )


def _seen(
    ctx: Context,
    work: Work,
    neighbours: Neighbours,
    pods: Mapping[str, PodSeen],
    pool: Pool,
    now: float,
) -> Seen:
    """Return what the decisions are made from; the job's demand counts beside all others'."""
    memory = work.memory
    key = (memory.job.namespace, memory.job.name)
    standings = Standings.of(memory, pods)
    memory.note_standings(standings.held, working=bool(standings.running), now=now)
    work.demand = demand(memory, standings, now, pool, launch=may_launch(memory, now))
    demands = {other: work.demand for other, work in neighbours.jobs.items()}
    return Seen(
        memory,
        pods,
        now,
        record_every=2 * ctx.settings.heartbeat_seconds,
        node_lost=ctx.settings.node_lost_seconds,
        marker_shows=ctx.settings.marker_seconds,
        parted=ctx.cache.parted,
        list_every=ctx.settings.list_every,
        standings=standings,
        allowed=allowance(demands, key, ctx.settings.max_pods - _homeless(ctx, neighbours)),
        pool=pool,
        laid_by=ctx.cache.tasks.laid_by(key),
        turned_away=ctx.cache.workers.turned_away,
    )


def _homeless(ctx: Context, neighbours: Neighbours) -> int:
    """Return how many pods are alive whose Job is gone: they take their room until they end."""
    return sum(
        pod.alive
        for key in ctx.cache.pods.jobs()
        if key not in neighbours.jobs
        for pod in ctx.cache.pods.of_job(key).values()
    )


def _judge_conflict(memory: Memory, neighbours: Neighbours, now: float) -> None:
    known = memory.facts.conflict
    stale = known is None or (not known.good and now - known.at >= CHECK_AGAIN_AFTER)
    if memory.ledger is not None and stale:
        judge(memory, [work.memory for work in neighbours.jobs.values()], now)


def _judge_gates(ctx: Context, memory: Memory, neighbours: Neighbours, now: float) -> None:
    """Derive what the job waits for; what others have to read for that is asked of them."""
    namespace = memory.job.namespace
    others: dict[str, Memory] = {}
    if has_gates(memory):
        names = [job.name for job in ctx.cache.jobs.all() if job.namespace == namespace]
        works = {name: neighbours.of_namespace(name) for name in names}
        others = {name: work.memory for name, work in works.items() if work is not None}
    if memory.job.status.terminal and memory.ledger is None:
        return
    for name in judge_gates(memory, others, now):
        others[name].ended_wanted = True
        neighbours.look_at((namespace, name))


def _tell_dependants(work: Work, neighbours: Neighbours) -> None:
    """Have those looked at that depend on a job of which more is known now."""
    news = work.memory.known_of_volumes
    if news == work.told:
        return
    work.told = news
    job = work.memory.job
    for (namespace, name), other in neighbours.jobs.items():
        if namespace == job.namespace and depend_on(other.memory, job.name):
            neighbours.look_at((namespace, name))
