"""The status of a Job: counts, phase, conditions, time left. Derived anew from all that is seen."""

from bec_operator.api.job import Counts, JobPhase, JobSpec, JobStatus
from bec_operator.decide.attempts.actions import RecordTask
from bec_operator.decide.jobs.delivered import told_of_results, without_results
from bec_operator.decide.jobs.stalls import stall
from bec_operator.decide.jobs.tally import Tally
from bec_operator.decide.lists.growth import is_list_done, is_list_quiet, tell_of_list
from bec_operator.decide.lists.versions import tell_of_versions
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.memory.throughput import Throughput
from bec_operator.decide.sight.conditions import conditions
from bec_operator.decide.sight.moments import duration, iso
from bec_operator.decide.volumes.ledger import ALREADY_DONE, Ledger, Outcome
from bec_operator.decide.volumes.reasons import count_volumes, failed_of_total, tell_unsuccessful

WRITE_EVERY = 2.0  # seconds between two writes that only move counts
TELL_RATE_EVERY = 30.0  # seconds between two that only move rate and time left


def job_status(memory: Memory, tally: Tally, now: float) -> JobStatus:
    """Return the status that the Job should have now."""
    old = memory.job.status
    if is_hopeless(memory) and not tally.running:
        # What is queued or retrying will not run any more: it waits for good.
        tally = Tally(pool=tally.pool)
    counts = _counts(memory, tally)
    reason, message = stall(memory, tally)
    phase, verdict = _phase(memory, tally, counts, stalled=bool(reason))
    verdict = tell_of_list(memory, phase, verdict)
    moment = iso(now)
    began = phase not in {JobPhase.PENDING, JobPhase.SUSPENDED}
    finished = phase in {JobPhase.COMPLETE, JobPhase.FAILED}
    # One that is opened again begins anew, if it may: another Job may write to the same place now.
    anew = old.terminal and not finished and counts.waiting + tally.active > 0
    started = (None if anew else old.start_time) or (moment if began else None)
    same = counts == old.counts and phase is old.phase
    moved = memory.books.throughput.total != memory.books.throughput.written
    rate = _rate(memory.books.throughput, now)
    news = moved or (rate and not old.rate)
    stale = not same or (news and now - memory.telling.written_at >= TELL_RATE_EVERY)
    return JobStatus(
        phase=phase,
        observed_generation=memory.job.generation,
        counts=counts,
        done=f"{counts.finished}/{counts.total}" if counts.total else "",
        percent=f"{100 * counts.finished // counts.total}%" if counts.total else "",
        eta="" if finished else _eta(memory, counts, tally.share) if stale else old.eta,
        rate=rate or old.rate if stale else old.rate,
        pool=None if finished else tally.pool,
        start_time=started,
        completion_time=(old.completion_time or moment) if finished else None,
        conditions=conditions(
            _wanted(phase, verdict, reason, message) | told_of_results(memory, now, over=finished),
            without_results(memory, old),
            memory.job.generation,
            moment,
        ),
    )


def is_hopeless(memory: Memory) -> bool:
    """Whether more volumes have failed than the job allows."""
    if memory.ledger is None or memory.job.spec is None:
        return False
    allowed = memory.job.spec.failures_allowed(len(memory.ledger))
    return memory.ledger.count(Outcome.FAILED) > allowed


def is_over(memory: Memory, tally: Tally) -> bool:
    """Whether nothing runs, nothing more will, and the ledger is stored: it is left to say so."""
    ledger = memory.ledger
    if ledger is None or memory.job.spec is None or not ledger.saved:
        return False
    if memory.under_way.of(RecordTask):
        return False  # what became of a task that stays as history is not told yet
    if is_hopeless(memory):
        return not tally.running and is_list_quiet(memory)
    return ledger.count(Outcome.WAITING) == 0 and is_list_done(memory)


def _counts(memory: Memory, tally: Tally) -> Counts:
    ledger = memory.ledger
    if ledger is None:
        return memory.job.status.counts
    return Counts(
        total=len(ledger),
        waiting=ledger.count(Outcome.WAITING) - tally.active,
        queued=tally.queued,
        running=tally.running,
        retrying=tally.retrying,
        succeeded=ledger.count(Outcome.SUCCEEDED),
        failed=ledger.count(Outcome.FAILED),
        skipped=ledger.count(Outcome.SKIPPED),
        already_done=ledger.count(Outcome.SUCCEEDED, ALREADY_DONE),
    )


def _waiting(memory: Memory) -> str:
    """Return what is waited for, such as `; 27700 volumes wait for ldv1`; empty if nothing is."""
    waiting = memory.books.gates.waiting(memory.books.frontier)
    if not waiting:
        return ""
    first, *rest = waiting
    verb = "waits" if first.volumes == 1 else "wait"
    said = [f"{count_volumes(first.volumes)} {verb} for {first.name}"]
    return "; " + ", ".join(said + [f"{w.volumes} for {w.name}" for w in rest])


def _phase(
    memory: Memory, tally: Tally, counts: Counts, *, stalled: bool
) -> tuple[JobPhase, tuple[str, str]]:
    """Return the phase, and its reason and sentence."""
    ledger, spec = memory.ledger, memory.job.spec
    # report.csv first: whoever is told of the end finds it as it will stay
    told = ledger is not None and memory.books.report.is_current(ledger)
    if ledger is not None and spec is not None and told and is_over(memory, tally):
        if is_hopeless(memory):
            return JobPhase.FAILED, ("TooManyFailed", _too_many(ledger, spec))
        return JobPhase.COMPLETE, _complete(ledger)
    if spec is not None and spec.suspend:
        return JobPhase.SUSPENDED, ("Suspended", _suspended(tally, _progress(ledger, counts)))
    facts = memory.facts
    begun = memory.job.status.start_time is not None and not memory.job.status.terminal
    checks = (facts.template, facts.conflict)
    checked = facts.sweep is not None and all(fact is not None and fact.good for fact in checks)
    # what S3 tells nothing of holds up no other volume
    accepted = checked and (not stalled or tally.active > 0)
    if begun or accepted:
        return JobPhase.RUNNING, _running(memory, tally, counts)
    return JobPhase.PENDING, ("Accepting", "the job is being checked")


def _running(memory: Memory, tally: Tally, counts: Counts) -> tuple[str, str]:
    launch = memory.launching.refused
    if launch is not None:
        return launch.reason, launch.message
    progress = "; ".join(
        filter(
            None, (_progress(memory.ledger, counts) + _waiting(memory), tell_of_versions(memory))
        )
    )
    reason, waits = tally.held_up
    if reason:
        return reason, waits
    return "Running", "; ".join(filter(None, (progress, waits, memory.books.hosts.said)))


def _suspended(tally: Tally, progress: str) -> str:
    done = f"{progress}; nothing is launched (spec.suspend)"
    return f"{done}, {tally.running} still run" if tally.running else done


def _progress(ledger: Ledger | None, counts: Counts) -> str:
    done = f"{counts.finished} of {counts.total} volumes done"
    return ", ".join(filter(None, (done, tell_unsuccessful(ledger) if ledger is not None else "")))


def _too_many(ledger: Ledger, spec: JobSpec) -> str:
    allowed = spec.failures_allowed(len(ledger))
    return f"{failed_of_total(ledger)}; maxFailed allows {allowed}"


def _complete(ledger: Ledger) -> tuple[str, str]:
    if ledger.count(Outcome.FAILED):
        return "CompletedWithFailures", failed_of_total(ledger)
    done = f"all {len(ledger)} volumes are done"
    return "Completed", ", ".join(filter(None, (done, tell_unsuccessful(ledger))))


def _wanted(
    phase: JobPhase, verdict: tuple[str, str], stall: str, sentence: str
) -> dict[str, tuple[bool, str, str]]:
    reason, message = verdict
    finished = phase in {JobPhase.COMPLETE, JobPhase.FAILED}
    stalled = bool(stall) and not finished
    ready = phase in {JobPhase.RUNNING, JobPhase.COMPLETE} and not stalled
    pending = phase is JobPhase.PENDING and not stalled
    suspended = phase is JobPhase.SUSPENDED
    return {
        "Ready": (ready, stall if stalled else reason, sentence if stalled else message),
        "Reconciling": (pending, reason, message if pending else ""),
        "Stalled": (stalled, stall if stalled else reason, sentence if stalled else ""),
        "Complete": (phase is JobPhase.COMPLETE, reason, message if finished else ""),
        "Failed": (phase is JobPhase.FAILED, reason, message if finished else ""),
        "Suspended": (phase is JobPhase.SUSPENDED, reason, message if suspended else ""),
    }


def worth_writing(status: JobStatus, memory: Memory, now: float) -> bool:
    """Whether `status` says something that the Job does not say yet, and it is time to say it."""
    old = memory.job.status
    if status == old:
        return False
    moved_only = status.phase is old.phase and [c.reason for c in status.conditions] == [
        c.reason for c in old.conditions
    ]
    return not moved_only or now - memory.telling.written_at >= WRITE_EVERY


def _rate(throughput: Throughput, now: float) -> str:
    """Return what workers get done, such as `5200 pages/h`; empty while nobody has told."""
    per_hour = throughput.per_hour(now)
    return "" if per_hour is None else f"{per_hour:.0f} {throughput.unit}/h"


def _eta(memory: Memory, counts: Counts, share: float) -> str:
    left = memory.books.eta.seconds_left(counts, share)
    return duration(left) if left is not None else ""
