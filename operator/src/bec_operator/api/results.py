"""Where people who live in SQL, or listen to a queue, see what became of volumes."""

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from bec_operator.api.base import Resource, rule, schema, validations
from bec_operator.api.query import ConnectionName

_ONE = "results go somewhere: give sql, queue or both"


class TablesOf(StrEnum):
    """Whose tables results are written to."""

    OWN = "own"
    BEC = "bec"


class SqlResults(Resource):
    """Tables of a PostgreSQL."""

    connection: ConnectionName
    tables: TablesOf = Field(
        default=TablesOf.OWN,
        alias="schema",
        description="own: the operator's tables; bec: those of an existing BEC installation",
    )


class QueueResults(Resource):
    """A queue of SQS that gets a message for each volume that has ended."""

    connection: ConnectionName
    url: str = Field(max_length=1024, pattern=r"^https?://[^/\s]+/\S+$")


class Results(Resource):
    """Where the operator tells what became of each volume, beside S3 and the cluster."""

    model_config = schema(
        validations(
            rule("has(self.sql) || has(self.queue)", _ONE),
            rule(
                "has(self.sql) == has(oldSelf.sql) && has(self.queue) == has(oldSelf.queue)",
                "sql and queue of results can neither be added nor taken away, since what has "
                "ended before would be missing there: make a new Job instead",
            ),
        )
    )

    sql: SqlResults | None = None
    queue: QueueResults | None = None

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if self.sql is None and self.queue is None:
            raise ValueError(_ONE)
        return self
