"""Which attempts are on record for a process that takes task after task."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bec_operator.act.ground.context import Context
from bec_operator.act.ground.key import Key
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.seen import TaskSeen
from bec_operator.decide.volumes.ledger import Outcome


@dataclass(frozen=True, slots=True)
class OnRecord:
    """An attempt that a process has, and what is remembered of its Job."""

    task: TaskSeen
    attempt: int
    memory: Memory


def on_record(
    ctx: Context, memory_of: Callable[[Key], Memory | None], uid: str, session: str
) -> Iterator[OnRecord]:
    """Yield the attempts on record for a process, of which it has not told the end.

    `uid` is that of its pod, or of its seat elsewhere. There is one at most, unless an answer of
    the API server or an operator was lost.
    """
    for task in ctx.cache.tasks.with_pod(uid):
        attempt = task.recorded_begun
        if attempt is None or attempt.session != session:
            continue
        memory = memory_of((task.namespace, task.job))
        if memory is None or memory.ledger is None or memory.job.spec is None:
            continue
        if (
            task.owner_uid == memory.job.uid
            and task.index < len(memory.books.volumes)
            and memory.ledger.outcome(task.index) is Outcome.WAITING
            and not _has_ended(ctx, task, attempt.number)
        ):
            yield OnRecord(task, attempt.number, memory)


def _has_ended(ctx: Context, task: TaskSeen, attempt: int) -> bool:
    told = ctx.cache.workers.get(task.uid)
    return told is not None and told.has_ended(attempt)
