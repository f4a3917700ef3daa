"""What bears on one task of a job: put together for the decisions about it."""

from collections.abc import Callable
from typing import TypeVar

from bec_operator.api.job import JobSpec, SuspendMode
from bec_operator.decide.attempts.record import NO_RECORD
from bec_operator.decide.attempts.view import Limits, TaskView
from bec_operator.decide.jobs.scene import Scene
from bec_operator.decide.sight.failures import FailureClass
from bec_operator.decide.sight.seen import TaskSeen, Verdict
from bec_operator.decide.slots.filling import Launches

T = TypeVar("T")


def viewer(seen: Scene, spec: JobSpec, next_up: Launches) -> Callable[[TaskSeen], TaskView]:
    """Return what gives the view of a task."""
    memory, books = seen.memory, seen.memory.books
    limits, redone = Limits.of(spec.timeouts, spec.retry), memory.redone
    stop = _stop(spec)

    def view_of(task: TaskSeen) -> TaskView:
        attempt, record = task.attempt, books.records.get(task.uid, NO_RECORD)
        worker = record.worker
        return TaskView(
            task=task,
            pods=seen.pods,
            parted=seen.parted.get(task.uid),
            reading=record.reading,
            blocked=books.blocked.get(task.index),
            missed=record.missed,
            own=record.own,
            old_pods_until=memory.old_pods_until(task.index),
            said=worker if worker is not None and worker.attempt == attempt else None,
            verdict=_of(attempt, record.verdict),
            log=_of(attempt, record.log),
            heard=_of(attempt, record.heard),
            probed=record.probed,
            shown=record.shown,
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
            hosts=books.hosts,
        )

    return view_of


def _of(attempt: int, noted: tuple[int, T] | None) -> T | None:
    """Return what was noted of the attempt of this number, and not of another one."""
    return noted[1] if noted is not None and noted[0] == attempt else None


def _stop(spec: JobSpec) -> Verdict | None:
    """Return why attempts that run are to be ended, if they are."""
    if spec.suspend and spec.suspend_mode is SuspendMode.STOP:
        return Verdict(FailureClass.STOPPED, "the Job is suspended (suspendMode: Stop)")
    return None
