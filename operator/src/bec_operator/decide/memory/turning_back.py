"""Volumes that are opened again: as the Job asks for, or a message that comes again."""

from collections.abc import Sequence

from bec_operator.decide.memory.breaker import Breaker
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.volumes.frontier import VolumeState
from bec_operator.decide.volumes.ledger import Outcome
from bec_operator.decide.volumes.volume_list import VolumeList


def turn_back(memory: Memory, now: float) -> None:
    """Open again what `retryFailedAt` and `redoAt` ask for, each once.

    Whether a volume is done is then read anew; VolumeTasks from before go by themselves.
    """
    spec, ledger, books = memory.job.spec, memory.ledger, memory.books
    if spec is None or ledger is None:
        return
    opened: list[int] = []
    if (retried := ledger.retried.due(spec.retry_failed_at, now)) is not None:
        ledger.retried = retried
        opened += ledger.reopen({Outcome.FAILED, Outcome.SKIPPED})
    if (redone := ledger.redone.due(spec.redo_at, now)) is not None:
        ledger.redone = redone
        opened += ledger.reopen({Outcome.SUCCEEDED, Outcome.FAILED, Outcome.SKIPPED})
        for record in books.records.values():
            record.reading = None
    _let_start(memory, opened)
    if opened:
        memory.breaker = Breaker()
        books.eta.begin(ledger.tried, now)
        books.old_pods.reopen()


def may_open_again(memory: Memory, index: int) -> bool:
    """Whether a volume has not succeeded, and that is stored with the reason in the report."""
    ledger = memory.ledger
    if ledger is None or not ledger.is_stored(index):
        return False
    return ledger.outcome(index) is not Outcome.SUCCEEDED


def open_again(memory: Memory, index: int, now: float) -> None:
    """Open one volume again that has failed, as a message asks for it."""
    ledger, books = memory.ledger, memory.books
    if ledger is None or not may_open_again(memory, index):
        return
    ledger.settle(index, Outcome.WAITING)
    ledger.turned = True  # nothing is launched before it is stored
    _let_start(memory, [index])
    books.leases.note_reopened(index, now)
    books.old_pods.reopen()


def _let_start(memory: Memory, opened: Sequence[int]) -> None:
    """Let volumes start that were opened again, once it is read that they are not done."""
    books = memory.books
    bare = set(VolumeList.of(books.volumes).unversioned()) if opened and memory.stand_in else ()
    for index in opened:
        state = VolumeState.UNVERSIONED if index in bare else VolumeState.UNCHECKED
        books.frontier[index] = state
        books.markers.note_released(index, len(books.volumes))
        books.markers.unread.pop(index, None)
        books.report.unsaved.pop(index, None)
        if (task := books.tasks.get(index)) is not None:
            books.record(task).reading = None
