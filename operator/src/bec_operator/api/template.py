"""The pod template of a Job: how much of its shape is checked before anybody makes a pod of it.

The whole schema of a pod would not fit beside the rest of the CRD, so only the shape is typed of
what the operator itself handles: a map where a list belongs is refused as it is applied.
"""

from collections.abc import Iterator
from typing import Any

from bec_operator.api.base import rule, validations

Schema = dict[str, Any]
MAX_DEPTH = 100
"""Levels that free JSON may have, in the template and in `parameters`."""


def _of(kind: str, **more: Any) -> Schema:
    made = {"type": kind, "nullable": True, **more}
    return {name: value for name, value in made.items() if value is not False}


def _object(properties: Schema | None = None, **more: Any) -> Schema:
    open_ended = {"x-kubernetes-preserve-unknown-fields": True}
    return _of("object", **open_ended, **({"properties": properties} if properties else {}), **more)


def _named(properties: Schema | None = None) -> Schema:
    """Return the schema of a list of things that have names."""
    return _of("array", items=_object({"name": {"type": "string"}, **(properties or {})},
                                      nullable=False, required=["name"]))  # fmt: skip


_STRING = _of("string")
_STRINGS = _of("array", items={"type": "string"})
_TEXTS = _of("object", additionalProperties={"type": "string"})
_OBJECTS = _of("array", items=_object(nullable=False))
_AMOUNTS = _of("object", additionalProperties={"x-kubernetes-int-or-string": True})
_RESOURCES = _object({"requests": _AMOUNTS, "limits": _AMOUNTS})
_CONTAINER: Schema = {
    "image": _STRING,
    "command": _STRINGS,
    "args": _STRINGS,
    "workingDir": _STRING,
    "env": _named({"value": _STRING, "valueFrom": _object()}),
    "envFrom": _OBJECTS,
    "volumeMounts": _named({"mountPath": _STRING}),
    "resources": _RESOURCES,
    "securityContext": _object(),
    "ports": _OBJECTS,
    "terminationMessagePolicy": _STRING,
}
_NAMED_CONTAINER = _object(
    {"name": {"type": "string", "maxLength": 63}, **_CONTAINER}, nullable=False, required=["name"]
)
_SERVICE_ACCOUNT_TOKEN = _object({"audience": _STRING})
_SOURCES = _of("array", items=_object({"serviceAccountToken": _SERVICE_ACCOUNT_TOKEN}))
_AFFINITY = _object(
    {"nodeAffinity": _object({"preferredDuringSchedulingIgnoredDuringExecution": _OBJECTS})}
)
TEMPLATE_SCHEMA: Schema = _object(
    {
        "metadata": _object({"labels": _TEXTS, "annotations": _TEXTS}),
        "spec": _object(
            {
                "containers": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": 32,
                    "items": _NAMED_CONTAINER,
                    **validations(
                        rule(
                            "self.exists(c, c.name == 'worker')",
                            "one container must be named worker: it is the one that runs the task",
                        )
                    ),
                },
                "initContainers": _of("array", maxItems=32, items=_NAMED_CONTAINER),
                "volumes": _named({"projected": _object({"sources": _SOURCES})}),
                "affinity": _AFFINITY,
                "imagePullSecrets": _OBJECTS,
                "nodeSelector": _TEXTS,
                "tolerations": _OBJECTS,
                "securityContext": _object(),
                "serviceAccountName": _STRING,
                "nodeName": _STRING,
            },
            nullable=False,
            required=["containers"],
        ),
    },
    nullable=False,
    required=["spec"],
    description="A pod template; its container `worker` runs the task",
)
"""Of the template, as the CRD has it."""

_WORDS: dict[type, str] = {
    dict: "a map", list: "a list", str: "a text", bool: "true or false", int: "a number",
    float: "a number", type(None): "nothing",
}  # fmt: skip
_TYPES: dict[str, type] = {"object": dict, "array": list, "string": str}


def faults_of_template(template: Any) -> Iterator[str]:
    """Give what is wrong with the shape of a template, each with the path of the field.

    The API server says the same as it is applied, unless its CRD is of an earlier version.
    """
    return _faults(template, TEMPLATE_SCHEMA, "spec.worker.template")


def _faults(value: Any, schema: Schema, path: str) -> Iterator[str]:
    wanted = _TYPES.get(schema.get("type", ""))
    if wanted is None or (value is None and schema.get("nullable")):
        return
    if not isinstance(value, wanted):
        found = _WORDS.get(type(value), "something else")
        yield f"{path}: write {_WORDS[wanted]} there, not {found}"
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _faults(item, schema.get("items", {}), f"{path}[{number}]")
    elif isinstance(value, dict):
        for name in schema.get("required", ()):
            if name not in value:
                yield f"{path}.{name} is missing"
        more = schema.get("additionalProperties", {})
        for name, item in value.items():
            yield from _faults(item, schema.get("properties", {}).get(name, more), f"{path}.{name}")


def is_too_deep(value: Any) -> bool:
    """Whether JSON has more than `MAX_DEPTH` levels: what handles it would give up, or worse."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True
