"""Where a worker from elsewhere sits, and what it has there."""

from dataclasses import dataclass

from bec_operator.act.ground.enrolled import Outsider
from bec_operator.act.ground.key import Key
from bec_operator.decide.hosts.outside import seat_uid
from bec_ops.contract.task import Task


@dataclass(frozen=True, slots=True)
class Seat:
    """Where a worker has one task at a time; `session` is of the process that has it now."""

    worker: Outsider
    name: str
    session: str

    @property
    def uid(self) -> str:
        """What stands for the UID of a pod."""
        return seat_uid(self.worker.id, self.name)


@dataclass(frozen=True, slots=True)
class Holding:
    """A task that a worker has: whose, of which Job, and for how many seconds of silence."""

    seat: Seat
    job: Key
    task: Task
    lease: float
