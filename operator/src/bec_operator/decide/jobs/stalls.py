"""What makes a Job `Stalled`, and in which words: of several reasons the first one that holds."""

from bec_operator.api.job import JobStatus
from bec_operator.decide.jobs.tally import Tally
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.conditions import conditions
from bec_operator.decide.sight.moments import iso
from bec_operator.decide.volumes.frontier import VolumeState
from bec_operator.decide.volumes.ledger import Outcome
from bec_operator.decide.volumes.reasons import count_volumes


def stall(memory: Memory, tally: Tally) -> tuple[str, str]:
    """Return the reason and the sentence for why the job cannot go on; empty if it can."""
    if memory.job.spec is None:
        return "InvalidSpec", memory.job.problem
    checked = stall_of_checks(memory)
    if checked[0]:
        return checked
    return _untold(memory) or _given_up(memory, tally) or tally.trouble


def _untold(memory: Memory) -> tuple[str, str] | None:
    """Return what to say where others do not tell what has to be known of volumes."""
    books = memory.books
    if books.markers.unread:
        unread = books.markers.unread[min(books.markers.unread)].fact
        return unread.reason, unread.message
    if (archived := _archived(memory)) is not None:
        return archived
    trouble = books.versions.trouble or books.inbox.trouble or books.inbox.undeleted
    trouble = trouble or books.leases.trouble
    trouble = trouble or books.gates.trouble(books.frontier)
    return (trouble.reason, trouble.message) if trouble is not None else None


def _archived(memory: Memory) -> tuple[str, str] | None:
    """Return what to say of markers that have to be restored, while they are looked at, too."""
    put_off, frontier = memory.books.markers.archived, memory.books.frontier
    looked_at = any(frontier.count(look) for look in (VolumeState.UNCHECKED, VolumeState.READING))
    number = max(frontier.count(VolumeState.ARCHIVED), put_off.number if looked_at else 0)
    if not number or put_off.fact is None:
        return None
    said = f"{count_volumes(number)} with a marker that cannot be read: {put_off.fact.message}"
    return put_off.fact.reason, said


def stall_of_checks(memory: Memory) -> tuple[str, str]:
    """Return the reason and the sentence of what was found wrong before anything is launched."""
    facts = memory.facts
    checks = (facts.storage, facts.manifest, facts.conflict, facts.template, facts.sweep)
    faults = memory.under_way.faults.values()
    for fact in (*checks, facts.gates, facts.worker, *faults):
        if fact is not None and not fact.good:
            return fact.reason, fact.message
    return "", ""


def with_stall(
    status: JobStatus, reason: str, message: str, generation: int, now: float
) -> JobStatus:
    """Return a status that says beside all else that the Job is stalled, or, without a reason, not.

    For where nothing else can be derived: the Job has ended, or a look at it fails.
    """
    wanted = {"Stalled": (bool(reason), reason or "NotStalled", message)}
    found = conditions(wanted, status, generation, iso(now))
    if reason and not status.terminal:
        ready = {"Ready": (False, reason, message)}
        found = conditions({**ready, **wanted}, status, generation, iso(now))
    return status.model_copy(update={"conditions": found})


def _given_up(memory: Memory, tally: Tally) -> tuple[str, str] | None:
    """Return what to say if nothing is left but volumes that other jobs have given up."""
    given_up = memory.books.gates.given_up(memory.books.frontier)
    ledger = memory.ledger
    if not given_up or tally.active or ledger is None or given_up != ledger.count(Outcome.WAITING):
        return None
    waiting = memory.books.gates.waiting(memory.books.frontier)
    vain = [each for each in waiting if each.given_up]
    said = ", ".join(f"{count_volumes(w.given_up)} for Job {w.name}" for w in vain)
    return "DependencyFailed", (
        f"only volumes are left that wait in vain: {said}, which has failed for them; have them "
        "tried again there, or set onFailure to Skip or Fail"
    )
