"""What became of volumes and of attempts at them. In the ledger it is safe once that is saved."""

from collections.abc import Sequence

from bec_operator.api.volume_task import Attempt
from bec_operator.decide.attempts.actions import RecordTask
from bec_operator.decide.attempts.retrying import disruptions_in_a_row
from bec_operator.decide.memory.breaker import CLAIMED
from bec_operator.decide.memory.memory import MISCONFIGURED, Memory
from bec_operator.decide.sight.failures import FailureClass
from bec_operator.decide.sight.seen import Fact, TaskSeen
from bec_operator.decide.volumes.failure_report import Line
from bec_operator.decide.volumes.frontier import VolumeState
from bec_operator.decide.volumes.ledger import Outcome


def settle(
    memory: Memory, task: TaskSeen, outcome: Outcome, failure: FailureClass | None, now: float
) -> None:
    """Note what became of a task; a failure is a line of the report, too."""
    assert memory.ledger is not None
    if memory.ledger.outcome(task.index) is not Outcome.WAITING:
        return
    books, record = memory.books, memory.books.record(task)
    memory.ledger.settle(task.index, outcome, failure or 0)
    books.markers.unread.pop(task.index, None)
    books.blocked.pop(task.index, None)
    books.old_pods.forget(task.name)
    reading = record.reading
    if failure is None:
        if memory.breaker.claimed:  # by exit codes alone, and that was not so
            memory.learn("worker", None)
        memory.breaker.note_success()
    memory.pool.note_end(task, now)
    if failure is None and reading is not None and (books.throughput.unit or reading.items):
        books.throughput.note_done(record.counted, reading.items, now)
    if failure is not None:
        books.hosts.acquit(task.index, now)
        message = task.failed[-1].message
        _note_failure(memory, task.index, failure, message, task.name, task.attempts)


def note_failed_attempt(
    memory: Memory, action: RecordTask, failure: FailureClass, now: float
) -> None:
    """Take in that an attempt failed, as is now on record: it may be a sign of something worse."""
    task, said = action.task, action.status.message
    repeated = disruptions_in_a_row([*task.failures, failure]) > 1
    memory.breaker.note_failure(task.index, failure, said, now, repeated=repeated)
    none_done = memory.ledger is None or not memory.ledger.count(Outcome.SUCCEEDED)
    if action.claims and none_done and memory.breaker.note_claim(task.index):
        note_misconfigured(memory, task, f"{CLAIMED}: {said}", now)


def note_misconfigured(memory: Memory, task: TaskSeen, said: str, now: float) -> None:
    """Take in that the job is set up wrongly: nothing is launched until it is changed."""
    if memory.facts.worker is None:
        message = f"{said} ({task.name}); correct spec.worker, and the job goes on"
        memory.learn("worker", Fact(now, MISCONFIGURED, message))


def settle_without_task(
    memory: Memory,
    index: int,
    failure: FailureClass,
    message: str,
    outcome: Outcome = Outcome.FAILED,
) -> None:
    """Note that a volume has failed, or is skipped, before a task could be made for it."""
    assert memory.ledger is not None
    memory.ledger.settle(index, outcome, failure)
    memory.books.frontier[index] = VolumeState.SETTLED
    _note_failure(memory, index, failure, message)


def settle_untried(memory: Memory, index: int, outcome: Outcome) -> None:
    """Note that a volume will never start, for the sake of a job that it depends on."""
    assert memory.ledger is not None
    books = memory.books
    if books.frontier[index] is not VolumeState.GATED:
        return
    memory.ledger.settle(index, outcome, FailureClass.DEPENDENCY_FAILED)
    books.frontier[index] = VolumeState.SETTLED
    names = " and ".join(f"Job {name}" for name in books.gates.blamed(index, outcome))
    done = "skipped" if outcome is Outcome.SKIPPED else "failed"
    _note_failure(
        memory,
        index,
        FailureClass.DEPENDENCY_FAILED,
        f"{done} without an attempt: {names}, on which it depends, has failed for this volume",
    )


def _note_failure(
    memory: Memory,
    index: int,
    failure: FailureClass,
    message: str,
    task: str = "",
    attempts: Sequence[Attempt] = (),
) -> None:
    volume = memory.books.volumes[index]
    line = Line.of(memory.job.uid, index, volume, failure.label, message, task, attempts)
    memory.books.report.note_unsaved(line)
