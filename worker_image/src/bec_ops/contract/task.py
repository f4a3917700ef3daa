"""What a worker is asked to do, as the operator hands it to the container."""

import json
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from bec_ops.contract.faults import explain
from bec_ops.contract.marker import Marker, MarkerVolume
from bec_ops.contract.patterns import check_patterns
from bec_ops.contract.returned_schema import check_schema
from bec_ops.contract.volume import Volume

FILE_SCHEME = "file://"
"""How the output begins that is a folder of this machine."""

_ABSENT = {"parameters": "{}", "expect": "[]", "result_schema": "null"}


class TaskError(ValueError):
    """There is no such task; the message says what is wrong, and where."""


class Assignment(BaseModel):
    """What is the same for all tasks of a worker; fields are named in the environment by aliases.

    `handler` is which of the image's handlers is meant, empty where it has but one. `expect` are
    patterns of artefacts that must be there for a volume to be done. `result_schema` is what the
    result must be like, where the job demands one.
    """

    model_config = ConfigDict(frozen=True, populate_by_name=True, extra="ignore")

    job_id: str = Field(alias="BEC_JOB_ID", min_length=1)
    handler: str = Field(alias="BEC_HANDLER", default="")
    parameters: dict[str, Any] = Field(alias="BEC_PARAMETERS", default={})
    expect: Annotated[tuple[str, ...], AfterValidator(check_patterns)] = Field(
        alias="BEC_EXPECT", default=()
    )
    result_schema: dict[str, Any] | None = Field(alias="BEC_RESULT_SCHEMA", default=None)
    worker_id: str = Field(alias="BEC_WORKER_ID", min_length=1)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read what the operator set; raises TaskError with what is missing or wrong."""
        found = {name: value for name, value in environ.items() if name.startswith("BEC_")}
        try:
            return cls.model_validate({**found, "BEC_WORKER_ID": worker_id(environ)})
        except ValidationError as error:
            wrong = explain(error, missing="is not set")
            raise TaskError(f"the environment describes no task: {wrong}") from None

    @field_validator("parameters", "expect", "result_schema", mode="before")
    @classmethod
    def _read_json(cls, value: object, about: ValidationInfo) -> object:
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value or _ABSENT[str(about.field_name)])
        except ValueError as error:
            raise ValueError(f"not JSON: {error}") from None

    @field_validator("result_schema")
    @classmethod
    def _pass_over(cls, schema: dict[str, Any] | None) -> dict[str, Any] | None:
        """Leave a schema to the operator that it knows, being newer, and this library does not."""
        try:
            return schema and check_schema(schema)
        except ValueError:
            return None


class Task(Assignment):
    """One task and the attempt at it.

    `task_uid` is the VolumeTask's, empty where no operator asked for the task. Markers from before
    `redo_at` do not count. The output is a place in S3, or a folder of this machine, `file:///…/`,
    where an author tries one volume.
    """

    w_id: str = Field(alias="BEC_W_ID", min_length=1)
    i_id: str = Field(alias="BEC_I_ID", min_length=1)
    i_version: str = Field(alias="BEC_I_VERSION", default="")
    attempt: int = Field(alias="BEC_ATTEMPT", default=1, ge=1)
    task_uid: str = Field(alias="BEC_TASK_UID", default="")
    output_uri: str = Field(alias="BEC_OUTPUT_URI", pattern=r"^(s3://[^/]+/.+|file:///.*)/$")
    redo_at: AwareDatetime | None = Field(alias="BEC_REDO_AT", default=None)

    @field_validator("redo_at", mode="before")
    @classmethod
    def _read_redo_at(cls, value: object) -> object:
        return value or None

    @property
    def volume(self) -> Volume:
        """The volume to work on."""
        return Volume(self.w_id, self.i_id, self.i_version)

    @property
    def bucket(self) -> str:
        """The bucket that the artefacts go to; raises TaskError if they go to a folder."""
        if self.output_uri.startswith(FILE_SCHEME):
            raise TaskError(
                f"the output {self.output_uri} is in no bucket; if the input's bucket is meant, "
                "make that a parameter, or give an output in S3"
            )
        return self.output_uri.removeprefix("s3://").partition("/")[0]

    @property
    def prefix(self) -> str:
        """The key prefix of the artefacts and the marker, ending in ``/``."""
        return self.output_uri.removeprefix("s3://").partition("/")[2]

    def environment(self) -> dict[str, str]:
        """Return the variables from which `from_environment` reads this very task."""
        values = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        return {
            name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            for name, value in values.items()
        }

    def marker(self, **details: Any) -> Marker:
        """Make the marker of this task; `details` are further keys of the worker's own."""
        volume = MarkerVolume(w_id=self.w_id, i_id=self.i_id, i_version=self.i_version)
        return Marker(
            worker_id=self.worker_id,
            success_timestamp=datetime.now(UTC).isoformat(timespec="milliseconds"),
            job_id=self.job_id,
            volume=volume,
            redo_at=self.redo_at,
            **details,
        )


def worker_id(environ: Mapping[str, str] = os.environ) -> str:
    """Return the worker's id; where none is set, the host's name, which is a pod's own."""
    return environ.get("BEC_WORKER_ID") or platform.node()
