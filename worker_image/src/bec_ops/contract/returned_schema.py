"""What a Job says of the results of its handler: `spec.worker.result`, a part of JSON Schema.

Of JSON Schema that part is known which pydantic writes for models of plain fields; anything else is
refused, and nothing is passed over. It becomes a validator of pydantic's, whose time and memory are
bounded whoever wrote schema and result: no patterns, no recursion, few alternatives.
"""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from pydantic import ValidationError
from pydantic_core import SchemaError, SchemaValidator, from_json

from bec_ops.contract.schema_reading import MAX_LEVELS, Reading

MAX_SCHEMA_BYTES = 16 * 1024
"""Of a schema as JSON: it is one environment variable of the worker."""

_TOLD, _CHARACTERS = 3, 200  # faults of a result that are told, and how much of each


def check_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema that is understood; raises ValueError that says what else to write."""
    _validator(_text(schema))
    return schema


def fault_of(text: str, schema: Mapping[str, Any]) -> str:
    """Return why a result, as JSON, does not fit a schema that is understood; empty if it does."""
    try:
        _validator(_text(schema)).validate_json(text)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False, include_context=False)
        told = [f"{_path(fault['loc'])}: {fault['msg']}"[:_CHARACTERS] for fault in faults[:_TOLD]]
        more = error.error_count() - len(told)
        return "; ".join(told) + (f"; and {more} more" if more else "")
    return ""


def _text(schema: Mapping[str, Any]) -> str:
    try:
        return json.dumps(schema, ensure_ascii=False)
    except RecursionError:
        raise ValueError(f"it is nested more than {MAX_LEVELS} levels deep") from None


@lru_cache(maxsize=64)
def _validator(text: str) -> SchemaValidator:
    size = len(text.encode(errors="replace"))
    if size > MAX_SCHEMA_BYTES:
        raise ValueError(
            f"it has {size} bytes as JSON, and {MAX_SCHEMA_BYTES} is the limit, since it travels "
            "in an environment variable: say less of what is in the result"
        )
    schema = from_json(text)
    if schema.get("type") != "object":
        raise ValueError("a result is a JSON object: write type: object, and its properties")
    try:
        return SchemaValidator(Reading(schema.get("$defs", {})).of(schema, "", 0))
    except SchemaError as error:
        said = " ".join(str(error).split())[:_CHARACTERS]
        raise ValueError(f"it is no JSON Schema: {said}") from None


def _path(parts: tuple[int | str, ...]) -> str:
    made = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    made = made.removeprefix(".")[:_CHARACTERS]
    return "".join(each if each.isprintable() else "\ufffd" for each in made) or "it"
