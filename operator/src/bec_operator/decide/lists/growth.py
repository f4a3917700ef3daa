"""A source of volumes that changes in mid-run: when to look at it, and what to say of it."""

from bec_operator.api.base import seconds
from bec_operator.api.job import JobPhase
from bec_operator.decide.lists.followed import follow_every, tell_of_followed
from bec_operator.decide.lists.messages import (
    is_queue_done,
    is_queue_quiet,
    queue_of,
    tell_of_queue,
)
from bec_operator.decide.lists.sites import tell_of_sites
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.volumes.actions import FollowVersions, LookAtList
from bec_operator.decide.volumes.ledger import Ledger, Outcome

LIST_UNREADABLE = "ListUnreadable"
LOOK_AGAIN_AFTER = 5.0  # seconds after which S3 is asked again if it gave no answer
_TOLD_IN = {JobPhase.RUNNING, JobPhase.COMPLETE}


def is_look_due(memory: Memory, now: float, every: float) -> bool:
    """Whether to look at the source: when its Job changed, now and then, and before the end.

    Inline volumes change with their Job only. `every` is in seconds, where the Job does not say.
    """
    assert memory.ledger is not None
    if queue_of(memory) is not None:
        return False  # which tells by itself
    listed = memory.books.listed
    if listed is None or listed.generation != memory.job.generation:
        return True
    if listed.unknown:
        return now - listed.at >= LOOK_AGAIN_AFTER
    if not _may_change(memory):
        return False
    settled = count_settled(memory.ledger) == len(memory.ledger)
    if settled and follow_every(memory) is None:  # else it has no end to be looked at before
        return listed.settled != len(memory.ledger)
    return now - listed.at >= _every(memory, every)


def _every(memory: Memory, usual: float) -> float:
    """Return the seconds between two looks, as the Job says."""
    spec = memory.job.spec
    source = spec.volumes.s3 or spec.volumes.sql if spec is not None else None
    return seconds(source.every) if source is not None and source.every is not None else usual


def is_list_done(memory: Memory) -> bool:
    """Whether nothing more comes of the list: it was looked at after the last volume was settled.

    Else what is added while the last volumes run would be left out. New versions that are followed
    may always come.
    """
    if follow_every(memory) is not None:
        return False
    if queue_of(memory) is not None and memory.ledger is not None:
        return is_list_quiet(memory) and is_queue_done(memory, count_settled(memory.ledger))
    if not is_list_quiet(memory) or memory.books.listed is None or memory.ledger is None:
        return False
    listed = memory.books.listed
    if listed.unknown or listed.generation != memory.job.generation:
        return False
    return not _may_change(memory) or listed.settled == len(memory.ledger)


def is_list_quiet(memory: Memory) -> bool:
    """Whether no volume is about to be added."""
    books = memory.books
    if books.added or books.versions.found or memory.under_way.of(LookAtList):
        return False
    if books.followed.found or memory.under_way.of(FollowVersions):
        return False
    return queue_of(memory) is None or is_queue_quiet(memory)


def count_settled(ledger: Ledger) -> int:
    """Return how many volumes are settled."""
    return len(ledger) - ledger.count(Outcome.WAITING)


def tell_of_list(memory: Memory, phase: JobPhase, verdict: tuple[str, str]) -> tuple[str, str]:
    """Return reason and sentence of a Job, with what is to be said of its list."""
    told = tell_of_sites(memory, phase, _tell_of_source(memory, phase, verdict))
    return tell_of_followed(memory, phase, told)


def _tell_of_source(memory: Memory, phase: JobPhase, verdict: tuple[str, str]) -> tuple[str, str]:
    listed = memory.books.listed
    if phase is JobPhase.RUNNING and (waits := tell_of_queue(memory, verdict)) is not None:
        return waits
    if listed is None or phase not in _TOLD_IN:
        return verdict
    reason, message = verdict
    if listed.problem:
        plain = reason == phase and not listed.unknown
        return LIST_UNREADABLE if plain else reason, f"{message}; {unreadable(listed.problem)}"
    if listed.gone:
        return reason, f"{message}; {removed(listed.gone)}"
    return verdict


def unreadable(problem: str) -> str:
    """Say that the list cannot be read."""
    return f"the list cannot be read now, the job goes on with what it has: {problem}"


def removed(gone: int) -> str:
    """Say that volumes were taken out of the list."""
    if gone == 1:
        return "1 volume is no longer in the list; it is done all the same"
    return f"{gone} volumes are no longer in the list; they are done all the same"


def _may_change(memory: Memory) -> bool:
    """Whether the source can change while its Job does not."""
    return memory.job.spec is not None and memory.job.spec.volumes.items is None
