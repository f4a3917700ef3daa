"""One pass over a job: from what is seen of it to all that should be done now."""

from collections.abc import Callable, Iterator, Sequence

from bec_operator.api.job import JobSpec
from bec_operator.api.volume_task import TaskPhase
from bec_operator.decide.attempts.blame import excuses
from bec_operator.decide.attempts.lost_nodes import release_pods
from bec_operator.decide.attempts.record import NO_RECORD
from bec_operator.decide.attempts.skipped_looks import basis_of, just_runs, note_rest, rests
from bec_operator.decide.attempts.task import decide_task
from bec_operator.decide.attempts.view import TaskView
from bec_operator.decide.jobs.actions import WriteStatus
from bec_operator.decide.jobs.announcing import tell
from bec_operator.decide.jobs.checks import checks, may_launch
from bec_operator.decide.jobs.delivering import deliver
from bec_operator.decide.jobs.ended_job import stays_ended, tidy
from bec_operator.decide.jobs.ended_tasks import PHASES, keep_history, remove_strays
from bec_operator.decide.jobs.launches import next_launches
from bec_operator.decide.jobs.marker_reads import look_at_gates, reads
from bec_operator.decide.jobs.saving import keep
from bec_operator.decide.jobs.scene import Scene
from bec_operator.decide.jobs.shared_queue import (
    let_go_of_messages,
    most_messages,
    see_to_messages,
)
from bec_operator.decide.jobs.status import is_hopeless
from bec_operator.decide.jobs.viewing import viewer
from bec_operator.decide.lists.growth import is_list_done
from bec_operator.decide.lists.messages import take_messages
from bec_operator.decide.lists.versions import find_versions
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.action import Action
from bec_operator.decide.sight.seen import TaskSeen
from bec_operator.decide.slots.next_volumes import new_tasks
from bec_operator.decide.volumes.actions import ReadMarker
from bec_operator.decide.volumes.ledger import Outcome


def decide(seen: Scene) -> list[Action]:
    """Say all that should be done about a job now. Actions under way are left out by their keys."""
    memory = seen.memory
    if memory.job.deleting:
        return list(let_go_of_messages(memory, seen.now))
    if memory.job.status.terminal and (memory.ledger is None or stays_ended(memory)):
        return list(tidy(seen))
    actions: list[Action] = []
    if memory.job.spec is not None:
        actions += checks(memory, seen.now)
        if memory.ledger is not None:
            actions += _work(seen, memory.job.spec)
        actions += deliver(seen)
    actions += tell(seen)
    return actions


def _work(seen: Scene, spec: JobSpec) -> Iterator[Action]:
    memory, markers = seen.memory, seen.memory.books.markers
    assert memory.ledger is not None
    launch = may_launch(memory, seen.now)
    pool_actions, next_up = next_launches(seen, launch=launch)
    may_read = memory.facts.storage is not None and memory.facts.storage.good
    view_of = viewer(seen, spec, next_up)
    terms = (memory.job.generation, memory.redone)
    settled: list[TaskSeen] = []
    outdated: list[TaskSeen] = []
    for index, task in memory.books.tasks.items():
        if _is_outdated(task, memory):
            if not memory.ledger.turned:  # else it could be lost why
                outdated.append(task)
        elif memory.ledger.outcome(index) is not Outcome.WAITING:
            settled.append(task)
        else:
            for action in _look(seen, task, view_of, terms):
                if not isinstance(action, ReadMarker) or (
                    may_read and markers.may_read(action.index, seen.now)
                ):
                    yield action
    yield from excuses(seen.standings.retrying, seen.pods, memory.books.hosts)
    yield from pool_actions
    yield from keep_history(settled, outdated, view_of, memory, spec.history, seen)
    yield from new_tasks(memory, next_up, seen.now)
    yield from remove_strays(memory.books.strays, seen.pods)
    yield from release_pods(seen.pods, memory.books.nodes, seen.node_lost, seen.now)
    if may_read and memory.facts.sweep is not None:
        yield from reads(memory, seen.now)
        yield from look_at_gates(memory, seen.now)
    hopeless = is_hopeless(memory)
    if not hopeless:
        yield from find_versions(memory, seen.now)
    yield from see_to_messages(seen, hopeless=hopeless)
    over = hopeless or (memory.ledger.count(Outcome.WAITING) == 0 and is_list_done(memory))
    if may_read and not over and not memory.under_way.of(WriteStatus):
        yield from take_messages(memory, seen.now, most_messages(seen))
    yield from keep(seen, may_read=may_read)


def _look(
    seen: Scene, task: TaskSeen, view_of: Callable[[TaskSeen], TaskView], terms: object
) -> Sequence[Action]:
    """Say what to do about a task whose end is not known, unless it is known to be nothing.

    `terms` is what bears on all tasks of the job alike.
    """
    pod = seen.pods.get(task.pod)
    if pod is None or not just_runs(task, pod):
        return list(decide_task(view_of(task)))
    record = seen.memory.books.records.get(task.uid, NO_RECORD)
    basis = basis_of(task, pod, record)
    if rests(record.cached, basis, terms, seen.now):
        return ()
    actions = list(decide_task(view_of(task)))
    if not actions and record is not NO_RECORD:  # which is nobody's to write on
        note_rest(record.cached, basis, terms, seen.now)
    return actions


def _is_outdated(task: TaskSeen, memory: Memory) -> bool:
    """Whether a task ended before all that had ended so, or its volume, was opened again."""
    ledger, until = memory.ledger, 0.0
    assert ledger is not None
    if task.phase is TaskPhase.FAILED:
        until = max(ledger.retried.at, memory.books.leases.reopened.get(task.index, 0.0))
    until = max(until, ledger.redone.at)
    return 0 < task.ended_at <= until and task.phase in PHASES.values()
