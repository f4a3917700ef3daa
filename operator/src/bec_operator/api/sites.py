"""The sites of a Job: where volumes are to be done, and what each site means."""

import re
from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from bec_operator.api.base import Duration, Resource, rule, schema, validations

MAX_NAME = 63
_NAME = r"^[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$"
_KEY = re.compile(r"([a-z0-9][a-z0-9.-]{0,251}/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_VALUE = r"^([A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?$"
_SHOWN = 32  # characters of what stands in the place of a name
_MOST = 100
_MOST_LABELS = 10
_ONE = "a site needs a nodeSelector, or outside: true, and not both: no node is outside"
_ONE_RULE = "has(self.nodeSelector) != (has(self.outside) && self.outside)"
_NO_TOLERATION = "a site that is outside gets no pods: leave its tolerations out"
_ANY_KEY = "a toleration without a key needs operator: Exists"
_NO_VALUE = "a toleration with operator: Exists has no value"

SiteName = Annotated[str, Field(min_length=1, max_length=MAX_NAME, pattern=_NAME)]
"""What a volume, a worker and a Job call a site; by its exact name."""


def check_site(name: str) -> None:
    """Refuse what can be no name of a site: raises ValueError with a sentence that says why."""
    if len(name) > MAX_NAME or not re.fullmatch(_NAME, name):
        shown = repr(name) if len(name) <= _SHOWN else f"{name[:_SHOWN]!r}…"
        raise ValueError(
            f"site: {shown} is no name of a site; write letters, digits and - _ . between them, "
            f"at most {MAX_NAME}, or nothing"
        )


class TolerationOperator(StrEnum):
    """How a toleration fits a taint."""

    EXISTS = "Exists"
    EQUAL = "Equal"


class TaintEffect(StrEnum):
    """What a taint does to pods that do not tolerate it."""

    NO_SCHEDULE = "NoSchedule"
    PREFER_NO_SCHEDULE = "PreferNoSchedule"
    NO_EXECUTE = "NoExecute"


class Toleration(Resource):
    """A taint that the pods of a site tolerate, as Kubernetes has it."""

    model_config = schema(
        validations(
            rule(
                "has(self.key) || has(self.operator) && self.operator == 'Exists'",
                _ANY_KEY,
            ),
            rule(
                "!has(self.value) || !has(self.operator) || self.operator != 'Exists'",
                _NO_VALUE,
            ),
        )
    )

    key: str | None = Field(default=None, min_length=1, max_length=317)
    operator: TolerationOperator | None = None
    value: str | None = Field(default=None, max_length=63)
    effect: TaintEffect | None = None

    @model_validator(mode="after")
    def _as_kubernetes_has_it(self) -> Self:
        exists = self.operator is TolerationOperator.EXISTS
        if self.key is None and not exists:
            raise ValueError(_ANY_KEY)
        if self.value is not None and exists:
            raise ValueError(_NO_VALUE)
        return self


def _check_labels(labels: dict[str, str] | None) -> dict[str, str] | None:
    for key, value in (labels or {}).items():
        if not _KEY.fullmatch(key):
            raise ValueError("a key is no name of a label: write one as nodes have it")
        if len(value) > MAX_NAME or not re.fullmatch(_VALUE, value):
            raise ValueError(f"{key}: the value is none that a label can have")
    return labels


class Site(Resource):
    """What a site means: nodes of the cluster, or machines that are outside of it."""

    model_config = schema(
        validations(
            rule(_ONE_RULE, _ONE),
            rule("!has(self.tolerations) || has(self.nodeSelector)", _NO_TOLERATION),
        )
    )

    name: SiteName
    node_selector: Annotated[dict[str, str] | None, AfterValidator(_check_labels)] = Field(
        default=None,
        min_length=1,
        max_length=_MOST_LABELS,
        description="The labels of its nodes",
        json_schema_extra={
            "x-replace": {
                "type": "object",
                "minProperties": 1,
                "maxProperties": _MOST_LABELS,
                "additionalProperties": {"type": "string", "maxLength": 63, "pattern": _VALUE},
            }
        },
    )
    tolerations: list[Toleration] | None = Field(
        default=None,
        min_length=1,
        max_length=_MOST_LABELS,
        description="What its nodes want to be tolerated",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    outside: bool = Field(
        default=False, description="Its machines are outside of the cluster: it gets no pods"
    )

    @model_validator(mode="after")
    def _in_one_place(self) -> Self:
        if (self.node_selector is not None) == self.outside:
            raise ValueError(_ONE)
        if self.tolerations is not None and self.outside:
            raise ValueError(_NO_TOLERATION)
        return self


class SitePolicy(StrEnum):
    """Whether the volumes of a site may be done elsewhere."""

    PREFER = "Prefer"
    REQUIRE = "Require"


class Sites(Resource):
    """The sites that volumes may have, and how much they count."""

    policy: SitePolicy = Field(
        default=SitePolicy.PREFER,
        description="Require: volumes of a site are done there and nowhere else",
    )
    patience: Duration = Field(
        default="10m",
        description="With Prefer, a volume that could start for this long is for other sites too",
    )
    of: list[Site] = Field(
        min_length=1,
        max_length=_MOST,
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
        },
    )

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        names = [site.name for site in self.of]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"of: the site {twice[0]} is there twice; give it once")
        return self

    @property
    def requires(self) -> bool:
        """Whether volumes of a site are done nowhere else."""
        return self.policy is SitePolicy.REQUIRE

    def find(self, name: str) -> Site | None:
        """Return the site of a name; None if there is none."""
        return next((site for site in self.of if site.name == name), None)
