"""What runs the tasks of a Job: a template of pods, a handler, and the parameters it gets."""

import json
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from bec_operator.api.base import Resource, immutable, rule, schema, validations
from bec_operator.api.template import MAX_DEPTH, TEMPLATE_SCHEMA, is_too_deep
from bec_ops.contract.returned_schema import check_schema

MAX_PARAMETERS_BYTES = 100 * 1024
"""Of `parameters` as JSON: they are one environment variable, which Linux limits to 128 KiB."""


def _check_template(template: dict[str, Any]) -> dict[str, Any]:
    if is_too_deep(template):
        raise ValueError(f"it is nested more than {MAX_DEPTH} levels deep: write it flatter")
    return template


def _check_parameters(parameters: dict[str, Any]) -> dict[str, Any]:
    if is_too_deep(parameters):
        raise ValueError(f"they are nested more than {MAX_DEPTH} levels deep: write them flatter")
    size = len(json.dumps(parameters, ensure_ascii=False).encode(errors="replace"))
    if size > MAX_PARAMETERS_BYTES:
        raise ValueError(
            f"they have {size} bytes as JSON, and {MAX_PARAMETERS_BYTES} is the limit, since they "
            "travel in an environment variable: put what is large into S3, or into a ConfigMap "
            "that the template mounts, and give its place here"
        )
    return parameters


class Worker(Resource):
    """What runs the task: the template of a pod, the handler, and the parameters it gets."""

    model_config = schema(
        validations(
            rule(
                "has(self.handler) == has(oldSelf.handler)",
                "handler cannot be changed: make a new Job instead",
            )
        )
    )

    template: Annotated[
        dict[str, Any],
        Field(json_schema_extra={"x-replace": TEMPLATE_SCHEMA}),
        AfterValidator(_check_template),
    ]
    handler: str | None = Field(
        default=None,
        min_length=1,
        max_length=128,
        description="Which of the image's handlers is meant, by its exact name",
        json_schema_extra=validations(immutable("handler")),
    )
    parameters: Annotated[dict[str, Any], AfterValidator(_check_parameters)] = Field(
        default_factory=dict,
        description="Free JSON of at most 100 KiB, handed to the worker as BEC_PARAMETERS",
        json_schema_extra={"x-kubernetes-preserve-unknown-fields": True},
    )
    result: Annotated[dict[str, Any], AfterValidator(check_schema)] | None = Field(
        default=None,
        description="JSON Schema of what the handler returns; a volume without it is not done",
        json_schema_extra={
            "x-kubernetes-preserve-unknown-fields": True,
            "properties": {"type": {"type": "string", "enum": ["object"]}},
            "required": ["type"],
        },
    )
