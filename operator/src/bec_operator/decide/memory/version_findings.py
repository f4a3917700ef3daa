"""What looks for versions show of volumes that came without one."""

from collections.abc import Iterable, Mapping

from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.memory.settling import settle_without_task
from bec_operator.decide.sight.failures import FailureClass
from bec_operator.decide.volumes.frontier import VolumeState
from bec_operator.decide.volumes.ledger import Outcome


def note_version(memory: Memory, index: int, version: str) -> None:
    """Take in the version of a volume that came without one."""
    if memory.books.frontier[index] is VolumeState.UNVERSIONED:
        memory.books.versions.found[index] = version


def note_doubles(memory: Memory, indices: Iterable[int]) -> None:
    """Take in that volumes are others of the list, now that their versions are known."""
    for index in indices:
        memory.books.versions.found.pop(index, None)
        if memory.books.frontier[index] is VolumeState.UNVERSIONED:
            said = "the list has it twice, the other time with the version that was found"
            settle_without_task(memory, index, FailureClass.DOUBLE, said, Outcome.SKIPPED)


def note_no_version(memory: Memory, index: int, why: str) -> None:
    """Take in that a volume will get no version: it has failed."""
    if memory.books.frontier[index] is VolumeState.UNVERSIONED:
        settle_without_task(memory, index, FailureClass.VERSION_MISSING, why)


def note_followed(memory: Memory, versions: Mapping[int, str]) -> None:
    """Take in that new versions stand in the stored manifest, each as a volume of its own."""
    memory.books.followed.drop(versions)
    finish_look(memory)


def finish_look(memory: Memory) -> None:
    """Have the ledger know of a look for new versions that is over.

    Only once what it found is stored: else a crash in between would put that off to the next one.
    """
    followed, ledger = memory.books.followed, memory.ledger
    if followed.over is not None and not followed.found and ledger is not None:
        ledger.followed = followed.over
        followed.finish()
