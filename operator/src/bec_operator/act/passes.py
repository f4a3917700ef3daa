"""One pass over one job: look, judge, decide, apply.

The order is of weight. What turns volumes back comes before the tasks are looked at, tasks before
the seats and pods of their attempts; it is judged what the job waits for, and how much room it has
beside the others, before anything is decided; and only then is anything begun.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bec_operator.act.case import Case
from bec_operator.act.doing import Doer
from bec_operator.act.ground.context import Context
from bec_operator.act.ground.key import Key
from bec_operator.act.pool.pool_view import observe_hosts, observe_outside, observe_pool, seats
from bec_operator.api.names import task_name
from bec_operator.api.results import Results
from bec_operator.api.volume_task import Attempt
from bec_operator.decide.attempts.actions import CreatePod, CreateTask, LayBy, Settle, SettleUntried
from bec_operator.decide.hosts.pool import Pool
from bec_operator.decide.jobs.checks import CHECK_AGAIN_AFTER, may_launch
from bec_operator.decide.jobs.delivered import DELIVERED
from bec_operator.decide.jobs.ended_job import has_ended
from bec_operator.decide.jobs.job import decide
from bec_operator.decide.jobs.scene import Scene
from bec_operator.decide.memory.marker_findings import let_time_pass
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.memory.observing import observe_attempts, observe_tasks
from bec_operator.decide.memory.settling import settle, settle_untried
from bec_operator.decide.memory.turning_back import open_again, turn_back
from bec_operator.decide.neighbours.conflicts import judge
from bec_operator.decide.neighbours.dependencies import depend_on, has_gates, judge_gates
from bec_operator.decide.sight.action import Action
from bec_operator.decide.sight.conditions import find
from bec_operator.decide.sight.seen import JobSeen, PodSeen, TaskSeen
from bec_operator.decide.slots.picture import Picture
from bec_operator.decide.slots.room import Room, demand
from bec_operator.decide.slots.standings import Standings
from bec_operator.decide.volumes.actions import OpenAgain, TurnRound
from bec_operator.metrics import DECIDE_SECONDS, MARKER_KNOWN_SECONDS
from bec_operator.settings import Settings


@dataclass(frozen=True, slots=True)
class Neighbours:
    """All jobs that there are, what they have and want, and how to have one looked at.

    `of_namespace` gives the case of the Job of a name in the namespace of the one that is looked
    at, even if nobody has looked at that yet.
    """

    jobs: Mapping[Key, Case]
    picture: Picture[Key]
    of_namespace: Callable[[str], Case | None]
    look_at: Callable[[Key], None]


def make_pass(ctx: Context, case: Case, neighbours: Neighbours, doer: Doer) -> bool:
    """Make one pass over a job, and begin what it decides; return whether it has a pool."""
    memory, now = case.memory, ctx.clock.now()
    with DECIDE_SECONDS.time():
        pods = _look(ctx, case, now)
        pool = _judge(ctx, memory, neighbours, pods, now)
        scene = _scene(ctx, case, neighbours, pods, pool, now)
        actions = decide(scene)
    _apply(ctx, case, neighbours, doer, actions, now)
    _tell_dependants(case, neighbours)
    return bool(pool.deployments)


# --- look


def _look(ctx: Context, case: Case, now: float) -> Mapping[str, PodSeen]:
    """Take in what there is; return the job's pods and seats by name."""
    memory, key = case.memory, case.key
    memory.outbox.want(results_of(ctx.settings, memory.job))
    turn_back(memory, now)
    let_time_pass(memory, now)
    _take_up(ctx, case)
    observe_tasks(memory, list(ctx.cache.tasks.of_job(key).values()))
    pods = {**ctx.cache.pods.of_job(key), **seats(ctx, memory, now)}
    observe_attempts(memory, pods, now, ctx.cache.workers.get)
    memory.under_way.note_unreadable(ctx.cache.unreadable.of_job(key), now)
    return pods


def _take_up(ctx: Context, case: Case) -> None:
    """Look again at the tasks that were laid by, if what bears on them has changed."""
    memory, ledger, key = case.memory, case.memory.ledger, case.key
    turns = (ledger.retried, ledger.redone) if ledger is not None else ()
    bearing = (ledger, turns, memory.job.generation, memory.job.status.terminal)
    if bearing != case.laid_by:
        case.laid_by = bearing
        ctx.cache.tasks.take_up(key)
    ctx.cache.tasks.take_up(key, (pod.task for pod in ctx.cache.pods.of_job(key).values()))


def results_of(settings: Settings, job: JobSeen) -> Results | None:
    """Return where the results of a Job go: as it says itself, or else as the operator is set.

    What is set later is not for a Job that has begun, of which something is told to nobody.
    """
    if job.spec is None:
        return None
    begun_without = job.status.start_time is not None and find(job.status, DELIVERED) is None
    if job.spec.results is not None or begun_without:
        return job.spec.results
    found, source = settings.results_of(job.namespace), job.spec.volumes.queue
    to = found.queue if found is not None else None
    if found is not None and to is not None and source is not None and to.url == source.url:
        return found.model_copy(update={"queue": None}) if found.sql is not None else None
    return found


# --- judge


def _judge(
    ctx: Context,
    memory: Memory,
    neighbours: Neighbours,
    pods: Mapping[str, PodSeen],
    now: float,
) -> Pool:
    """Derive what the job waits for, and which hosts are at fault; return its pool.

    Where other jobs write is told to its workers, so the pool comes after the gates.
    """
    known = memory.facts.conflict
    stale = known is None or (not known.good and now - known.at >= CHECK_AGAIN_AFTER)
    if memory.ledger is not None and stale:
        judge(memory, [case.memory for case in neighbours.jobs.values()], now)
    _judge_gates(ctx, memory, neighbours, now)
    pool = observe_pool(ctx, memory, now)
    observe_hosts(ctx, memory, pods, pool, now)
    return pool


def _judge_gates(ctx: Context, memory: Memory, neighbours: Neighbours, now: float) -> None:
    """Derive what the job waits for; what others have to read for that is asked of them."""
    namespace = memory.job.namespace
    others: dict[str, Memory] = {}
    if has_gates(memory):
        names = [job.name for job in ctx.cache.jobs.all() if job.namespace == namespace]
        cases = {name: neighbours.of_namespace(name) for name in names}
        others = {name: case.memory for name, case in cases.items() if case is not None}
    if memory.job.status.terminal and memory.ledger is None:
        return
    for name in judge_gates(memory, others, now):
        others[name].ends.want()
        neighbours.look_at((namespace, name))


def _scene(
    ctx: Context,
    case: Case,
    neighbours: Neighbours,
    pods: Mapping[str, PodSeen],
    pool: Pool,
    now: float,
) -> Scene:
    """Return what the decisions are made from; the job's demand counts beside all others'."""
    memory = case.memory
    standings = Standings.of(memory, pods)
    memory.note_standings(standings.held, working=bool(standings.running), now=now)
    room = Room.of(memory, standings, now)
    case.demand = demand(memory, room, pool, launch=may_launch(memory, now))
    granted = room.granted(neighbours.picture.grant(case.key, case.demand))
    if memory.shares_queue:
        granted = granted.with_offer(neighbours.picture.offer(case.key, room.parallelism))
    return Scene(
        memory,
        pods,
        now,
        record_every=2 * ctx.settings.heartbeat_seconds,
        node_lost=ctx.settings.node_lost_seconds,
        marker_shows=ctx.settings.marker_seconds,
        parted=ctx.cache.parted,
        list_every=ctx.settings.list_every,
        show_every=ctx.settings.show_seconds,
        standings=standings,
        room=granted,
        pool=pool,
        outside=observe_outside(ctx, memory),
        laid_by=ctx.cache.tasks.laid_by(case.key),
        turned_away=ctx.cache.workers.turned_away,
    )


# --- apply


def _apply(
    ctx: Context,
    case: Case,
    neighbours: Neighbours,
    doer: Doer,
    actions: list[Action],
    now: float,
) -> None:
    """Do what is done in memory alone, and begin all else that is not paused."""
    memory, key = case.memory, case.key
    if all(isinstance(action, TurnRound) for action in actions) and has_ended(memory):
        memory.end()  # the answer was lost when that was written
        neighbours.look_at(key)  # what is left of its pool and its history goes
    case.forget_pauses(actions, now)
    for action in actions:
        if _note(ctx, memory, action, now):
            if not isinstance(action, LayBy | TurnRound):
                neighbours.look_at(key)
        elif case.may_start(action, now):
            if _takes_pod(action):
                case.demand = neighbours.picture.begin(key)
            doer.start(ctx, case, action)


def _takes_pod(action: Action) -> bool:
    """Whether an action begins one more pod, or an attempt in one of a pool."""
    if isinstance(action, CreateTask):
        return action.pod is not None and not action.pod.pod.lease
    return isinstance(action, CreatePod)


def _note(ctx: Context, memory: Memory, action: Action, now: float) -> bool:
    """Do what is done in memory alone; return whether it was such an action."""
    if isinstance(action, Settle):
        reading = memory.books.known_of(action.task).reading
        if action.failure is None and reading is not None and reading.written:
            MARKER_KNOWN_SECONDS.observe(max(now - reading.written, 0.0))
        if action.failure is None:
            done = _done_in(ctx, action.task)
            memory.books.hosts.note_success(action.task.index, done, now)
        settle(memory, action.task, action.outcome, action.failure, now)
    elif isinstance(action, SettleUntried):
        settle_untried(memory, action.index, action.outcome)
    elif isinstance(action, OpenAgain):
        open_again(memory, action.index, now)
        name = task_name(memory.job.name, memory.books.volumes[action.index])
        ctx.cache.tasks.take_up((memory.job.namespace, memory.job.name), [name])
    elif isinstance(action, LayBy):
        memory.books.lay_by(action.task)
        ctx.cache.tasks.lay_by(action.task)
    elif isinstance(action, TurnRound):
        memory.books.markers.turn(action.read_from, now, over=action.over)
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


def _tell_dependants(case: Case, neighbours: Neighbours) -> None:
    """Have those looked at that depend on a job of which more is known now."""
    news = case.memory.known_of_volumes
    if news == case.dependants_know:
        return
    case.dependants_know = news
    job = case.memory.job
    for (namespace, name), other in neighbours.jobs.items():
        if namespace == job.namespace and depend_on(other.memory, job.name):
            neighbours.look_at((namespace, name))
