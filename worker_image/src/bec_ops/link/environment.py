"""What a worker finds around it beside its task: the operator, its folders, other jobs' output."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator

from bec_ops.contract.variables import read_variables

TERMINATION_LOG = "/dev/termination-log"


class JobOutput(BaseModel):
    """Where another job's output is: a bucket and the template of prefixes in it.

    Its markers from before `redo_at` do not count.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)

    bucket: str = Field(min_length=1)
    prefix: str = Field(min_length=1)
    redo_at: AwareDatetime | None = Field(alias="redoAt", default=None)


class Surroundings(BaseModel):
    """Read from the environment; fields are named there as their aliases.

    Without `operator_url` there is no operator to call, without `work_dir` temporary files are
    used, without `output_template` only the task's own output is known. In a `pool` the worker asks
    the operator for its tasks.
    """

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    operator_url: str = Field(alias="BEC_OPERATOR_URL", default="", pattern=r"^(https?://.+)?$")
    token_file: Path | None = Field(alias="BEC_TOKEN_FILE", default=None)
    heartbeat_seconds: float = Field(alias="BEC_HEARTBEAT_SECONDS", default=30.0, gt=0)
    work_dir: Path | None = Field(alias="BEC_WORK_DIR", default=None)
    output_template: str = Field(
        alias="BEC_OUTPUT_TEMPLATE", default="", pattern=r"^(s3://[^/]+/.+/)?$"
    )
    pool: bool = Field(alias="BEC_POOL", default=False)
    dependencies: dict[str, JobOutput] = Field(alias="BEC_DEPENDENCIES", default={})

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read what is set and not empty; raises MisconfiguredError naming what is wrong."""
        return read_variables(cls, "BEC_", environ, "the worker's environment is wrong")

    @field_validator("dependencies", mode="before")
    @classmethod
    def _read_dependencies(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError as error:
            raise ValueError(f"not JSON: {error}") from None


def write_termination_message(text: str, environ: Mapping[str, str] = os.environ) -> None:
    """Tell the kubelet why the process ends; where there is none, do nothing.

    The file is the kubelet's and only written where it is, but made where another path is set in
    `BEC_TERMINATION_LOG`. This must do whatever else in the environment is wrong.
    """
    other = environ.get("BEC_TERMINATION_LOG")
    file = Path(other or TERMINATION_LOG)
    if other or file.exists():
        file.write_text(text, encoding="utf-8")
