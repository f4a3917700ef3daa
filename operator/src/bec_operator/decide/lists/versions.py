"""Volumes that came without a version: when theirs are looked for, and what is said of it."""

from collections.abc import Iterator

from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.action import Action
from bec_operator.decide.volumes.actions import FindVersions
from bec_operator.decide.volumes.frontier import VolumeState
from bec_operator.decide.volumes.reasons import count_volumes


def find_versions(memory: Memory, now: float) -> Iterator[Action]:
    """Look for the versions of the next volumes, in manifest order, round and round.

    As long as nothing could start, what is found is stored before more is looked for.
    """
    books = memory.books
    search, frontier = books.versions, books.frontier
    if not memory.stand_in or now < search.not_before or memory.under_way.of(FindVersions):
        return
    if search.found and not (books.tasks or frontier.count(VolumeState.STARTABLE)):
        return
    left = _left(memory, search.search_from) or _left(memory, 0)
    if left:
        yield FindVersions(tuple(left[: search.at_once]), over=len(left) <= search.at_once)


def _left(memory: Memory, start: int) -> list[int]:
    """Return the next volumes whose versions are not found, one more than are asked about."""
    search, frontier = memory.books.versions, memory.books.frontier
    wanted = search.at_once + 1
    first = frontier.first(VolumeState.UNVERSIONED, wanted + len(search.found), start)
    return [index for index in first if index not in search.found][:wanted]


def are_all_found(memory: Memory) -> bool:
    """Whether no version is looked for, or found and not stored yet."""
    return not memory.books.frontier.count(VolumeState.UNVERSIONED)


def tell_of_versions(memory: Memory) -> str:
    """Return what is said of the search, such as `the versions of 300 volumes are looked for`."""
    left = memory.books.frontier.count(VolumeState.UNVERSIONED) - len(memory.books.versions.found)
    if left <= 0:
        return ""
    return f"the version{'s' if left > 1 else ''} of {count_volumes(left)} still to be found"
