"""The steps of a pass, one by one, for tests that make no whole one."""

from collections.abc import Callable, Mapping, Sequence

from bec_operator.decide.jobs.marker_reads import reads
from bec_operator.decide.memory.marker_findings import let_time_pass
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.memory.observing import observe_attempts, observe_tasks
from bec_operator.decide.sight.seen import PodSeen, TaskSeen, WorkerSeen
from bec_operator.decide.slots.room import Room
from bec_operator.decide.slots.standings import Standings
from bec_operator.decide.volumes.actions import ReadMarker, TurnRound


def observe(
    memory: Memory,
    tasks: Sequence[TaskSeen],
    pods: Mapping[str, PodSeen],
    now: float,
    worker_of: Callable[[str], WorkerSeen | None] = lambda _: None,
) -> None:
    """Take in tasks and pods."""
    observe_tasks(memory, tasks)
    observe_attempts(memory, pods, now, worker_of)


def room_of(memory: Memory, standings: Standings, now: float = 1.0, allowed: int = 10_000) -> Room:
    """Return the room of a job that may have so many pods."""
    return Room.of(memory, standings, now).granted(allowed)


def read(memory: Memory, now: float) -> list[int]:
    """Return the volumes whose markers are looked at now, and go on from there."""
    let_time_pass(memory, now)
    found = list(reads(memory, now))
    for action in found:
        if isinstance(action, TurnRound):
            memory.books.markers.turn(action.read_from, now, over=action.over)
    return [action.index for action in found if isinstance(action, ReadMarker)]
