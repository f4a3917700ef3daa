"""Schemas of results: what pydantic writes is understood, all else is refused, nothing is slow."""

import json
import time
from enum import Enum, IntEnum
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from bec_ops.contract.returned import MAX_RESULT_BYTES, as_text, json_of
from bec_ops.contract.returned_schema import MAX_SCHEMA_BYTES, check_schema, fault_of
from bec_ops.contract.schema_reading import MAX_ALTERNATIVES, MAX_LEVELS


class Script(Enum):
    UCHEN = "uchen"
    UME = "ume"


class Side(IntEnum):
    RECTO = 1
    VERSO = 2


class Page(BaseModel):
    mean: float = Field(ge=0, le=1)
    side: Side = Side.RECTO
    kind: Literal["text", "image"] = "text"


class Found(BaseModel):
    pages: int = Field(gt=0, multiple_of=1)
    script: Script = Script.UCHEN
    each: list[Page] = Field(default_factory=list, max_length=3)
    by_name: dict[str, Page] = Field(default_factory=dict)
    size: tuple[int, int] = (1, 2)
    language: str | None = Field(default=None, min_length=2)
    blank: bool = False
    more: Any = None


SCHEMA = Found.model_json_schema()


def of(a: object, **more: Any) -> dict[str, Any]:
    """Return a schema of an object with a property `a`."""
    return {"type": "object", "properties": {"a": a}, **more}


def fault(found: object, schema: dict[str, Any]) -> str:
    return fault_of(json.dumps(found), schema)


def test_what_a_model_says_of_itself_is_understood() -> None:
    for mode in ("validation", "serialization"):
        schema = check_schema(Found.model_json_schema(mode=mode))
        pages = [Page(mean=0.5), Page(mean=1, side=Side.VERSO)]
        for found in (
            Found(pages=1),
            Found(pages=9, each=pages, by_name={"ཀ": pages[0]}, language="bo", more=[{}, None]),
        ):
            assert fault_of(as_text(json_of(found)), schema) == ""


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({}, "pages: Field required"),
        ({"pages": 0}, "pages: Input should be greater than 0"),
        ({"pages": "1"}, "pages: Input should be a valid integer"),
        ({"pages": True}, "pages: Input should be a valid integer"),
        ({"pages": None}, "pages: Input should be a valid integer"),
        ({"pages": 1, "script": "latin"}, "script: Input should be 'uchen' or 'ume'"),
        ({"pages": 1, "each": [{"mean": 0}, {"mean": 2}]}, "each[1].mean: Input should be less"),
        ({"pages": 1, "each": [{"mean": 1, "side": True}]}, "each[0].side: Input should be a val"),
        ({"pages": 1, "each": [{"mean": 1, "side": 3}]}, "each[0].side: Input should be 1 or 2"),
        ({"pages": 1, "each": [{"mean": 1}] * 4}, "each: List should have at most 3 items"),
        ({"pages": 1, "by_name": {"a\nb": 7}}, "by_name.a\ufffdb: Input should be an object"),
        ({"pages": 1, "size": [1]}, "size[1]: Field required"),
        ({"pages": 1, "size": [1, 2, 3]}, "size: Tuple should have at most 2 items"),
        ({"pages": 1, "language": "b"}, "language: it is none of what is allowed there"),
        ({"pages": 1, "blank": 1}, "blank: Input should be a valid boolean"),
    ],
)
def test_what_does_not_fit(found: object, said: str) -> None:
    assert fault(found, SCHEMA).startswith(said)


def test_of_many_faults_a_few_are_told_and_briefly() -> None:
    schema = of({"type": "null"}, required=[f"k{n}" for n in range(50)])
    assert fault({}, schema) == "; ".join(f"k{n}: Field required" for n in range(3)) + (
        "; and 47 more"
    )
    named = {"type": "object", "additionalProperties": {"type": "null"}}
    assert len(fault({"x" * 5000 + str(n): 1 for n in range(5)}, named)) < 700


def test_other_keys_are_allowed_unless_the_schema_says_no() -> None:
    assert fault({"b": 1}, of({"type": "null"})) == ""
    assert "b: Extra inputs" in fault({"b": 1}, of({"type": "null"}, additionalProperties=False))
    assert fault({"b": 1}, of(True, additionalProperties={"type": "integer"})) == ""
    assert fault({"b": ""}, of(True, additionalProperties={"type": "integer"}))


def test_several_types() -> None:
    schema = of({"type": ["string", "null"], "title": "A"})
    assert fault({"a": None}, schema) == fault({"a": "x"}, schema) == ""
    assert fault({"a": 1}, schema)


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({}, "a result is a JSON object: write type: object"),
        ({"type": "array"}, "a result is a JSON object"),
        (of({"type": "string", "pattern": "(x+)+y"}), "at a: 'pattern' is not understood: leave"),
        (of({"oneOf": [{"type": "null"}]}), "at a: 'oneOf' is not understood"),
        (of({"type": "array", "uniqueItems": True}), "'uniqueItems' is not understood"),
        (of({"type": "null", "minimum": 1}), "'minimum' is not understood for type null"),
        (of({"minimum": 1}), "at a: write its type: one of object, array"),
        (of({"type": "text"}), "at a: write one of these as its type"),
        (of({"type": {}}), "at a: write its type|at a: write one of these"),
        (of({"type": ["null", "text"]}), r"at a\.anyOf\[1\]: write one of these as its type"),
        (of(False), "at a: write a schema there"),
        (of({"type": "array", "items": [1]}), "at a.items: write a schema there"),
        (of({"$ref": "https://example.org/"}), "at a: a \\$ref is #/\\$defs/ and a name"),
        (of({"$ref": "#/$defs/X"}), "at a: a \\$ref is"),
        (of({"$ref": "#/$defs/X", "anyOf": []}, **{"$defs": {"X": {}}}), "stands alone"),
        (of({"$ref": "#/$defs/X"}, **{"$defs": {"X": of({"$ref": "#/$defs/X"})}}), "holds itself"),
        (of({"anyOf": []}), "at a: anyOf is a list of schemas"),
        (of({"anyOf": [{"type": "null"}] * (MAX_ALTERNATIVES + 1)}), "more than 16 alternatives"),
        (of({"enum": [1.5]}), "enum and const are texts or integers"),
        (of({"enum": []}), "enum and const are texts or integers"),
        (of({"type": "string", "enum": ["a", 1]}), "at a: enum is a list of values of its type"),
        (of({"type": "integer", "const": True}), "at a: enum is a list of values of its type"),
        (of({"type": "integer", "minimum": 0.5}), "at a: minimum, maximum.* are numbers of its"),
        (of({"type": "number", "multipleOf": 0}), "the last one above 0"),
        (of({"type": "number", "maximum": 10**400}), "it is no JSON Schema: .* too large"),
        (of({"type": "string", "maxLength": -1}), "at a: minLength and maxLength are from 0"),
        (of({"type": "array", "prefixItems": [{}]}), "with prefixItems minItems and maxItems"),
        (of({"type": "array", "prefixItems": 1}), "with prefixItems"),
        ({"type": "object", "properties": []}, "at its top: properties is a map"),
        ({"type": "object", "required": "a"}, "required a list of names"),
        (of({"title": "x" * MAX_SCHEMA_BYTES}), f"and {MAX_SCHEMA_BYTES} is the limit"),
    ],
)
def test_what_is_refused(schema: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said) as raised:
        check_schema(schema)
    assert len(str(raised.value)) < 500


@pytest.mark.parametrize("levels", [MAX_LEVELS + 1, 300, 50_000])
def test_a_deep_schema_is_refused(levels: int) -> None:
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(levels):
        schema = of(schema)
    with pytest.raises(ValueError, match=r"holds itself|recursion limit|nested more than"):
        check_schema(schema)


def test_references_that_multiply_are_refused_at_once() -> None:
    doubled = {f"D{n}": {"anyOf": [{"$ref": f"#/$defs/D{n + 1}"}] * 2} for n in range(30)}
    with pytest.raises(ValueError, match=r"too large|alternatives"):
        check_schema(of({"$ref": "#/$defs/D0"}, **{"$defs": {**doubled, "D30": {}}}))
    wide = {
        f"D{n}": of({"$ref": f"#/$defs/D{n + 1}"})
        | {"additionalProperties": {"$ref": f"#/$defs/D{n + 1}"}}
        for n in range(15)
    }
    with pytest.raises(ValueError, match="too large"):
        check_schema(of({"$ref": "#/$defs/D0"}, **{"$defs": {**wide, "D15": {}}}))


def test_the_worst_that_can_be_written_takes_a_bounded_time() -> None:
    alternatives = [{"type": "object", "required": [f"k{n}"]} for n in range(MAX_ALTERNATIVES - 1)]
    schema = check_schema(of({"type": "array", "items": {"anyOf": alternatives}}))
    last = f'{{"k{MAX_ALTERNATIVES - 2}":1}}'
    items = ",".join([last] * (MAX_RESULT_BYTES // (len(last) + 1) - 1))
    begun = time.process_time()
    assert fault_of(f'{{"a":[{items}]}}', schema) == ""
    assert fault_of(f'{{"a":[{items},{{}}]}}', schema)
    assert time.process_time() - begun < 3  # 0.3 s; with as many again it would be the square


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
)
WORDS = st.sampled_from(
    ["type", "properties", "items", "anyOf", "$ref", "$defs", "enum", "const", "required",
     "minimum", "maxLength", "prefixItems", "minItems", "additionalProperties", "title"]
)  # fmt: skip
KINDS = st.sampled_from(["object", "array", "string", "integer", "number", "null", "boolean"])


@given(st.dictionaries(WORDS, JSON | KINDS | st.dictionaries(WORDS, JSON | KINDS)))
def test_no_schema_does_harm(schema: dict[str, Any]) -> None:
    try:
        check_schema(schema | {"type": "object"})
    except ValueError:
        return
    fault("x", schema | {"type": "object"})
