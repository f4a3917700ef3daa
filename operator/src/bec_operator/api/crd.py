"""Generates the CRDs from the models: `python -m bec_operator.api.crd FOLDER…` writes them."""

import sys
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from bec_operator.api.base import GROUP, VERSION
from bec_operator.api.dependency import NOT_ON_ITSELF
from bec_operator.api.job import JobSpec, JobStatus
from bec_operator.api.volume_task import VolumeTaskSpec, VolumeTaskStatus

Schema = dict[str, Any]
_HEADER = "# Generated from the models by 'make verify'. Do not edit.\n"


def structural(model: type[BaseModel]) -> Schema:
    """Return the structural OpenAPI schema of `model`: no references, no unions with null."""
    made = model.model_json_schema(by_alias=True)
    flat: Schema = _flatten(made, made.get("$defs", {}))
    return flat


def _flatten(node: Any, definitions: Schema) -> Any:
    if isinstance(node, list):
        return [_flatten(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if "x-replace" in node:
        return _with_description(node["x-replace"], node)
    if "$ref" in node:
        target = definitions[node["$ref"].rsplit("/", 1)[1]]
        node = {**target, **{k: v for k, v in node.items() if k != "$ref"}}
    if "anyOf" in node:
        (only,) = [option for option in node["anyOf"] if option.get("type") != "null"]
        rest = {k: v for k, v in node.items() if k not in {"anyOf", "default"}}
        return _flatten({**only, **rest}, definitions)
    flat = {
        key: _flatten_member(key, value, definitions)
        for key, value in node.items()
        if key not in {"title", "$defs", "additionalProperties"}
    }
    if "const" in flat:
        flat["enum"] = [flat.pop("const")]
    if flat.get("default") is None or flat.get("default") == {}:
        flat.pop("default", None)
    return flat


def _flatten_member(key: str, value: Any, definitions: Schema) -> Any:
    if key == "properties":
        return {name: _flatten(child, definitions) for name, child in value.items()}
    if key in {"default", "enum", "required"} or key.startswith("x-kubernetes"):
        return value
    flat = _flatten(value, definitions)
    return _without_defaults(flat) if key == "items" else flat


def _without_defaults(node: Any) -> Any:
    """Return the schema of what stands in an array, to which the API server shall add nothing.

    Tools that compare a Job with its file compare arrays as a whole. The models know the defaults.
    """
    if not isinstance(node, dict):
        return node
    kept = {key: value for key, value in node.items() if key != "default"}
    if "properties" in kept:
        kept["properties"] = {n: _without_defaults(p) for n, p in kept["properties"].items()}
    if "items" in kept:
        kept["items"] = _without_defaults(kept["items"])
    return kept


def _with_description(schema: Schema, node: Schema) -> Schema:
    description = node.get("description")
    return {"description": description, **schema} if description else dict(schema)


def _column(name: str, path: str, kind: str = "string", priority: int = 0) -> Schema:
    made: Schema = {"name": name, "type": kind, "jsonPath": path}
    return {**made, "priority": priority} if priority else made


_AGE = _column("Age", ".metadata.creationTimestamp", "date")
_JOB_COLUMNS = [
    _column("Phase", ".status.phase"),
    _column("Done", ".status.done"),
    _column("Percent", ".status.percent"),
    _column("Running", ".status.counts.running", "integer"),
    _column("Failed", ".status.counts.failed", "integer"),
    _column("Waiting", ".status.counts.waiting", "integer"),
    _column("ETA", ".status.eta"),
    _column("Workers", ".status.pool.summary"),
    _column("Rate", ".status.rate", priority=1),
    _column("Reason", '.status.conditions[?(@.type=="Ready")].reason'),
    _AGE,
    _column("Message", '.status.conditions[?(@.type=="Ready")].message', priority=1),
]
_TASK_COLUMNS = [
    _column("Job", ".spec.job"),
    _column("Work", ".spec.volume.wId"),
    _column("Volume", ".spec.volume.iId"),
    _column("Phase", ".status.phase"),
    _column("Attempt", ".status.attempt", "integer"),
    _column("Progress", ".status.progress"),
    _column("Node", ".status.node"),
    _AGE,
    _column("Version", ".spec.volume.iVersion", priority=1),
    _column("Message", ".status.message", priority=1),
]


def _crd(
    kind: str,
    plural: str,
    short: str,
    models: tuple[type[BaseModel], type[BaseModel]],
    columns: list[Schema],
    rules: list[dict[str, str]],
) -> Schema:
    spec, status = (structural(model) for model in models)
    root: Schema = {
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": status,
        },
    }
    if rules:
        root["x-kubernetes-validations"] = rules
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                "shortNames": [short],
                "categories": ["bec"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "selectableFields": [{"jsonPath": ".status.phase"}],
                    "additionalPrinterColumns": columns,
                    "schema": {"openAPIV3Schema": root},
                }
            ],
        },
    }


def crds() -> list[Schema]:
    """Return the CRDs of `Job` and `VolumeTask`."""
    name_rule = {
        "rule": "self.metadata.name.size() <= 63",
        "message": "a Job's name is used as a label: at most 63 characters",
    }
    return [
        _crd("Job", "jobs", "bj", (JobSpec, JobStatus), _JOB_COLUMNS, [name_rule, NOT_ON_ITSELF]),
        _crd(
            "VolumeTask", "volumetasks", "vt", (VolumeTaskSpec, VolumeTaskStatus), _TASK_COLUMNS, []
        ),
    ]


def main(folders: list[str]) -> None:
    """Write each CRD as a file of its own into every one of `folders`."""
    for folder in map(Path, folders):
        folder.mkdir(parents=True, exist_ok=True)
        for crd in crds():
            body = yaml.safe_dump(crd, sort_keys=False, width=100)
            (folder / f"{crd['metadata']['name']}.yaml").write_text(_HEADER + body)


if __name__ == "__main__":
    main(sys.argv[1:])
