"""The `Job` resource: an action on many volumes. Source of the CRD `jobs.bec.bdrc.io`."""

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from bec_operator.api.base import (
    DEFAULT_PREFIX,
    Id,
    Moment,
    ObjectName,
    Prefix,
    Resource,
    immutable,
    rule,
    schema,
    validations,
)
from bec_operator.api.dependency import Dependencies
from bec_operator.api.expect import Expect
from bec_operator.api.outside import Outside
from bec_operator.api.pool import PoolSpec, PoolStatus
from bec_operator.api.results import Results
from bec_operator.api.retry import Retry
from bec_operator.api.sites import Sites
from bec_operator.api.timeouts import Timeouts
from bec_operator.api.volume_source import VolumeSource
from bec_operator.api.worker import Worker

DEFAULT_REPORTS = "artefacts/{job_id}/_job/"

_PERCENT = "^(100|[0-9]{1,2})%$"

_OUTSIDE = "has(s.outside) && s.outside"
_NOBODY_THERE = "a site is outside: set outside.allowed, or nobody would do its volumes there"
_POOL_HAS_NO_SITE = (
    "policy Require and a pool: its workers are bound to no site; leave the pool out, or use Prefer"
)

_OWN_QUEUE = "results cannot go to the queue that the volumes come from: name another one"

Count = Annotated[int, Field(ge=0)]


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
            ),
            rule(
                "has(self.results) == has(oldSelf.results)",
                "results can neither be added nor taken away, since what has ended before would "
                "be missing there: make a new Job instead",
            ),
            rule(
                "!has(self.results) || !has(self.results.queue) || !has(self.volumes.queue)"
                " || self.results.queue.url != self.volumes.queue.url",
                _OWN_QUEUE,
            ),
            rule(
                "!has(self.volumes.versions) || !has(self.output.prefix)"
                " || self.output.prefix.contains('{i_version}')",
                "volumes.versions gives volumes a version: output.prefix must hold {i_version}",
            ),
            rule(
                f"!has(self.sites) || self.sites.of.all(s, !({_OUTSIDE}))"
                " || has(self.outside) && self.outside.allowed",
                _NOBODY_THERE,
            ),
            rule(
                "!has(self.sites) || !has(self.pool) || self.sites.policy != 'Require'"
                f" || self.sites.of.all(s, {_OUTSIDE})",
                _POOL_HAS_NO_SITE,
            ),
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
    results: Results | None = Field(
        default=None, description="Where else it is told what became of each volume"
    )
    depends_on: Dependencies = Field(default_factory=tuple)
    parallelism: int = Field(default=50, ge=1, le=10000)
    pool: PoolSpec | None = Field(
        default=None, description="Warm workers that take one volume after the other"
    )
    outside: Outside = Outside()
    sites: Sites | None = Field(default=None, description="What the sites of volumes mean")
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

    @model_validator(mode="after")
    def _not_its_own_queue(self) -> Self:
        results, source = self.results, self.volumes.queue
        to = results.queue if results is not None else None
        if to is not None and source is not None and to.url == source.url:
            raise ValueError(_OWN_QUEUE)
        return self

    @model_validator(mode="after")
    def _sites_have_somebody(self) -> Self:
        sites = self.sites
        if sites is None:
            return self
        if any(site.outside for site in sites.of) and not self.outside.allowed:
            raise ValueError(_NOBODY_THERE)
        inside = not all(site.outside for site in sites.of)
        if sites.requires and self.pool is not None and inside:
            raise ValueError(_POOL_HAS_NO_SITE)
        return self

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
