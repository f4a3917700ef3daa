"""A Job that has ended: what is left of it goes, unless it asks for something to be done again."""

from collections.abc import Iterator

from bec_operator.api.job import JobPhase
from bec_operator.decide.jobs.actions import WriteStatus
from bec_operator.decide.jobs.checks import checks, is_due
from bec_operator.decide.jobs.delivering import deliver_rest
from bec_operator.decide.jobs.ended_tasks import tidy_history
from bec_operator.decide.jobs.scene import Scene
from bec_operator.decide.jobs.stalls import stall_of_checks, with_stall
from bec_operator.decide.jobs.status import is_hopeless
from bec_operator.decide.lists.followed import follow_every
from bec_operator.decide.lists.growth import is_list_done, is_look_due
from bec_operator.decide.lists.messages import queue_of
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.action import Action
from bec_operator.decide.slots.pool_size import dissolve
from bec_operator.decide.volumes.actions import LoadEnded, LookAtList
from bec_operator.decide.volumes.ledger import Outcome


def stays_ended(memory: Memory) -> bool:
    """Whether a Job that has ended has nothing to do again, though its spec has changed since."""
    ledger, job = memory.ledger, memory.job
    assert ledger is not None
    if job.status.observed_generation == job.generation or not ledger.saved or memory.books.added:
        return False
    if follow_every(memory) is not None:
        return is_hopeless(memory)  # else new versions are looked for again
    queue = queue_of(memory)
    if queue is not None and (queue.until is None or job.status.phase is JobPhase.FAILED):
        return is_hopeless(memory)  # else it takes messages again
    return is_hopeless(memory) or ledger.count(Outcome.WAITING) == 0


def has_ended(memory: Memory) -> bool:
    """Whether a Job whose ledger is still loaded has ended, and says so: nothing is under way."""
    ledger, job = memory.ledger, memory.job
    if ledger is None or memory.under_way or not job.status.terminal:
        return False
    return ledger.saved and job.status.observed_generation == job.generation


def tidy(seen: Scene) -> Iterator[Action]:
    """The job has ended and its ledger is put away: what is not history goes."""
    memory, job = seen.memory, seen.memory.job
    yield from dissolve(seen.pool)
    if job.status.observed_generation != job.generation:
        yield from _reconsider(seen)
    wanted = memory.ends.wanted and memory.ends.outcomes is None and memory.ledger is None
    if wanted and is_due(memory.ends.unreadable, seen.now):
        yield LoadEnded()
    if job.spec is None:
        return  # what may stay is not known
    if job.has_ended and memory.ledger is None:
        yield from deliver_rest(seen)
    yield from tidy_history(memory.books.tasks.values(), job.spec.history, seen.pods)


def _reconsider(seen: Scene) -> Iterator[Action]:
    """The Job has ended, and its spec has changed since: it may want something done again."""
    memory, job, now = seen.memory, seen.memory.job, seen.now
    if job.spec is None:
        yield from _tell_stall(memory, "InvalidSpec", job.problem, now)
    elif memory.ledger is None:
        yield from checks(memory, now)
        reason, message = stall_of_checks(memory)
        if reason:
            yield from _tell_stall(memory, reason, message, now)
    elif queue_of(memory) is None and not (is_hopeless(memory) or is_list_done(memory)):
        if is_look_due(memory, now, seen.list_every):
            yield LookAtList()
        if memory.books.listed is not None and memory.books.listed.unknown:
            asks = job.spec.volumes.sql is not None
            reason = "ConnectionUnavailable" if asks else "StorageUnavailable"
            yield from _tell_stall(memory, reason, memory.books.listed.problem, now)
    else:
        told = with_stall(job.status, "", "", job.generation, now)
        yield WriteStatus(told.model_copy(update={"observed_generation": job.generation}))


def _tell_stall(memory: Memory, reason: str, message: str, now: float) -> Iterator[Action]:
    """Have a Job that has ended say why nothing comes of what it asks for now."""
    status = with_stall(memory.job.status, reason, message, memory.job.generation, now)
    if status != memory.job.status:
        yield WriteStatus(status)
