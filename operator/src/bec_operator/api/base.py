"""What every model of the resources shares."""

import re
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from bec_ops.contract.volume import MAX_ID_CHARACTERS

GROUP = "bec.bdrc.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

# No control characters, as `bec_ops.contract.volume.check_id` has it.
_ID = r"^[^\x00-\x1f\x7f-\x9f]*$"

Id = Annotated[str, Field(min_length=1, max_length=MAX_ID_CHARACTERS, pattern=_ID)]
ObjectName = Annotated[
    str,
    Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"),
]
"""The name of another object: it becomes part of an address of the API server."""
VersionId = Annotated[str, Field(max_length=MAX_ID_CHARACTERS, pattern=_ID)]
DEFAULT_PREFIX = "artefacts/{job_id}/{w_id}-{i_id}-{i_version}/"


def schema(extra: dict[str, Any] | None = None) -> ConfigDict:
    """Return the configuration of a part of a resource, with extensions for its schema."""
    return ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, json_schema_extra=extra
    )


class Resource(BaseModel):
    """A part of a resource: camelCase on the wire, snake_case in Python."""

    model_config = schema()

    def wire(self) -> dict[str, object]:
        """Return the JSON form, without what is None."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


_DURATION = r"^([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?$"
_UNITS = {"h": 3600, "m": 60, "s": 1}


def seconds(duration: str) -> float:
    """Return the seconds of a duration such as `90s`, `5m` or `1h30m`."""
    return float(sum(int(n) * _UNITS[unit] for n, unit in re.findall(r"(\d+)([hms])", duration)))


def rule(expression: str, message: str, *, field_path: str | None = None) -> dict[str, str]:
    """Return one CEL validation rule in the form that the CRD has it."""
    made = {"rule": expression, "message": message}
    if field_path is not None:
        made["fieldPath"] = field_path
    return made


def validations(*rules: dict[str, str]) -> dict[str, Any]:
    """Return the schema extension that carries CEL rules."""
    return {"x-kubernetes-validations": list(rules)}


Duration = Annotated[
    str,
    Field(
        pattern=_DURATION,
        min_length=2,
        max_length=24,
        json_schema_extra=validations(
            rule("duration(self) > duration('0s')", "give a time above zero, such as 90s or 1h30m")
        ),
    ),
]
"""A span of time as Kubernetes' users write it."""


def _check_moment(value: str) -> str:
    if datetime.fromisoformat(value).tzinfo is None:
        raise ValueError("give a time with its zone, such as 2026-11-24T12:00:00Z")
    return value


Moment = Annotated[
    str,
    Field(max_length=40, json_schema_extra={"format": "date-time"}),
    AfterValidator(_check_moment),
]
"""A moment as Kubernetes' users write it."""

Prefix = Annotated[
    str,
    Field(
        max_length=512,
        json_schema_extra=validations(
            rule(
                "['{job_id}', '{w_id}', '{i_id}'].all(p, self.contains(p))",
                "prefix must hold {job_id}, {w_id} and {i_id}, as in " + DEFAULT_PREFIX,
            ),
            rule(
                "self.endsWith('/') && !self.startsWith('/')",
                "prefix must end in / and not begin with one",
            ),
        ),
    ),
]
"""A template of the folder that one volume's artefacts are in."""


def immutable(name: str) -> dict[str, str]:
    """Return the rule that a field never changes once it is set."""
    return rule("self == oldSelf", f"{name} cannot be changed: make a new Job instead")
