"""How the version of a volume is found that comes without one."""

import re
from typing import Self

from pydantic import Field, field_validator, model_validator

from bec_operator.api.base import Duration, Resource, rule, schema, validations
from bec_operator.api.query import ConnectionName, Query, names_in

PLACEHOLDERS = ("w_id", "i_id", "w_md5", "i_folder")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_ONE = "give exactly one way to find versions: etag or sql"
_BY_VOLUMES = "the query is asked for many volumes at once: WHERE (w_id, i_id) IN :volumes"


class EtagVersions(Resource):
    """The version is the beginning of the ETag of an object of the volume."""

    uri: str = Field(
        max_length=1100,
        pattern=r"^s3://[^/{}]+/.+$",
        description="s3://bucket/key with {w_id}, {i_id}, {w_md5} (two digits of its MD5) and "
        "{i_folder} (the digits of an image group as I0886, else the whole id)",
        json_schema_extra=validations(
            rule(
                "self.contains('{i_id}') || self.contains('{i_folder}')",
                "the key has to differ for each volume: write {i_id} or {i_folder} into it",
            ),
            rule(
                "self.matches('^([^{}]|[{](w_id|i_id|w_md5|i_folder)[}])*$')",
                "in braces stand {w_id}, {i_id}, {w_md5} and {i_folder}, and nothing else",
            ),
        ),
    )
    length: int = Field(default=6, ge=4, le=32, description="Digits of the ETag")

    @field_validator("uri")
    @classmethod
    def _check_uri(cls, uri: str) -> str:
        for name in _PLACEHOLDER.findall(uri):
            if name not in PLACEHOLDERS:
                known = ", ".join(f"{{{each}}}" for each in PLACEHOLDERS)
                raise ValueError(f"there is no {{{name}}}; write one of {known}")
        if not {"{i_id}", "{i_folder}"} & {f"{{{n}}}" for n in _PLACEHOLDER.findall(uri)}:
            raise ValueError("the key has to differ for each volume: write {i_id} or {i_folder}")
        return uri


class SqlVersions(Resource):
    """The version stands in a database."""

    connection: ConnectionName
    query: Query = Field(
        description="Its columns are w_id, i_id and i_version; :volumes stands for some of them",
        json_schema_extra=validations(rule("self.contains(':volumes')", _BY_VOLUMES)),
    )

    @field_validator("query")
    @classmethod
    def _check_volumes(cls, query: str) -> str:
        if names_in(query) != {"volumes"}:
            raise ValueError(_BY_VOLUMES)
        return query


class Versions(Resource):
    """How a version is found before the volume begins; and whether a newer one is looked for."""

    model_config = schema(
        validations(rule("has(self.etag) != has(self.sql)", _ONE)),
    )

    etag: EtagVersions | None = None
    sql: SqlVersions | None = None
    follow: Duration | None = Field(
        default=None,
        description="How long after one look for new versions the next one comes, such as 24h: a "
        "new version is a new volume, and the job has no end. Else each version is found once",
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.etag is None) == (self.sql is None):
            raise ValueError(_ONE)
        return self
