"""Puts together what is seen of a job's pool, for one pass."""

from collections.abc import Collection, Mapping

from bec_operator.act.ground.context import Context
from bec_operator.decide.attempts.actions import CreateTask, HandTask
from bec_operator.decide.hosts.pool import Host, Pool, hosts_of, misconfigured
from bec_operator.decide.hosts.seats import seats_of
from bec_operator.decide.memory.memory import MISCONFIGURED, Memory
from bec_operator.decide.sight.pool_seen import DeploymentSeen
from bec_operator.decide.sight.refusals import OF_ONE_KEY
from bec_operator.decide.sight.seen import Fact, PodSeen, TaskSeen
from bec_operator.decide.slots.sites import count_for_pods
from bec_operator.decide.volumes.ledger import Outcome
from bec_operator.metrics import HOSTS_AVOIDED, POOL_QUEUE, POOL_SECONDS, POOL_WORKERS


def seats(ctx: Context, memory: Memory, now: float) -> dict[str, PodSeen]:
    """Return the seats of the job's tasks that are not settled, by name."""
    hosts = ctx.cache.pool_pods.of_job((memory.job.namespace, memory.job.name))
    spec = memory.job.spec
    elsewhere = bool(ctx.cache.outside.seats) or (spec is not None and spec.outside.allowed)
    if memory.ledger is None or not (hosts or elsewhere):
        return {}
    return seats_of(
        _unsettled(memory),
        {host.uid: host for host in hosts.values()},
        ctx.cache.pool_workers.get,
        ctx.cache.workers.get,
        lambda task: memory.books.record(task).seating,
        now,
        ctx.cache.outside.turned_away,
    )


def observe_outside(ctx: Context, memory: Memory) -> tuple[Host, ...]:
    """Return the workers from elsewhere that ask for work of this job."""
    spec = memory.job.spec
    offered = ctx.cache.outside.of_job((memory.job.namespace, memory.job.name))
    if not offered or spec is None or not spec.outside.allowed:
        return ()
    busy = {action.pod.uid for action in memory.under_way.of(HandTask)}
    busy |= {made.pod.uid for made in memory.under_way.of(CreateTask) if made.pod is not None}
    busy |= {uid for uid in offered if _has_task(ctx, uid)}
    return hosts_of(offered.values(), ctx.cache.pool_workers.get, busy)


def _has_task(ctx: Context, seat: str) -> bool:
    """Whether a task is on record for a seat that its worker has not said is done.

    One that stays as history is over, whatever was said of it before we began.
    """
    tasks = [task for task in ctx.cache.tasks.with_pod(seat) if not task.terminal]
    return any(_at_work(ctx, task) == seat for task in tasks)


def observe_pool(ctx: Context, memory: Memory, now: float) -> Pool:
    """Return the pool as it is, and note what is seen of it."""
    key = (memory.job.namespace, memory.job.name)
    deployments = {
        name: seen
        for name, seen in ctx.cache.deployments.of_job(key).items()
        if seen.owner_uid == memory.job.uid
    }
    spec = memory.job.spec
    wanted = spec is not None and spec.pool is not None and memory.ledger is not None
    if not wanted and not deployments:
        if memory.pool.started:
            memory.pool.observe((), now)  # the last of its pods are of no interest any more
            memory.calling.observe(Pool(), None, 0.0, now)
        return Pool()
    unsettled = _unsettled(memory)
    busy = {uid for task in unsettled if (uid := _at_work(ctx, task))}
    busy |= {action.pod.uid for action in memory.under_way.of(HandTask)}
    busy |= {made.pod.uid for made in memory.under_way.of(CreateTask) if made.pod is not None}
    pods = ctx.cache.pool_pods.of_job(key).values()
    basis, revision = memory.pool.revision
    if basis is None and not memory.job.status.terminal:
        memory.books.hosts.avoid_again(_avoided_before(deployments.values()))
    known = basis == memory.template_basis
    if wanted and not known:
        memory.learn("template", None)  # which is what finds it out
    pool = Pool(
        revision=revision if wanted else "",
        deployments=deployments,
        hosts=hosts_of(pods, ctx.cache.pool_workers.get, busy),
        sure=_is_sure(memory) and (known or not wanted),
    )
    memory.pool.observe(pool.hosts, now)
    memory.calling.observe(pool, ctx.settings.worker_url, ctx.cache.workers.turned_away, now)
    said = misconfigured(pool)
    if said and memory.facts.worker is None:
        message = f"{said}; correct spec.worker, and the job goes on"
        memory.learn("worker", Fact(now, MISCONFIGURED, message))
    _count(memory, pool, now)
    queued = sum(not task.attempts for task in unsettled)
    work = queued + count_for_pods(memory)
    memory.pool.note_startable(work, now)
    POOL_QUEUE.labels(*key).set(work)
    return pool


def observe_hosts(
    ctx: Context, memory: Memory, pods: Mapping[str, PodSeen], pool: Pool, now: float
) -> None:
    """Note where the job runs, and tell how many workers and nodes are at fault."""
    spec, hosts = memory.job.spec, memory.books.hosts
    if memory.ledger is None or spec is None:
        return
    more = spec.pool is not None and spec.pool.max_workers > 1
    tripped = memory.breaker.tripped
    outside = ctx.cache.outside.workers if spec.outside.allowed else frozenset[str]()
    hosts.observe(
        memory.books.tasks.values(),
        pods,
        pool,
        now,
        more_workers=more,
        tripped=tripped,
        outside=outside,
    )
    for kind, number in hosts.numbers(now).items():
        HOSTS_AVOIDED.labels(memory.job.namespace, memory.job.name, kind).set(number)


def _avoided_before(deployments: Collection[DeploymentSeen]) -> tuple[str, ...]:
    """Return the nodes that most workers were made to avoid, before a restart: so they may stay."""
    largest = max(deployments, key=lambda seen: (not seen.deleting, seen.replicas), default=None)
    return largest.avoids if largest is not None else ()


def _unsettled(memory: Memory) -> list[TaskSeen]:
    """Return the tasks of the job of which the end is not known, strays included."""
    ledger, books = memory.ledger, memory.books
    if ledger is None:
        return []
    return [
        task
        for task in (*books.tasks.values(), *books.strays)
        if task.index < len(ledger)
        and ledger.outcome(task.index) is Outcome.WAITING
        and not task.terminal
    ]


def _at_work(ctx: Context, task: TaskSeen) -> str:
    """Return the UID of the pod whose worker has the task, and has not said that it is done.

    One that has failed it gets no other before that is on record: it might fail them all at once.
    """
    attempt, told = task.recorded_begun, ctx.cache.workers.get(task.uid)
    if attempt is None or not attempt.session:
        return ""
    if told is None or told.report is None or not told.has_ended(attempt.number):
        return attempt.pod_uid
    return "" if told.report.failure is None else attempt.pod_uid


def _is_sure(memory: Memory) -> bool:
    """Whether what is known of the work is known for certain: unknown is no reason to leave.

    A marker that nobody may read says nothing of the others, and may stay so for good.
    """
    facts = memory.facts
    checks = (facts.storage, facts.manifest, facts.sweep)
    told = all(unread.fact.reason in OF_ONE_KEY for unread in memory.books.markers.unread.values())
    return told and all(fact is not None and fact.good for fact in checks)


def _count(memory: Memory, pool: Pool, now: float) -> None:
    """Count workers, and the time that they spend."""
    labels = (memory.job.namespace, memory.job.name)
    states = {"busy": 0, "idle": 0, "starting": 0, "draining": 0}
    for host in pool.hosts:
        if host.busy:
            states["busy"] += 1
        elif host.pod.draining or not host.pod.active:
            states["draining"] += 1
        else:
            states["starting" if host.worker is None else "idle"] += 1
    passed = memory.pool.book(now)
    for state, number in states.items():
        POOL_WORKERS.labels(*labels, state).set(number)
        POOL_SECONDS.labels(*labels, state).inc(number * passed)
