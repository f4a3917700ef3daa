"""What can be done about a job as a whole."""

from dataclasses import dataclass

from bec_operator.api.job import JobStatus
from bec_operator.decide.memory.outbox import Receiver
from bec_operator.decide.sight.action import Action
from bec_operator.decide.volumes.results import Snapshot


@dataclass(frozen=True, slots=True)
class CheckTemplate(Action):
    """Let the API server judge the pod of a task, without making it."""


@dataclass(frozen=True, slots=True)
class TellFailures(Action):
    """Tell people by an Event how many volumes have failed, and why."""

    message: str


@dataclass(frozen=True, slots=True)
class TellIdle(Action):
    """Tell people that nothing runs and nothing could, though the job has not ended."""

    message: str


@dataclass(frozen=True, slots=True)
class WriteStatus(Action):
    """Write the status of the Job; tell people where phase or stall changed."""

    status: JobStatus


@dataclass(frozen=True, slots=True)
class DeliverResults(Action):
    """Give a receiver the results that it has not got, in order, and a look at what runs now.

    `stand` is how the job stands, where the receiver is to be told that; else None. `deleted`: the
    Job is gone, and this is the last that is told of it.
    """

    ABOUT = ("to",)

    to: Receiver
    snapshot: Snapshot | None = None
    stand: object = None
    deleted: bool = False
