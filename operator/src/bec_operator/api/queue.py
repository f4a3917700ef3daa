"""Volumes that come as messages of a queue."""

from enum import StrEnum

from pydantic import Field

from bec_operator.api.base import Resource, rule, schema, validations
from bec_operator.api.query import ConnectionName


class Ack(StrEnum):
    """When a message is deleted."""

    STORED = "Stored"


class Until(StrEnum):
    """What ends a job over a queue."""

    EMPTY = "Empty"


class QueueSource(Resource):
    """A queue of SQS whose messages name volumes, as BEC writes them."""

    model_config = schema(
        validations(
            rule(
                "self.connection == oldSelf.connection && self.url == oldSelf.url",
                "the queue cannot be changed, as messages of it may be on their way: make a new "
                "Job instead",
            )
        )
    )

    connection: ConnectionName
    url: str = Field(max_length=1024, pattern=r"^https?://[^/\s]+/\S+$")
    ack: Ack = Field(
        default=Ack.STORED, description="When a message is deleted: once its volume is stored"
    )
    until: Until | None = Field(
        default=None, description="Empty: the job ends once the queue is; else it has no end"
    )
