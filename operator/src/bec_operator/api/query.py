"""Volumes that a database knows: which connection, and what is asked there."""

import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from bec_operator.api.base import Duration, Resource, rule, schema, validations

ConnectionName = Annotated[
    str, Field(min_length=1, max_length=50, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
]
"""The name under which the administrator has told the operator of a server, and of its keys."""

_BEGIN = r"^[ \t\r\n]*(?i:select|with|values)\b"
_NO_SELECT = "a query is one that reads: let it begin with SELECT or WITH"
_SEVERAL = "write one query, without a semicolon; a text that holds one can be a parameter"
_NAMED = re.compile(r"(?<![:\w\\]):([A-Za-z_]\w*)")
_TEXT = re.compile(r"'(?:[^']|'')*'")


def _check_query(query: str) -> str:
    if not re.match(_BEGIN, query):
        raise ValueError(_NO_SELECT)
    if ";" in query:
        raise ValueError(_SEVERAL)
    return query


Query = Annotated[
    str,
    Field(
        min_length=1,
        max_length=16384,
        json_schema_extra=validations(
            rule(f"self.matches(r'{_BEGIN}')", _NO_SELECT),
            rule("!self.contains(';')", _SEVERAL),
        ),
    ),
    AfterValidator(_check_query),
]


def names_in(query: str) -> set[str]:
    """Return the names that stand for values in a query, as `:name`."""
    return set(_NAMED.findall(_TEXT.sub("''", query)))


class SqlSource(Resource):
    """A query whose rows are volumes: w_id, i_id; if there are such, i_version, source, site."""

    model_config = schema(
        validations(
            rule(
                "!has(self.parameters) || self.parameters.size() <= 100",
                "a query has at most 100 parameters",
            )
        )
    )

    connection: ConnectionName
    query: Query = Field(description="Its columns are w_id and i_id; also i_version, source, site")
    parameters: dict[str, int | str] = Field(
        default_factory=dict,
        max_length=100,
        description="What stands for :name in the query",
        json_schema_extra={
            "x-replace": {
                "type": "object",
                "maxProperties": 100,
                "additionalProperties": {"x-kubernetes-int-or-string": True},
            }
        },
    )
    every: Duration | None = Field(
        default=None, description="How often it is asked again; else as the operator is set"
    )

    @model_validator(mode="after")
    def _each_has_a_value(self) -> Self:
        named, given = names_in(self.query), set(self.parameters)
        if missing := sorted(named - given):
            raise ValueError(f"parameters: there is no value for :{missing[0]} of the query")
        if unused := sorted(given - named):
            raise ValueError(
                f"parameters: {unused[0]} does not stand in the query; write :{unused[0]} there, "
                "or take it out"
            )
        return self
