"""How long each part of an attempt may take, and how long it may be silent."""

from pydantic import Field

from bec_operator.api.base import Duration, Resource


class Timeouts(Resource):
    """How long an attempt may take. Those of heartbeat and progress begin with its first call."""

    node: Duration = Field(default="1h", description="Until its pod has a node: Unschedulable")
    start: Duration = Field(
        default="10m", description="Until the worker runs, since its pod has a node: StartTimeout"
    )
    heartbeat: Duration = Field(default="5m", description="Without a sign of life: Silent")
    progress: Duration = Field(default="30m", description="Without any progress: Stuck")
    task: Duration = Field(default="6h", description="Since the worker runs: TooLong")
