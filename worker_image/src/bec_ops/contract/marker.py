"""The success marker: the object that says a task is done, written after all its artefacts."""

import math
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    AliasChoices,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    field_validator,
)

from bec_ops.contract.returned import MAX_RESULT_BYTES, as_text
from bec_ops.contract.returned_schema import fault_of
from bec_ops.contract.volume import Volume

MARKER_NAME = "success.json"
"""The marker's name under the output prefix of its task."""

MAX_MARKER_BYTES = 1024 * 1024
"""What is larger is no marker."""

_LAST_MOMENT = 253_402_300_800.0  # the end of the year 9999, after which nothing has a date
_SAID_AT_MOST = 40  # characters of a name that somebody else wrote

_Count = Annotated[int, Field(ge=0, le=2**53)]


def _bounded(result: dict[str, Any]) -> dict[str, Any]:
    as_text(result)
    return result


_Result = Annotated[dict[str, Any], AfterValidator(_bounded)]


class InvalidMarker(ValueError):  # noqa: N818 - it names a thing found, as the design does
    """An object stands where the marker belongs, but it proves nothing; the message says why."""


class MarkerVolume(BaseModel):
    """The ids in a marker; what is absent is not compared."""

    model_config = ConfigDict(extra="allow", coerce_numbers_to_str=True)

    w_id: str | None = None
    i_id: str | None = None
    i_version: str | None = None

    def differs_from(self, volume: Volume) -> bool:
        """Tell whether any id that is present is another than the volume's."""
        found = {name: getattr(self, name) for name in volume._fields}
        return any(
            value is not None and value != getattr(volume, name) for name, value in found.items()
        )


class Marker(MarkerVolume):
    """What a marker says; keys beyond these are kept.

    The volume may be an object of its own or three keys at the top. `success_timestamp` is a
    text or seconds since 1970; BEC's older workers call it `timestamp`. They also write a number
    as `job_id` beside `job_name`, so one of the two names must be the job's. `total_images` is how
    many items were worked on, `log` the key of the attempt's log under the output prefix,
    `redo_at` the job's `redoAt` as the attempt was told it. `nb_artefacts` and `artefact_bytes`
    are what the attempt has written, `expect_met` the patterns of `output.expect` that its worker
    has found. `nb_errors` is how many of the items could not be worked on, `duration_seconds`
    (`total_duration_ms` of BEC's workers) how long the work took, `source_etag` the ETag of what
    the volume's pages were listed in. `result` is what the handler has returned.
    """

    worker_id: str = Field(min_length=1)
    success_timestamp: str | float = Field(
        validation_alias=AliasChoices("success_timestamp", "timestamp")
    )
    job_id: str | None = None
    job_name: str | None = None
    volume: MarkerVolume | None = None
    total_images: _Count | None = None
    log: Annotated[str, Field(max_length=1024)] | None = None
    redo_at: AwareDatetime | None = None
    nb_artefacts: _Count | None = None
    artefact_bytes: _Count | None = None
    expect_met: tuple[str, ...] | None = None
    nb_errors: _Count | None = None
    duration_seconds: Annotated[float, Field(ge=0, le=2**53)] | None = None
    total_duration_ms: Annotated[float, Field(ge=0, le=2**53)] | None = None
    source_etag: Annotated[str, Field(max_length=100)] | None = None
    result: _Result | None = None

    @field_validator(
        "total_images",
        "log",
        "redo_at",
        "nb_artefacts",
        "artefact_bytes",
        "expect_met",
        "nb_errors",
        "duration_seconds",
        "total_duration_ms",
        "source_etag",
        "result",
        mode="wrap",
    )
    @classmethod
    def _lenient(cls, value: Any, check: ValidatorFunctionWrapHandler) -> Any:
        """Pass over a detail that somebody writes otherwise: it does not unmake the marker."""
        try:
            return check(value)
        except ValidationError:
            return None

    @property
    def written(self) -> float | None:
        """When it was written, in seconds since 1970 by the worker's clock; None if unreadable.

        A time that cannot be read says nothing about the success.
        """
        moment = self.success_timestamp
        if isinstance(moment, str):
            try:
                read = datetime.fromisoformat(moment)
            except ValueError:
                return None
            moment = read.timestamp() if read.tzinfo is not None else math.nan
        return moment if 0 <= moment < _LAST_MOMENT else None

    @classmethod
    def parse(cls, body: bytes, job_id: str, volume: Volume) -> Self:
        """Read a marker of this job and volume; raises InvalidMarker if it is not one."""
        try:
            marker = cls.model_validate_json(body)
        except ValidationError as error:
            raise InvalidMarker(f"the marker is not valid: {_sentence(error)}") from None
        names = {name for name in (marker.job_id, marker.job_name) if name is not None}
        if names and job_id not in names:
            found = " or ".join(sorted(repr(name[:_SAID_AT_MOST]) for name in names))
            raise InvalidMarker(f"the marker is of another job: {found}, not {job_id!r}")
        if any(found.differs_from(volume) for found in (marker, marker.volume) if found):
            raise InvalidMarker(f"the marker is of another volume than {volume}")
        return marker

    def counts(self, redo_at: datetime | None, last_modified: datetime) -> bool:
        """Tell whether the marker is recent enough for a job that is to be redone since `redo_at`.

        What it echoes says more than its age in S3: an attempt from before `redo_at` may write
        its marker after that.
        """
        return redo_at is None or (self.redo_at or last_modified) >= redo_at

    def meets(self, patterns: Collection[str]) -> bool:
        """Tell whether the worker says that it has found all that is expected."""
        return set(patterns) <= set(self.expect_met or ())

    def check_result(self, schema: Mapping[str, Any] | None) -> None:
        """Raise InvalidMarker if what was returned is not what the job demands, if it does."""
        if schema is None:
            return
        if self.result is None:
            raise InvalidMarker(
                "the marker's result, which spec.worker.result demands, is missing, or no JSON "
                f"object of at most {MAX_RESULT_BYTES} bytes"
            )
        if fault := fault_of(as_text(self.result), schema):
            raise InvalidMarker(f"the marker's result does not fit spec.worker.result: {fault}")

    def dump(self) -> bytes:
        """Write the marker as it stands in S3: so that people can read it, if there is room."""
        body = self._dump(1)
        return body if len(body) <= MAX_MARKER_BYTES else self._dump(None)

    def _dump(self, indent: int | None) -> bytes:
        return self.model_dump_json(exclude_none=True, indent=indent).encode()


def _sentence(error: ValidationError) -> str:
    """Say in one line what is wrong, by the names of the keys."""

    def one(detail: Any) -> str:
        key = ".".join(str(part) for part in detail["loc"])
        return f"{key}: {detail['msg']}" if key else str(detail["msg"])

    return "; ".join(one(detail) for detail in error.errors())
