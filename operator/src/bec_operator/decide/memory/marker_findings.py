"""What looks at S3 show of volumes: which of them are done already, and which could start."""

from bec_operator.api.base import seconds
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.memory.settling import settle_without_task
from bec_operator.decide.sight.failures import FailureClass
from bec_operator.decide.sight.seen import Fact, MarkerSeen, MarkerState
from bec_operator.decide.volumes.frontier import VolumeState
from bec_operator.decide.volumes.ledger import ALREADY_DONE, Outcome
from bec_operator.decide.volumes.site_frontier import SiteFrontier


def note_swept(memory: Memory, candidates: frozenset[int], until: int, now: float) -> None:
    """Take in which of the volumes before `until` have an output folder.

    One without cannot be done. A volume whose task went meanwhile may have got one since the list
    was made.
    """
    books, markers = memory.books, memory.books.markers
    books.frontier.clear(markers.swept, until, candidates | markers.released)
    markers.swept = until
    if until == len(books.volumes):
        markers.released.clear()
    memory.learn("sweep", Fact(now))


def note_reading_begun(memory: Memory, index: int) -> None:
    """Take in that somebody looks at a marker, so that nobody else does."""
    if memory.ledger is not None and memory.books.frontier[index] is VolumeState.UNCHECKED:
        memory.books.frontier[index] = VolumeState.READING


def note_reading_over(memory: Memory, index: int) -> None:
    """Take in that nobody looks at a marker any more, whatever came of it."""
    if memory.ledger is not None and memory.books.frontier[index] is VolumeState.READING:
        memory.books.frontier[index] = VolumeState.UNCHECKED


def note_reading(
    memory: Memory, index: int, reading: MarkerSeen, trouble: Fact | None = None
) -> None:
    """Take in a look at a marker: of a volume with a task, or of one that might be done.

    `trouble` says why it is unknown.
    """
    books, ledger = memory.books, memory.ledger
    if ledger is None:
        return
    active, state = books.frontier[index] is VolumeState.ACTIVE, reading.state
    put_off = state is MarkerState.ARCHIVED and not active
    books.markers.note_answer(index, None if put_off else trouble, active=active)
    if active:
        task = books.tasks.get(index)
        if task is not None:
            books.record(task).reading = reading
    elif books.frontier[index] is VolumeState.SETTLED:
        return
    elif state is MarkerState.VALID:
        ledger.settle(index, Outcome.SUCCEEDED, ALREADY_DONE)
        memory.outbox.note_reading(index, reading)
        books.frontier[index] = VolumeState.SETTLED
    elif state is MarkerState.IMPOSSIBLE:
        settle_without_task(memory, index, FailureClass.OUTPUT_IMPOSSIBLE, reading.message)
    elif put_off and trouble is not None:
        books.markers.archived.note(trouble, reading.asked)
        books.frontier[index] = VolumeState.ARCHIVED
    elif state is MarkerState.UNKNOWN:
        books.frontier[index] = VolumeState.UNCHECKED
    else:
        books.frontier[index] = VolumeState.STARTABLE


def let_time_pass(memory: Memory, now: float) -> None:
    """Have markers looked at again of which S3 did not tell, once it is time to.

    Volumes that wait for their sites have waited longer.
    """
    if memory.ledger is None:
        return
    frontier, spec = memory.books.frontier, memory.job.spec
    if isinstance(frontier, SiteFrontier) and spec is not None and spec.sites is not None:
        frontier.let_wait(now, seconds(spec.sites.patience))
    if memory.books.markers.archived.ends(now):
        memory.look_at_archived()
    for gate in memory.books.gates:
        gate.let_go(now)
