"""When what is known of a job is stored, and the list of volumes looked at again."""

from collections.abc import Iterator

from bec_operator.decide.jobs.actions import WriteStatus
from bec_operator.decide.jobs.scene import Scene
from bec_operator.decide.jobs.status import is_hopeless
from bec_operator.decide.lists.growth import is_look_due
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.action import Action
from bec_operator.decide.volumes.actions import LookAtList, SaveLedger
from bec_operator.decide.volumes.frontier import VolumeState

SAVE_AFTER = 5.0  # seconds
SAVE_AT = 500  # results
SAVE_NOT_BEFORE = 1.0  # seconds since the last write of the ledger
VOLUMES_A_SECOND = 25_000  # for so many each the manifest may be written a second more rarely


def keep(seen: Scene, *, may_read: bool) -> Iterator[Action]:
    """Store the ledger, and see whether the list of volumes has grown."""
    memory, now, active = seen.memory, seen.now, seen.standings.active
    in_s3 = memory.books.report.unsaved or memory.outbox.wanted is not None  # before the ledger
    if (may_read and _grows(memory, active, now)) or (
        (may_read or not in_s3) and _save_due(memory, active, now)
    ):
        yield SaveLedger()
    if not may_read or is_hopeless(memory) or memory.under_way.of(WriteStatus):
        return  # the last: it may be the end of the job that is written
    if is_look_due(memory, now, seen.list_every):
        yield LookAtList()


def _grows(memory: Memory, active: int, now: float) -> bool:
    """Whether a longer manifest should be stored.

    It is written as a whole, so what is found bit by bit waits a while, if others run meanwhile.
    """
    books, since = memory.books, now - memory.saving.at
    added = bool(books.added or books.followed.found)
    if not (added or books.versions.found) or since < SAVE_NOT_BEFORE:
        return False
    if added:
        return since >= min(SAVE_NOT_BEFORE + len(books.volumes) / VOLUMES_A_SECOND, SAVE_AFTER)
    left = books.frontier.count(VolumeState.UNVERSIONED) > len(books.versions.found)
    return not left or not active or since >= SAVE_AFTER


def _save_due(memory: Memory, active: int, now: float) -> bool:
    """Whether the ledger should be stored: in time, when it is much, or when nothing else is left.

    A failure report that could not be written keeps its volumes unsaved, so it is tried again.
    """
    assert memory.ledger is not None
    unsaved = len(memory.ledger.unsaved)
    since = now - memory.saving.at
    count = memory.books.frontier.count
    waits = count(VolumeState.GATED) or count(VolumeState.UNVERSIONED)
    if memory.ledger.saved or ((active or waits) and since < SAVE_NOT_BEFORE):
        return False
    nothing_left = not active and not waits and not count(VolumeState.UNCHECKED)
    much = unsaved >= SAVE_AT or memory.outbox.is_full
    return memory.ledger.turned or since >= SAVE_AFTER or much or nothing_left
