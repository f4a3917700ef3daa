"""What people are told of a job: its status, its report, how many have failed, that it idles."""

from collections.abc import Iterator

from bec_operator.api.base import seconds
from bec_operator.decide.jobs.actions import TellFailures, TellIdle, WriteStatus
from bec_operator.decide.jobs.scene import Scene
from bec_operator.decide.jobs.status import is_over, job_status, worth_writing
from bec_operator.decide.jobs.tally import Tally
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.memory.telling import IDLE_AFTER
from bec_operator.decide.sight.action import Action
from bec_operator.decide.volumes.actions import CompileReport
from bec_operator.decide.volumes.ledger import Outcome
from bec_operator.decide.volumes.reasons import failed_of_total


def tell(seen: Scene) -> Iterator[Action]:
    """Have the status of the Job written, and tell people what it does not say."""
    memory, now = seen.memory, seen.now
    tally = Tally.of(memory, seen.pods, seen.standings, seen.pool)
    status = job_status(memory, tally, now)
    if worth_writing(status, memory, now):
        yield WriteStatus(status)
    yield from _telling(memory, tally, now)


def _telling(memory: Memory, tally: Tally, now: float) -> Iterator[Action]:
    """What else people are told: the report, how many have failed, that no task is left."""
    ledger, facts, telling = memory.ledger, memory.facts, memory.telling
    if ledger is None:
        return
    may_write = all(fact is not None and fact.good for fact in (facts.storage, facts.conflict))
    if may_write and memory.books.report.is_due(ledger, now, over=is_over(memory, tally)):
        yield CompileReport()
    if ledger.count(Outcome.FAILED) and telling.failures_due(ledger.changes, now):
        yield TellFailures(failed_of_total(ledger))
    waiting = ledger.count(Outcome.WAITING)
    pool = memory.job.spec.pool if memory.job.spec is not None else None
    after = seconds(pool.idle) if pool is not None else IDLE_AFTER
    if telling.idle_due(len(ledger) - waiting, after, now):
        yield TellIdle(f"no task runs, and none could be started: {waiting} volumes wait")
