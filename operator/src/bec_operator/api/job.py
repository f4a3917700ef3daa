"""The `Job` resource: an action on many volumes. Source of the CRD `jobs.bec.bdrc.io`."""

import json
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from bec_operator.api.base import (
    DEFAULT_PREFIX,
    Duration,
    Id,
    Moment,
    ObjectName,
    Prefix,
    Resource,
    VersionId,
    immutable,
    rule,
    schema,
    validations,
)
from bec_operator.api.dependency import Dependencies
from bec_operator.api.expect import Expect
from bec_operator.api.pool import Pool, PoolStatus
from bec_operator.api.template import MAX_DEPTH, TEMPLATE_SCHEMA, is_too_deep

DEFAULT_REPORTS = "artefacts/{job_id}/_job/"
MAX_INLINE_VOLUMES = 1000

_PERCENT = "^(100|[0-9]{1,2})%$"

Count = Annotated[int, Field(ge=0)]


class VolumeId(Resource):
    """A volume, as written in a resource."""

    w_id: Id
    i_id: Id
    i_version: VersionId = ""


class ManifestSource(Resource):
    """A list of volumes in S3: csv or jsonl, also gzipped."""

    uri: str = Field(
        max_length=1100,
        pattern=r"^s3://[^/]+/.+$",
        description="s3://bucket/key of a csv or jsonl list, also gzipped",
    )


class ConfigMapSource(Resource):
    """A list of volumes in a ConfigMap of the Job's namespace."""

    name: ObjectName
    key: str = Field(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")


_SAME_KIND = " && ".join(
    f"has(self.{source}) == has(oldSelf.{source})" for source in ("items", "manifest", "configMap")
)


class VolumeSource(Resource):
    """Where the volumes come from: exactly one source, whose kind never changes."""

    model_config = schema(
        validations(
            rule(
                "[has(self.items), has(self.manifest), has(self.configMap)]"
                ".filter(given, given).size() == 1",
                "give exactly one source of volumes: items, manifest or configMap",
            ),
            rule(
                _SAME_KIND,
                "the kind of source cannot be changed: make a new Job instead",
            ),
            rule(
                f"!has(self.items) || self.items.size() <= {MAX_INLINE_VOLUMES}",
                f"at most {MAX_INLINE_VOLUMES} volumes fit into items: put a longer list into "
                "S3 and name it in volumes.manifest.uri (csv or jsonl)",
            ),
        )
    )

    # Neither a map nor a set. As the key of a map an absent version would need a default: the API
    # server would write it into the list, and tools that compare the Job with its file would always
    # differ. And server-side apply has no sets of maps. The operator sees what stands there twice.
    items: list[VolumeId] | None = Field(
        default=None, min_length=1, json_schema_extra={"x-kubernetes-list-type": "atomic"}
    )
    manifest: ManifestSource | None = None
    config_map: ConfigMapSource | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [s for s in (self.items, self.manifest, self.config_map) if s is not None]
        if len(given) != 1:
            raise ValueError("give exactly one source of volumes: items, manifest or configMap")
        return self


MAX_PARAMETERS_BYTES = 100 * 1024
"""Of `parameters` as JSON: they are one environment variable, which Linux limits to 128 KiB."""


def _check_template(template: dict[str, Any]) -> dict[str, Any]:
    if is_too_deep(template):
        raise ValueError(f"it is nested more than {MAX_DEPTH} levels deep: write it flatter")
    return template


def _check_parameters(parameters: dict[str, Any]) -> dict[str, Any]:
    if is_too_deep(parameters):
        raise ValueError(f"they are nested more than {MAX_DEPTH} levels deep: write them flatter")
    size = len(json.dumps(parameters, ensure_ascii=False).encode(errors="replace"))
    if size > MAX_PARAMETERS_BYTES:
        raise ValueError(
            f"they have {size} bytes as JSON, and {MAX_PARAMETERS_BYTES} is the limit, since they "
            "travel in an environment variable: put what is large into S3, or into a ConfigMap "
            "that the template mounts, and give its place here"
        )
    return parameters


class Worker(Resource):
    """What runs the task: the template of a pod, the handler, and the parameters it gets."""

    model_config = schema(
        validations(
            rule(
                "has(self.handler) == has(oldSelf.handler)",
                "handler cannot be changed: make a new Job instead",
            )
        )
    )

    template: Annotated[
        dict[str, Any],
        Field(json_schema_extra={"x-replace": TEMPLATE_SCHEMA}),
        AfterValidator(_check_template),
    ]
    handler: str | None = Field(
        default=None,
        min_length=1,
        max_length=128,
        description="Which of the image's handlers is meant, by its exact name",
        json_schema_extra=validations(immutable("handler")),
    )
    parameters: Annotated[dict[str, Any], AfterValidator(_check_parameters)] = Field(
        default_factory=dict,
        description="Free JSON of at most 100 KiB, handed to the worker as BEC_PARAMETERS",
        json_schema_extra={"x-kubernetes-preserve-unknown-fields": True},
    )


class Output(Resource):
    """Where artefacts and reports go. It never changes."""

    bucket: str = Field(min_length=1, max_length=255)
    prefix: Prefix = DEFAULT_PREFIX
    reports: str = Field(
        default=DEFAULT_REPORTS,
        max_length=512,
        json_schema_extra=validations(
            rule(
                "self.endsWith('/') && !self.startsWith('/')",
                "reports must end in / and not begin with one",
            ),
        ),
    )
    credentials_secret: ObjectName | None = Field(
        default=None,
        description="Secret with AWS_* keys for the workers; else the template's service account",
    )
    expect: Expect = Field(default_factory=tuple)


class Backoff(Resource):
    """How long a volume waits for its next attempt: from `initial` on, doubled each time."""

    initial: Duration = "10s"
    max: Duration = "10m"


class OnTimeout(StrEnum):
    """What follows when an attempt took too long."""

    RETRY = "Retry"
    FAIL = "Fail"


_QUANTITY = r"^[0-9]{1,15}(\.[0-9]{1,9})?([KMGTPE]i|[kMGTPE])?$"


class OutOfMemory(Resource):
    """How much more memory an attempt gets after one that was killed for its memory."""

    factor: float = Field(default=1.5, ge=1, le=10, description="Times as much, each time")
    max: str = Field(
        default="64Gi",
        pattern=_QUANTITY,
        max_length=32,
        description="Never more than this, unless the template says more",
        json_schema_extra=validations(
            rule(
                "isQuantity(self) && quantity(self).isGreaterThan(quantity('0'))",
                "give an amount of memory above zero, such as 64Gi",
            )
        ),
    )


class Retry(Resource):
    """How often a volume is tried, and how soon again."""

    limit: int = Field(default=3, ge=1, le=100, description="Attempts a volume, the first included")
    backoff: Backoff = Field(default=Backoff(), description="Before another attempt")
    on_timeout: OnTimeout = Field(
        default=OnTimeout.RETRY, description="Whether a volume is tried again after a time-out"
    )
    out_of_memory: OutOfMemory = OutOfMemory()


class Timeouts(Resource):
    """How long an attempt may take. Those of heartbeat and progress begin with its first call."""

    node: Duration = Field(default="1h", description="Until its pod has a node: Unschedulable")
    start: Duration = Field(
        default="10m", description="Until the worker runs, since its pod has a node: StartTimeout"
    )
    heartbeat: Duration = Field(default="5m", description="Without a sign of life: Silent")
    progress: Duration = Field(default="30m", description="Without any progress: Stuck")
    task: Duration = Field(default="6h", description="Since the worker runs: TooLong")


class SuspendMode(StrEnum):
    """What becomes of the tasks that run when a Job is suspended."""

    FINISH = "Finish"
    STOP = "Stop"


class History(Resource):
    """How many finished VolumeTasks stay to be looked at."""

    succeeded: int = Field(default=100, ge=0, le=10000)
    failed: int = Field(default=1000, ge=0, le=10000)


class JobSpec(Resource):
    """What a Job asks for."""

    model_config = schema(
        validations(
            rule(
                "has(self.jobId) == has(oldSelf.jobId)",
                "jobId cannot be changed: make a new Job instead",
            )
        )
    )

    job_id: Id | None = Field(
        default=None,
        description="By default the resource's name",
        json_schema_extra=validations(immutable("jobId")),
    )
    volumes: VolumeSource
    worker: Worker
    output: Output = Field(json_schema_extra=validations(immutable("output")))
    depends_on: Dependencies = Field(default_factory=tuple)
    parallelism: int = Field(default=50, ge=1, le=10000)
    pool: Pool | None = Field(
        default=None, description="Warm workers that take one volume after the other"
    )
    priority: int = Field(
        default=0, ge=-1000, le=1000, description="Jobs of a higher one get their pods first"
    )
    suspend: bool = Field(default=False, description="Launch nothing")
    suspend_mode: SuspendMode = Field(
        default=SuspendMode.FINISH, description="Whether what runs may finish, or is stopped"
    )
    retry: Retry = Retry()
    timeouts: Timeouts = Timeouts()
    max_failed: Annotated[int, Field(ge=0)] | Annotated[str, Field(pattern=_PERCENT)] = Field(
        default="10%",
        description="Past so many failed volumes, a number or a percentage, the Job fails",
        json_schema_extra={
            "x-replace": {
                "x-kubernetes-int-or-string": True,
                "default": "10%",
                **validations(
                    rule(
                        "type(self) == int ? self >= 0 : self.matches('^(100|[0-9]{1,2})%$')",
                        "maxFailed is a number of volumes, or a percentage such as 10%",
                    )
                ),
            }
        },
    )
    retry_failed_at: Moment | None = Field(
        default=None, description="Bump it: what failed or was skipped before is tried again"
    )
    redo_at: Moment | None = Field(
        default=None, description="Bump it: markers from before no longer count"
    )
    history: History = History()

    def failures_allowed(self, total: int) -> int:
        """Return how many of `total` volumes may fail."""
        if isinstance(self.max_failed, int):
            return self.max_failed
        return total * int(self.max_failed.removesuffix("%")) // 100


class JobPhase(StrEnum):
    """Where a Job stands, in a word."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUSPENDED = "Suspended"
    COMPLETE = "Complete"
    FAILED = "Failed"


class Counts(Resource):
    """Volumes by what became of them. total is the sum of all but alreadyDone."""

    total: Count = 0
    waiting: Count = 0
    queued: Count = 0
    running: Count = 0
    retrying: Count = 0
    succeeded: Count = 0
    failed: Count = 0
    skipped: Count = 0
    already_done: Count = Field(default=0, description="Of succeeded: done before this Job came")

    @property
    def finished(self) -> int:
        """Volumes that nothing more will be done about."""
        return self.succeeded + self.failed + self.skipped

    @property
    def add_up(self) -> bool:
        """Whether every volume is counted once."""
        active = self.queued + self.running + self.retrying
        return self.total == self.waiting + active + self.finished > 0


class Condition(Resource):
    """A condition, as metav1.Condition."""

    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str = ""
    last_transition_time: str = Field(json_schema_extra={"format": "date-time"})
    observed_generation: int | None = None


class JobStatus(Resource):
    """What became of a Job so far."""

    phase: JobPhase = JobPhase.PENDING
    observed_generation: int | None = None
    counts: Counts = Counts()
    done: str = Field(default="", description="finished/total")
    percent: str = ""
    eta: str = Field(default="", description="Time left at the rate so far, such as 2h10m")
    rate: str = Field(default="", description="What workers get done, such as 5200 pages/h")
    pool: PoolStatus | None = None
    start_time: str | None = Field(default=None, json_schema_extra={"format": "date-time"})
    completion_time: str | None = Field(default=None, json_schema_extra={"format": "date-time"})
    conditions: list[Condition] = Field(
        default_factory=list,
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["type"],
        },
    )

    @property
    def terminal(self) -> bool:
        """Whether the Job has ended: phase, condition and counts say so, not one stray write."""
        ended = self.phase in {JobPhase.COMPLETE, JobPhase.FAILED}
        told = any(c.type == self.phase and c.status == "True" for c in self.conditions)
        return ended and told and self.counts.add_up
