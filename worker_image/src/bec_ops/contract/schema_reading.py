"""Reads the part of JSON Schema that is known, and makes of it what pydantic checks by."""

from collections.abc import Mapping
from typing import Any

from pydantic_core import CoreSchema
from pydantic_core import core_schema as core

MAX_PARTS = 1000
"""Schemas within a schema, each $ref followed."""

MAX_ALTERNATIVES = 16
"""Of all `anyOf` together: each is tried, maybe with each item of a list."""

MAX_LEVELS = 32
MOST = 2**31
"""The most that is said of how long something may be."""

_CHARACTERS = 200  # of the place of a fault

_REFS = "#/$defs/"
_SAYS_NOTHING = {
    *("title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly"),
    *("format", "$comment", "$schema", "$defs"),
}
_COUNTS = {"minLength": "min_length", "maxLength": "max_length"}
_ITEMS = {"minItems": "min_length", "maxItems": "max_length"}
_LIMITS = {
    "minimum": "ge",
    "maximum": "le",
    "exclusiveMinimum": "gt",
    "exclusiveMaximum": "lt",
    "multipleOf": "multiple_of",
}
_KEYWORDS: dict[str, set[str]] = {
    "object": {"properties", "required", "additionalProperties"},
    "array": {"items", "prefixItems", *_ITEMS},
    "string": {"enum", "const", *_COUNTS},
    "integer": {"enum", "const", *_LIMITS},
    "number": set(_LIMITS),
    "boolean": set(),
    "null": set(),
}
_PLAIN: dict[str, CoreSchema] = {
    "boolean": core.bool_schema(strict=True),
    "null": core.none_schema(),
}
_LISTED = ", ".join(_KEYWORDS)
_KNOWN = {"$ref", "anyOf", "type"}.union(*_KEYWORDS.values())


class Reading:
    """Reads one schema: what it says, as pydantic has it, and how much that is so far."""

    def __init__(self, named: Any) -> None:
        self._named = named if isinstance(named, dict) else {}
        self._parts = self._alternatives = 0

    def of(self, schema: Any, path: str, level: int) -> CoreSchema:
        """Return what is meant by the schema at a path."""
        self._parts += 1
        if self._parts > MAX_PARTS or level > MAX_LEVELS:
            raise _wrong(path, "it is too large, or holds itself: say less of what is there")
        if schema is True:
            return core.any_schema()
        if not isinstance(schema, dict):
            raise _wrong(path, "write a schema there, such as {type: string}")
        said = schema.keys() - _SAYS_NOTHING
        if unknown := sorted(said - _KNOWN):
            raise _wrong(path, f"{unknown[0][:40]!r} is not understood: leave it out")
        if not said:
            return core.any_schema()
        if "$ref" in said:
            return self._of_ref(schema, said, path, level)
        if "anyOf" in said:
            return self._of_any(schema, said, path, level)
        return self._of_type(schema, said, path, level)

    def _of_type(self, schema: Any, said: set[str], path: str, level: int) -> CoreSchema:
        kind = schema.get("type") or _kind_of_values(schema, path)
        if isinstance(kind, list):
            each = [{**schema, "type": one} for one in kind]
            return self._of_any({"anyOf": each}, {"anyOf"}, path, level)
        if not isinstance(kind, str) or kind not in _KEYWORDS:
            raise _wrong(path, f"write one of these as its type: {_LISTED}")
        if unknown := sorted(said - _KEYWORDS[kind] - {"type"}):
            raise _wrong(
                path, f"{unknown[0][:40]!r} is not understood for type {kind}: leave it out"
            )
        return self._of_kind(kind, schema, path, level)

    def _of_ref(self, schema: Any, said: set[str], path: str, level: int) -> CoreSchema:
        name = schema["$ref"]
        known = isinstance(name, str) and name.removeprefix(_REFS) in self._named
        if not known or not name.startswith(_REFS) or len(said) > 1:
            raise _wrong(path, f"a $ref is {_REFS} and a name under $defs, and stands alone")
        return self.of(self._named[name.removeprefix(_REFS)], f"{path}.$ref", level + 1)

    def _of_any(self, schema: Any, said: set[str], path: str, level: int) -> CoreSchema:
        choices = schema["anyOf"]
        if not isinstance(choices, list) or not choices or len(said) > 1:
            raise _wrong(path, "anyOf is a list of schemas, and stands alone")
        self._alternatives += len(choices)
        if self._alternatives > MAX_ALTERNATIVES:
            raise _wrong(path, f"there are more than {MAX_ALTERNATIVES} alternatives under anyOf")
        found = [self.of(one, f"{path}.anyOf[{at}]", level + 1) for at, one in enumerate(choices)]
        return core.union_schema(
            list(found),
            mode="left_to_right",
            custom_error_type="any_of",
            custom_error_message="it is none of what is allowed there",
        )

    def _of_kind(self, kind: str, schema: Any, path: str, level: int) -> CoreSchema:
        match kind:
            case "object":
                return self._of_object(schema, path, level)
            case "array":
                return self._of_array(schema, path, level)
            case "string":
                text = core.str_schema(strict=True, **_counts(schema, _COUNTS, path))
                return _among(text, schema, str, path)
            case "integer":
                whole = core.int_schema(strict=True, **_limits(schema, int, path))
                return _among(whole, schema, int, path)
            case "number":
                limits = _limits(schema, int | float, path)
                return core.float_schema(strict=True, allow_inf_nan=False, **limits)
        return _PLAIN[kind]

    def _of_object(self, schema: Any, path: str, level: int) -> CoreSchema:
        properties, required = schema.get("properties", {}), schema.get("required", [])
        if not isinstance(properties, dict) or not _are_texts(required):
            raise _wrong(path, "properties is a map of schemas, and required a list of names")
        fields = {
            name: core.typed_dict_field(
                self.of(properties.get(name, True), f"{path}.{name[:40]}", level + 1),
                required=name in required,
            )
            for name in {**properties, **dict.fromkeys(required)}
        }
        more = schema.get("additionalProperties", True)
        if more is False:
            return core.typed_dict_schema(fields, strict=True, extra_behavior="forbid")
        extras = self.of(more, f"{path}.additionalProperties", level + 1)
        return core.typed_dict_schema(
            fields, strict=True, extra_behavior="allow", extras_schema=extras
        )

    def _of_array(self, schema: Any, path: str, level: int) -> CoreSchema:
        counts = _counts(schema, _ITEMS, path)
        first = schema.get("prefixItems")
        if first is None:
            items = self.of(schema.get("items", True), f"{path}.items", level + 1)
            return core.list_schema(items, strict=True, fail_fast=True, **counts)
        wanted = {"min_length": len(first), "max_length": len(first)} if _is_list(first) else None
        if counts != wanted or "items" in schema:
            raise _wrong(path, "with prefixItems minItems and maxItems are their number, no items")
        each = [
            self.of(one, f"{path}.prefixItems[{at}]", level + 1) for at, one in enumerate(first)
        ]
        return core.tuple_schema(list(each), strict=True)


def _kind_of_values(schema: Any, path: str) -> str:
    """Return the type of what `enum` or `const` lists, where no type is said."""
    values = _values(schema)
    if values and _are_texts(values):
        return "string"
    if values and all(type(value) is int for value in values):
        return "integer"
    raise _wrong(path, f"write its type: one of {_LISTED}; enum and const are texts or integers")


def _among(schema: CoreSchema, said: Any, kind: type, path: str) -> CoreSchema:
    """Return the schema of those values that `enum` or `const` lists, if one of them does."""
    values = _values(said)
    if values is None:
        return schema
    if not values or not all(type(value) is kind for value in values):
        raise _wrong(path, "enum is a list of values of its type, and const one of them")
    return core.chain_schema([schema, core.literal_schema(list(values))])


def _values(schema: Any) -> Any:
    values = schema.get("enum") if "const" not in schema else [schema["const"]]
    return values if values is None or _is_list(values) else []


def _counts(schema: Any, names: Mapping[str, str], path: str) -> dict[str, Any]:
    """Return how much there may be of it."""
    found = {meant: schema[name] for name, meant in names.items() if name in schema}
    if not all(type(count) is int and 0 <= count <= MOST for count in found.values()):
        raise _wrong(path, f"{' and '.join(names)} are from 0 to {MOST}")
    return found


def _limits(schema: Any, kind: Any, path: str) -> dict[str, Any]:
    """Return between what a number may be."""
    found = {meant: schema[name] for name, meant in _LIMITS.items() if name in schema}
    wrong = (not isinstance(it, kind) or isinstance(it, bool) for it in found.values())
    if any(wrong) or found.get("multiple_of", 1) <= 0:
        raise _wrong(path, f"{', '.join(_LIMITS)} are numbers of its type, the last one above 0")
    return found


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _are_texts(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


def _wrong(path: str, what: str) -> ValueError:
    return ValueError(f"at {path.removeprefix('.')[:_CHARACTERS] or 'its top'}: {what}")
