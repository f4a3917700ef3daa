"""One pass over a job: from what is seen of it to all that should be done now."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice, zip_longest

from bec_operator.api.base import seconds
from bec_operator.api.job import JobSpec, JobStatus, SuspendMode
from bec_operator.api.volume_task import TaskPhase
from bec_operator.decide.attempts.actions import CreateTask, SettleUntried
from bec_operator.decide.attempts.blame import excuses
from bec_operator.decide.attempts.lost_nodes import release_pods
from bec_operator.decide.attempts.notes import Notes
from bec_operator.decide.attempts.resting import just_runs, seen_of
from bec_operator.decide.attempts.task import decide_task, is_blocked
from bec_operator.decide.attempts.view import Limits, TaskView
from bec_operator.decide.hosts.actions import GuardWorker
from bec_operator.decide.hosts.pool import Work
from bec_operator.decide.jobs.actions import TellFailures, TellIdle, WriteStatus
from bec_operator.decide.jobs.checks import checks, may_launch
from bec_operator.decide.jobs.ended import stays_ended, tidy
from bec_operator.decide.jobs.growth import is_look_due
from bec_operator.decide.jobs.history import PHASES, keep_history, remove_strays
from bec_operator.decide.jobs.scene import Seen
from bec_operator.decide.jobs.status import (
    is_hopeless,
    is_over,
    job_status,
    worth_writing,
)
from bec_operator.decide.jobs.tally import Tally
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.memory.telling import IDLE_AFTER
from bec_operator.decide.sight.action import Action
from bec_operator.decide.sight.failures import FailureClass
from bec_operator.decide.sight.seen import TaskSeen, Verdict
from bec_operator.decide.slots.pool_size import (
    hosts_for_work,
    replace_hosts,
    scale,
    wanted,
    with_busy,
)
from bec_operator.decide.slots.window import Launches, Standings, hand_out, launches, work_of
from bec_operator.decide.volumes.actions import (
    CompileReport,
    LookAtList,
    ReadMarker,
    SaveLedger,
    SweepGate,
)
from bec_operator.decide.volumes.frontier import Look
from bec_operator.decide.volumes.ledger import Ledger, Outcome
from bec_operator.decide.volumes.reasons import failed_of_total

READS_AT_ONCE = 64
LOOKED_AT_ONCE = 512  # volumes of which it is asked whether their marker could be read
ENDS_AT_ONCE = 1000  # of volumes that will never start: each is a line of the report
_NO_NOTES = Notes()
_WRITING = WriteStatus(JobStatus()).key
SAVE_AFTER = 5.0  # seconds
SAVE_AT = 500  # results
SAVE_NOT_BEFORE = 1.0  # seconds since the last write of the ledger


def decide(seen: Seen) -> list[Action]:
    """Say all that should be done about a job now. Actions under way are left out by their keys."""
    memory = seen.memory
    if memory.job.deleting:
        return []
    if memory.job.status.terminal and (memory.ledger is None or stays_ended(memory)):
        return list(tidy(seen))
    actions: list[Action] = []
    if memory.job.spec is not None:
        actions += checks(memory, seen.now)
        if memory.ledger is not None:
            actions += _work(seen, memory.job.spec)
    actions += _status(seen)
    return actions


def _work(seen: Seen, spec: JobSpec) -> Iterator[Action]:
    memory = seen.memory
    assert memory.ledger is not None
    launch = may_launch(memory, seen.now)
    pool_actions, next_up = _launches(seen, launch=launch)
    may_read = memory.facts.storage is not None and memory.facts.storage.good
    view_of = _viewer(seen, spec, next_up)
    memory.resting.agree((memory.job.generation, memory.ledger.redone.moment, seen.record_every))
    settled: list[TaskSeen] = []
    outdated: list[TaskSeen] = []
    for index, task in memory.tasks.items():
        if _is_outdated(task, memory.ledger):
            if not memory.ledger.turned:  # else it could be lost why
                outdated.append(task)
        elif memory.ledger.outcome(index) is not Outcome.WAITING:
            settled.append(task)
        else:
            for action in _look(seen, task, view_of):
                if not isinstance(action, ReadMarker) or (
                    may_read and _may_read(memory, action.index, seen.now)
                ):
                    yield action
    yield from excuses(seen.standings.retrying, seen.pods, memory.hosts)
    yield from pool_actions
    yield from keep_history(settled, outdated, view_of, memory, spec.history, seen)
    yield from _new_tasks(memory, next_up, seen.now)
    yield from remove_strays(memory.strays, seen.pods)
    yield from release_pods(seen.pods, memory.nodes, seen.node_lost, seen.now)
    if may_read and memory.facts.sweep is not None:
        yield from _reads(memory, seen.now)
        yield from _gates(memory, seen.now)
    yield from _keep(seen, may_read=may_read)


def _look(seen: Seen, task: TaskSeen, view_of: Callable[[TaskSeen], TaskView]) -> Sequence[Action]:
    """Say what to do about a task whose end is not known, unless it is known to be nothing."""
    memory, pod = seen.memory, seen.pods.get(task.pod)
    if pod is None or not just_runs(task, pod):
        return list(decide_task(view_of(task)))
    reading, notes = memory.readings.get(task.index), memory.notes.get(task.uid) or _NO_NOTES
    known = seen_of(task, pod, reading, notes)
    if memory.resting.rests(task.uid, known, seen.now):
        return ()
    actions = list(decide_task(view_of(task)))
    if not actions:
        memory.resting.note(task.uid, known, seen.now)
    return actions


def _launches(seen: Seen, *, launch: bool) -> tuple[list[Action], Launches]:
    """Return what is to be done about the pool, if there is one, and what may be launched."""
    memory, spec = seen.memory, seen.memory.job.spec
    args = (memory, seen.standings, seen.allowed, seen.now)
    if (spec is None or spec.pool is None) and not seen.pool.deployments:
        return [], launches(*args) if launch else Launches()
    assert spec is not None
    free = hosts_for_work(seen.pool, memory, spec, seen.now)
    next_up = Launches()
    if launch:
        next_up = hand_out(*args, free, seen.pool) if spec.pool is not None else launches(*args)
    work = work_of(*args) if launch and spec.pool is not None else Work()
    handed = next_up.handed
    pool = with_busy(seen.pool, handed)
    aim = wanted(
        spec,
        pool,
        memory.pool,
        work.without(len(handed)),
        launch=launch,
        more_may_come=_more_may_come(memory, seen.standings),
        most=memory.calling.most,
    )
    bad = memory.hosts.to_replace(pool, seen.now, tripped=memory.breaker.tripped)
    replaced = replace_hosts(pool, {*memory.calling.mute, *bad, *next_up.stale})
    return [*replaced, *scale(spec, pool, memory.pool, aim, seen.now)], next_up


def _more_may_come(memory: Memory, standings: Standings) -> bool:
    """Whether there are volumes that could start later, beside those that run."""
    looks = (Look.GATED, Look.UNCHECKED, Look.READING, Look.STARTABLE)
    return bool(standings.retrying) or any(memory.frontier.count(look) for look in looks)


def _keep(seen: Seen, *, may_read: bool) -> Iterator[Action]:
    """Store the ledger, and see whether the list of volumes has grown."""
    memory, now, active = seen.memory, seen.now, seen.standings.active
    grows = may_read and memory.added and now - memory.saved_at >= SAVE_NOT_BEFORE
    if grows or ((may_read or not memory.failures) and _save_due(memory, active, now)):
        yield SaveLedger()  # which begins with the report of the failures, in S3
    if not may_read or is_hopeless(memory) or _WRITING in memory.busy:
        return  # the last: it may be the end of the job that is written
    if is_look_due(memory, now, seen.list_every):
        yield LookAtList()


def _reads(memory: Memory, now: float) -> Iterator[Action]:
    """Look whether volumes are done already, so many at once."""
    if memory.archived.ends(now):
        memory.look_at_archived()
    free = READS_AT_ONCE - memory.frontier.count(Look.READING)
    if free <= 0 or now < memory.reads_at:
        return
    # From where the last look ended on: what cannot be read now must not hide what is behind it.
    found = memory.frontier.first(Look.UNCHECKED, LOOKED_AT_ONCE, memory.reads_from)
    swept = [index for index in found if index < memory.swept]
    chosen = list(islice((i for i in swept if _may_read(memory, i, now)), free))
    if len(chosen) == free:
        memory.reads_from = chosen[-1] + 1
    elif len(found) == LOOKED_AT_ONCE and len(swept) == len(found):
        memory.reads_from = found[-1] + 1
    else:
        memory.reads_from = 0
        memory.end_round(now)
    yield from map(ReadMarker, chosen)


def _gates(memory: Memory, now: float) -> Iterator[Action]:
    """Look for the markers of others, and settle what waits for what will never come."""
    for number, gate in enumerate(memory.gates):
        gate.let_go(now)
        if gate.place is not None and now >= gate.sweep_at and gate.seeks(memory.frontier):
            yield SweepGate(number, gate.place)
    for index, outcome in memory.gates.ends(memory.frontier, ENDS_AT_ONCE):
        yield SettleUntried(index, outcome)


def _may_read(memory: Memory, index: int, now: float) -> bool:
    """Whether a marker may be looked at: S3 has not failed to tell about it just now."""
    return index not in memory.unread or memory.unread[index].is_due(now)


def _viewer(seen: Seen, spec: JobSpec, next_up: Launches) -> Callable[[TaskSeen], TaskView]:
    """Return what gives the view of a task."""
    memory = seen.memory
    assert memory.ledger is not None
    limits, redone = Limits.of(spec.timeouts, spec.retry), memory.ledger.redone.moment
    stop = _stop(spec)

    def view_of(task: TaskSeen) -> TaskView:
        attempt, notes = task.attempt, memory.notes.get(task.uid) or _NO_NOTES
        return TaskView(
            task=task,
            pods=seen.pods,
            parted=seen.parted.get(task.uid),
            reading=memory.readings.get(task.index),
            blocked=memory.blocked.get(task.index),
            lost=memory.lost.get(task.uid),
            own=task.uid in memory.born,
            rivals_until=memory.rivals_until(task.index),
            said=notes.worker if notes.worker and notes.worker.attempt == attempt else None,
            verdict=notes.verdict[1] if notes.verdict and notes.verdict[0] == attempt else None,
            log=notes.log[1] if notes.log and notes.log[0] == attempt else None,
            heard=notes.heard[1] if notes.heard and notes.heard[0] == attempt else None,
            probed=notes.probed,
            told=notes.told,
            may_launch=task.uid in next_up.pods or task.uid in next_up.hosts,
            host=next_up.hosts.get(task.uid),
            stop=stop,
            redone=redone,
            limits=limits,
            backoff=spec.retry.backoff,
            generation=memory.job.generation,
            record_every=seen.record_every,
            locate=memory.output_uri,
            marker_shows=seen.marker_shows,
            now=seen.now,
            turned_away=seen.turned_away,
            hosts=memory.hosts,
        )

    return view_of


def _is_outdated(task: TaskSeen, ledger: Ledger) -> bool:
    """Whether a task ended before all that had ended so was opened again."""
    failed = task.phase is TaskPhase.FAILED
    until = max(ledger.redone.at, ledger.retried.at if failed else 0.0)
    return 0 < task.finished <= until and task.phase in PHASES.values()


def _stop(spec: JobSpec) -> Verdict | None:
    """Return why attempts that run are to be ended, if they are."""
    if spec.suspend and spec.suspend_mode is SuspendMode.STOP:
        return Verdict(FailureClass.STOPPED, "the Job is suspended (suspendMode: Stop)")
    return None


def _new_tasks(memory: Memory, next_up: Launches, now: float) -> Iterator[Action]:
    """Fill the free slots of the window, in manifest order.

    What is under way has its slot already; a volume whose name is taken holds up no other. In a
    pool, a worker has its task from the start, but where somebody else may still be at work on it.
    """
    under_way = memory.under_way(CreateTask)
    blocked = {index for index, fact in memory.blocked.items() if is_blocked(fact, now)}
    left_out = under_way | blocked
    free = next_up.tasks - len(under_way - memory.tasks.keys())
    wanted = max(free, len(next_up.fresh))
    if wanted <= 0:
        return
    found = memory.frontier.first(Look.STARTABLE, wanted + len(left_out))
    chosen = [index for index in found if index not in left_out][:wanted]
    for index, host in zip_longest(chosen, next_up.fresh[: len(chosen)]):
        if host is None or memory.rivals_until(index):
            yield CreateTask(index)
        elif not host.pod.guarded:
            yield GuardWorker(host.pod, guarded=True)
        else:
            yield CreateTask(index, host.pod, host.worker)


def _save_due(memory: Memory, active: int, now: float) -> bool:
    """Whether the ledger should be stored: in time, when it is much, or when nothing else is left.

    A failure report that could not be written keeps its volumes unsaved, so it is tried again.
    """
    assert memory.ledger is not None
    unsaved = len(memory.ledger.unsaved)
    since = now - memory.saved_at
    gated = memory.frontier.count(Look.GATED)
    if memory.ledger.saved or ((active or gated) and since < SAVE_NOT_BEFORE):
        return False
    nothing_left = not active and not gated and memory.frontier.count(Look.UNCHECKED) == 0
    return memory.ledger.turned or since >= SAVE_AFTER or unsaved >= SAVE_AT or nothing_left


def _status(seen: Seen) -> Iterator[Action]:
    memory, now = seen.memory, seen.now
    tally = Tally.of(memory, seen.pods, seen.standings, seen.pool)
    status = job_status(memory, tally, now)
    if worth_writing(status, memory, now):
        yield WriteStatus(status)
    yield from _telling(memory, tally, now)


def _telling(memory: Memory, tally: Tally, now: float) -> Iterator[Action]:
    """What else people are told: the report, how many have failed, that no task is left."""
    ledger, facts, telling = memory.ledger, memory.facts, memory.telling
    if ledger is None:
        return
    may_write = all(fact is not None and fact.good for fact in (facts.storage, facts.conflict))
    if may_write and memory.report.is_due(ledger, now, over=is_over(memory, tally)):
        yield CompileReport()
    if ledger.count(Outcome.FAILED) and telling.failures_due(ledger.changes, now):
        yield TellFailures(failed_of_total(ledger))
    waiting = ledger.count(Outcome.WAITING)
    pool = memory.job.spec.pool if memory.job.spec is not None else None
    after = seconds(pool.idle) if pool is not None else IDLE_AFTER
    if telling.idle_due(len(ledger) - waiting, after, now):
        yield TellIdle(f"no task runs, and none could be started: {waiting} volumes wait")
