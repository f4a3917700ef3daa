"""What handlers return: as JSON that anybody reads again, or a sentence that says why not."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from bec_ops.contract.returned import MAX_RESULT_BYTES, as_text, json_of


class Page(BaseModel):
    number: int = Field(alias="pageNumber")
    text: Any = None


def nested(levels: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for _ in range(levels):
        found = {"a": found}
    return found


def test_a_model_is_told_by_its_aliases() -> None:
    page = Page(pageNumber=3, text={"ཀ": [None, 1.5, True]})
    assert as_text(json_of(page)) == '{"pageNumber":3,"text":{"ཀ":[null,1.5,true]}}'


@given(st.dictionaries(st.text(max_size=9), st.lists(st.integers() | st.text(max_size=9))))
def test_what_is_told_is_read_again(found: dict[str, Any]) -> None:
    try:
        text = as_text(found)
    except ValueError:
        return
    assert json.loads(text) == found
    assert as_text(json.loads(text)) == text


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([1], "it is a list, and no JSON object"),
        ("done", "it is a text, and"),
        (None, "it is null, and"),
        (True, "it is true or false, and"),
        (7, "it is a number, and"),
        ({"pages": [{"mean": 1.0}, {"mean": float("nan")}]}, r"pages\[1\]\.mean \(nan\) is no num"),
        ({"worst": float("-inf")}, r"worst \(-inf\) is no number: return None there"),
        ({"text": "\ud800"}, "it holds half a character"),
        (nested(300), "it is nested too deep"),
        (nested(50_000), "it is nested too deep"),
        ({"much": 10**5000}, "4300 digits"),
        ({"x" * 5000: float("nan")}, "^x{200} is no number"),
    ],
)
def test_what_is_none(found: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        as_text(found)


@pytest.mark.parametrize("letter", ["x", "བ"])
def test_the_limit_is_one_of_bytes(letter: str) -> None:
    room = MAX_RESULT_BYTES - len('{"a":""}')
    fits = letter * (room // len(letter.encode()))
    assert as_text({"a": fits})
    with pytest.raises(ValueError, match=f"as JSON, and {MAX_RESULT_BYTES} is the limit: write"):
        as_text({"a": fits + letter})


@pytest.mark.parametrize("text", [float("nan"), {"a": [float("inf")]}, {float("nan")}])
def test_a_nan_in_a_field_of_no_type_is_no_null(text: object) -> None:
    with pytest.raises(ValueError, match=r"^text.* is no number: return None there"):
        json_of(Page(pageNumber=1, text=text))


def test_models_that_no_json_can_be_made_of() -> None:
    with pytest.raises(ValueError, match="serialize"):
        json_of(Page(pageNumber=1, text=object()))
    page = Page(pageNumber=1)
    page.text = page
    with pytest.raises(ValueError, match="Circular"):
        json_of(page)
    with pytest.raises(ValueError, match="nested too deep"):
        json_of(Page(pageNumber=1, text=nested(5000)))
