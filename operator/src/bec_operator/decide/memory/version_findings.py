"""What looks for versions show of volumes that came without one."""

from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.memory.settling import settle_without_task
from bec_operator.decide.sight.failures import FailureClass
from bec_operator.decide.volumes.frontier import VolumeState


def note_version(memory: Memory, index: int, version: str) -> None:
    """Take in the version of a volume that came without one."""
    if memory.books.frontier[index] is VolumeState.UNVERSIONED:
        memory.books.versions.found[index] = version


def note_no_version(memory: Memory, index: int, why: str) -> None:
    """Take in that a volume will get no version: it has failed."""
    if memory.books.frontier[index] is VolumeState.UNVERSIONED:
        settle_without_task(memory, index, FailureClass.VERSION_MISSING, why)
