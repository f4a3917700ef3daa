"""Which volumes of a Job a worker from elsewhere would get, for protocols that list them first."""

from bec_operator.act.ground.context import Context
from bec_operator.act.pool.pool_view import seats
from bec_operator.decide.attempts.actions import CreateTask, HandTask
from bec_operator.decide.jobs.checks import may_launch
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.memory.observing import observe_tasks
from bec_operator.decide.slots.next_volumes import can_begin
from bec_operator.decide.slots.outside import on_offer
from bec_operator.decide.slots.room import Room
from bec_operator.decide.slots.standings import Standings


def offered(ctx: Context, memory: Memory, many: int) -> list[int]:
    """Return the indices of so many volumes at most, any of which may be asked for now."""
    now, key = ctx.clock.now(), (memory.job.namespace, memory.job.name)
    if not may_launch(memory, now):
        return []
    _look(ctx, memory)
    standings = Standings.of(memory, {**ctx.cache.pods.of_job(key), **seats(ctx, memory, now)})
    return on_offer(memory, standings, Room.of(memory, standings, now), now, many)


def is_free(ctx: Context, memory: Memory, index: int) -> bool:
    """Whether nobody has a volume now: else there is no use in asking for it."""
    _look(ctx, memory)
    task = memory.books.tasks.get(index)
    if task is None:
        return can_begin(memory, index, ctx.clock.now())
    return not task.terminal and task.recorded_begun is None


def is_being_given(memory: Memory, seat: str) -> bool:
    """Whether a task for a seat is on its way to the API server, which has not answered yet."""
    making = (made.pod.uid for made in memory.under_way.of(CreateTask) if made.pod is not None)
    return seat in {*making, *(action.pod.uid for action in memory.under_way.of(HandTask))}


def _look(ctx: Context, memory: Memory) -> None:
    """Take in what was given a moment ago, which no pass has seen yet."""
    key = memory.job.namespace, memory.job.name
    observe_tasks(memory, list(ctx.cache.tasks.of_job(key).values()))
