"""The `VolumeTask` resource: one job on one volume. Source of `volumetasks.bec.bdrc.io`."""

from enum import StrEnum

from pydantic import Field

from bec_operator.api.base import Resource, rule, schema, validations
from bec_operator.api.volume_source import VolumeId


class TaskPhase(StrEnum):
    """Where a task stands; absent means queued."""

    RUNNING = "Running"
    RETRYING = "Retrying"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


class Attempt(Resource):
    """One try at a task: it ran, or runs, in one pod."""

    number: int = Field(ge=1)
    pod: str
    pod_uid: str = ""
    node: str = ""
    session: str = Field(default="", description="Of the process in a worker of a pool")
    lease_seconds: float | None = Field(
        default=None,
        ge=0,
        description="In a worker from elsewhere, which has no pod: how long its silence may last",
    )
    generation: int | None = Field(
        default=None, description="The Job's generation that its pod was made from"
    )
    redo_at: str | None = Field(
        default=None,
        description="In a pool: since when markers count, as its worker is told",
        json_schema_extra={"format": "date-time"},
    )
    start_time: str | None = Field(default=None, json_schema_extra={"format": "date-time"})
    end_time: str | None = Field(default=None, json_schema_extra={"format": "date-time"})
    failure: str = Field(default="", description="The failure class; empty while it runs")
    exit_code: int | None = None
    message: str = ""
    repeats: int = Field(
        default=0, ge=0, description="Earlier attempts of this class that it stands for, too"
    )
    log: str = Field(default="", description="Where the end of its output is, or why it is lost")


class VolumeTaskSpec(Resource):
    """Which job, on which volume, at which place of the manifest."""

    model_config = schema(validations(rule("self == oldSelf", "a VolumeTask is never changed")))

    job: str = Field(min_length=1, max_length=63)
    volume: VolumeId
    index: int = Field(ge=0)


class VolumeTaskStatus(Resource):
    """What became of a task so far."""

    phase: TaskPhase | None = None
    attempt: int = Field(default=0, ge=0, description="The attempt that runs, or ran last")
    node: str = ""
    progress: str = ""
    message: str = ""
    output: str = Field(default="", description="Where the artefacts are")
    next_attempt: str | None = Field(
        default=None,
        description="Not before this moment",
        json_schema_extra={"format": "date-time"},
    )
    finished_at: str | None = Field(default=None, json_schema_extra={"format": "date-time"})
    attempts: list[Attempt] = Field(default_factory=list)
