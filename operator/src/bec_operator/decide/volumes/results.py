"""What is told to databases and queues: what became of volumes, and what runs now.

A `Result` stands in the outbox until all have it, so it is never lost; a `Snapshot` is what is so
now, and the next one takes its place.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from bec_operator.api.job import JobStatus
from bec_operator.api.volume_task import Attempt
from bec_operator.decide.sight.made import Made
from bec_operator.decide.volumes.ledger import Outcome
from bec_ops.contract.protocol import Progress
from bec_ops.contract.volume import Volume

STOOD_BEFORE = "AlreadyDone"  # in place of a failure class: of a success from before the job
OutcomeName = Literal["waiting", "succeeded", "failed", "skipped"]
OUTCOMES: dict[Outcome, OutcomeName] = {
    Outcome.WAITING: "waiting",
    Outcome.SUCCEEDED: "succeeded",
    Outcome.FAILED: "failed",
    Outcome.SKIPPED: "skipped",
}


class Result(BaseModel):
    """What became of one volume of a Job, with all attempts at it. One line of the outbox.

    `outcome` is `waiting` for one that was opened again. `failure` is the failure class, and
    `AlreadyDone` for a success that stood before the job came to it. The attempts are those of one
    VolumeTask, whose UID is `task_uid`; an attempt without a failure has succeeded. There is none
    where no task was needed, or nothing more is known of it. `told` is when it became known, with
    its zone.
    """

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)

    job_uid: str
    index: int = Field(ge=0)
    w_id: str
    i_id: str
    i_version: str = ""
    outcome: OutcomeName
    failure: str = ""
    message: str = ""
    output: str = ""  # where its artefacts are: s3://bucket/prefix
    task: str = ""
    task_uid: str = ""
    attempts: list[Attempt] = Field(default_factory=list)
    made: Made | None = None
    told: str
    turn: int = 0  # the moment since which what has ended is tried or done again

    @property
    def volume(self) -> Volume:
        """The volume that it is about."""
        return Volume(self.w_id, self.i_id, self.i_version)


@dataclass(frozen=True, slots=True)
class JobTold:
    """The Job that results and snapshots are of, as it stands now.

    `parameters` is `spec.worker.parameters` as JSON; `source` says where the volumes come from: the
    URL of the queue, the URI of the list, or the name of the connection.
    """

    namespace: str
    name: str
    uid: str
    job_id: str
    created: str  # with its zone, as all moments here
    parameters: str
    source: str
    status: JobStatus
    finds_versions: bool = False  # volumes may have come without a version, and get one
    deleted: bool = False  # the resource is gone, however far it had come


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A volume whose task is not over: an attempt runs, or the next one is waited for.

    `failed` are the attempts before. `running` is the attempt that runs; None between two.
    """

    volume: Volume
    index: int
    output: str
    task: str
    task_uid: str
    failed: Sequence[Attempt]
    running: Attempt | None
    progress: Progress | None = None
    called: float | None = None  # when its worker last called, in seconds since 1970


@dataclass(frozen=True, slots=True)
class WorkerTold:
    """A process that works, or waits for work: a pod of a task, or a worker of a pool."""

    pod: str
    pod_uid: str
    node: str
    started: str | None  # with its zone
    called: float | None  # seconds since 1970; None if it has never called
    in_pool: bool


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What runs of a job now, and who works. What is in none any more has stopped."""

    under_way: Sequence[UnderWay] = ()
    workers: Sequence[WorkerTold] = ()
