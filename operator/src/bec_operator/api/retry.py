"""How often a volume is tried, how soon again, and with how much more memory."""

from enum import StrEnum

from pydantic import Field

from bec_operator.api.base import Duration, Resource, rule, validations


class Backoff(Resource):
    """How long a volume waits for its next attempt: from `initial` on, doubled each time."""

    initial: Duration = "10s"
    max: Duration = "10m"


class OnTimeout(StrEnum):
    """What follows when an attempt took too long."""

    RETRY = "Retry"
    FAIL = "Fail"


_QUANTITY = r"^[0-9]{1,15}(\.[0-9]{1,9})?([KMGTPE]i|[kMGTPE])?$"


class OutOfMemory(Resource):
    """How much more memory an attempt gets after one that was killed for its memory."""

    factor: float = Field(default=1.5, ge=1, le=10, description="Times as much, each time")
    max: str = Field(
        default="64Gi",
        pattern=_QUANTITY,
        max_length=32,
        description="Never more than this, unless the template says more",
        json_schema_extra=validations(
            rule(
                "isQuantity(self) && quantity(self).isGreaterThan(quantity('0'))",
                "give an amount of memory above zero, such as 64Gi",
            )
        ),
    )


class Retry(Resource):
    """How often a volume is tried, and how soon again."""

    limit: int = Field(default=3, ge=1, le=100, description="Attempts a volume, the first included")
    backoff: Backoff = Field(default=Backoff(), description="Before another attempt")
    on_timeout: OnTimeout = Field(
        default=OnTimeout.RETRY, description="Whether a volume is tried again after a time-out"
    )
    out_of_memory: OutOfMemory = OutOfMemory()
