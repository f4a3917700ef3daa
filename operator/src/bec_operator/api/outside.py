"""Workers from elsewhere: whether a Job's volumes are given to them, and on what terms."""

from enum import StrEnum

from pydantic import Field

from bec_operator.api.base import Duration, Resource, rule, schema, validations

_ONLY = rule(
    "!self.only || self.allowed", "only needs allowed: workers from elsewhere would get nothing"
)


class MarkerBy(StrEnum):
    """Who writes the success marker of a volume that a worker from elsewhere has done."""

    WORKER = "Worker"
    ON_DONE = "OnDone"


class Outside(Resource):
    """Machines that are not of the cluster, and people at a prompt, that do volumes of a Job."""

    model_config = schema(validations(_ONLY))

    allowed: bool = Field(default=False, description="Give volumes to workers from elsewhere")
    only: bool = Field(default=False, description="Give them to nobody else: make no pods")
    max: int = Field(
        default=20, ge=1, le=10000, description="Volumes that they have at once, at most"
    )
    lease: Duration = Field(
        default="5m",
        description="A worker of whom nothing is heard for this long has lost its volume",
    )
    long_lease: Duration = Field(
        default="12h",
        description="The same for those that give no signs of life while they work: people, and "
        "workers whose protocol has none",
    )
    marker: MarkerBy = Field(
        default=MarkerBy.WORKER,
        description="OnDone: the operator writes success.json when a worker says that it is done",
    )
    presigned: bool = Field(
        default=False, description="They get signed addresses in S3, and need no keys of their own"
    )
