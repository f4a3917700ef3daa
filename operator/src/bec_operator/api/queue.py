"""Volumes that come as messages of a queue."""

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from bec_operator.api.base import Duration, Resource, rule, schema, seconds, validations
from bec_operator.api.query import ConnectionName

USUAL_VISIBILITY = "450s"
"""What BEC's own queues have: its workers want five minutes between two attempts."""

_SHORTEST, _LONGEST = "10s", "30m"
_NO_ACK = "ack cannot be changed, as messages are held by what it says: make a new Job instead"
_ONLY_DONE = "visibility is only for ack: Done; a message of ack: Stored is held for no longer"
_SPAN = f"give a visibility from {_SHORTEST} to {_LONGEST}"


class Ack(StrEnum):
    """When a message is deleted."""

    STORED = "Stored"
    DONE = "Done"


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
            ),
            rule("self.ack == oldSelf.ack", _NO_ACK),
            rule("self.ack == 'Done' || !has(self.visibility)", _ONLY_DONE),
            rule(
                f"!has(self.visibility) || duration(self.visibility) >= duration('{_SHORTEST}') && "
                f"duration(self.visibility) <= duration('{_LONGEST}')",
                _SPAN,
            ),
        )
    )

    connection: ConnectionName
    url: str = Field(max_length=1024, pattern=r"^https?://[^/\s]+/\S+$")
    ack: Ack = Field(
        default=Ack.STORED,
        description="When a message is deleted: once its volume is stored, or once it is done",
    )
    visibility: Duration | None = Field(
        default=None,
        description="With ack: Done, for how long nobody else gets a message, each time that it "
        f"is extended; {USUAL_VISIBILITY} if not set",
    )
    until: Until | None = Field(
        default=None, description="Empty: the job ends once the queue is; else it has no end"
    )

    @model_validator(mode="after")
    def _can_be_held(self) -> Self:
        if self.visibility is not None and self.ack is not Ack.DONE:
            raise ValueError(_ONLY_DONE)
        if not seconds(_SHORTEST) <= self.held_for <= seconds(_LONGEST):
            raise ValueError(_SPAN)
        return self

    @property
    def held_for(self) -> float:
        """For how many seconds nobody else gets a message that is held until its volume is done."""
        return seconds(self.visibility or USUAL_VISIBILITY)
