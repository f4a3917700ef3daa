"""The pool of a Job: warm workers that take volume after volume, and go when none is left."""

from pydantic import Field

from bec_operator.api.base import Duration, Resource, rule, schema, validations

_ORDER = rule("self.minWorkers <= self.maxWorkers", "minWorkers is more than maxWorkers: lower it")


class PoolSpec(Resource):
    """How many warm workers a Job has. Without a pool each volume gets a pod of its own."""

    model_config = schema(validations(_ORDER))

    min_workers: int = Field(
        default=0, ge=0, le=1000, description="Stay warm even if there is nothing to do"
    )
    max_workers: int = Field(default=20, ge=1, le=1000)
    idle: Duration = Field(default="60s", description="A worker without work goes after this")
    tasks_per_worker: int = Field(
        default=0, ge=0, description="A worker is replaced after so many volumes; 0: never"
    )


class PoolStatus(Resource):
    """The workers of a pool, and why they are so many."""

    workers: int = Field(default=0, description="Pods that are not being deleted")
    ready: int = Field(default=0, description="Those of them that have registered")
    busy: int = Field(default=0, description="Workers that have a volume")
    draining: int = Field(default=0, description="Those of them that get no more work, and go")
    summary: str = Field(default="", description="busy/ready of workers, for people")
    decision: str = Field(default="", description="The last decision on their number, and why")
