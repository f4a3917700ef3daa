"""What a Job waits for, volume by volume: `spec.dependsOn`."""

from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from bec_operator.api.base import DEFAULT_PREFIX, Id, Prefix, Resource, rule, schema, validations

MAX_DEPENDENCIES = 16

_ONE_FORM = (
    "give either job, the name of a Job of this namespace, or jobId and output, for artefacts "
    "whose Job is not there"
)
_NO_FAILURES = (
    "artefacts alone never tell that a volume has failed: with jobId and output, onFailure is Wait"
)


class OnFailure(StrEnum):
    """What becomes of a volume whose dependency has failed for good."""

    WAIT = "Wait"
    SKIP = "Skip"
    FAIL = "Fail"


class DependencyOutput(Resource):
    """Where the artefacts of a job are that is no resource here."""

    bucket: str = Field(min_length=1, max_length=255)
    prefix: Prefix = DEFAULT_PREFIX


class Dependency(Resource):
    """Another job whose success marker must stand for a volume before the volume may start."""

    model_config = schema(
        validations(
            rule(
                "has(self.job) ? !has(self.jobId) && !has(self.output) "
                ": has(self.jobId) && has(self.output)",
                _ONE_FORM,
            ),
            rule("has(self.job) || !has(self.onFailure) || self.onFailure == 'Wait'", _NO_FAILURES),
        )
    )

    job: str | None = Field(
        default=None,
        min_length=1,
        max_length=63,
        pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
        description="The name of a Job of this namespace",
    )
    job_id: Id | None = Field(default=None, description="The id of a job of which there is no Job")
    output: DependencyOutput | None = None
    on_failure: OnFailure = OnFailure.WAIT

    @property
    def name(self) -> str:
        """What people call it: the name of the Job, or the id of the job."""
        return self.job or self.job_id or ""

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        by_id = (self.job_id is not None, self.output is not None)
        if by_id != ((False, False) if self.job is not None else (True, True)):
            raise ValueError(_ONE_FORM)
        if self.job is None and self.on_failure is not OnFailure.WAIT:
            raise ValueError(_NO_FAILURES)
        return self


def _once(field: str) -> str:
    """Return the rule that no two dependencies have the same value in `field`."""
    return (
        f"self.filter(d, has(d.{field}))"
        f".all(d, self.exists_one(e, has(e.{field}) && e.{field} == d.{field}))"
    )


_RULES: dict[str, Any] = validations(
    rule(f"{_once('job')} && {_once('jobId')}", "name each job once in dependsOn")
)

Dependencies = Annotated[
    tuple[Dependency, ...],
    Field(
        max_length=MAX_DEPENDENCIES,
        description="Jobs whose success marker for a volume must stand before it may start",
        json_schema_extra=_RULES,
    ),
]
NOT_ON_ITSELF = rule(
    "!has(self.spec.dependsOn) || self.spec.dependsOn.all(d, has(d.job) "
    "? d.job != self.metadata.name "
    ": !has(d.jobId) || d.jobId != (has(self.spec.jobId) ? self.spec.jobId : self.metadata.name))",
    "a Job cannot depend on itself",
)
"""For the whole Job: only there its name is known."""
