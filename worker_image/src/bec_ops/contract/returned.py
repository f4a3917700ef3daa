"""What a handler has returned: a JSON object of a bounded size, which goes into the marker."""

import json
import math
from collections.abc import Iterator

from pydantic import BaseModel
from pydantic_core import from_json

MAX_RESULT_BYTES = 64 * 1024
"""Of it as JSON, in UTF-8 and without blanks: it goes on into tables and messages."""

_DEEP = "it is nested too deep, or holds itself: return something flatter"


def json_of(model: BaseModel) -> object:
    """Return a model as JSON has it, by its aliases; raises ValueError for what is none.

    In fields of no type pydantic would write null for a NaN, and nobody would know.
    """
    try:
        _check_finite(model.model_dump(by_alias=True))
        return model.model_dump(mode="json", by_alias=True)
    except RecursionError:
        raise ValueError(_DEEP) from None


def as_text(found: object) -> str:
    """Return a JSON object as a text; raises ValueError that says what is wrong with it.

    It is what any reader of a marker reads again: no NaN, no half characters, no great depth.
    """
    if not isinstance(found, dict):
        raise ValueError(f"it is {_kind(found)}, and no JSON object")  # noqa: TRY004 - as all here
    try:
        text = json.dumps(found, ensure_ascii=False, separators=(",", ":"))
    except RecursionError:
        raise ValueError(_DEEP) from None
    size = _size(text)
    if size > MAX_RESULT_BYTES:
        raise ValueError(
            f"it has {size} bytes as JSON, and {MAX_RESULT_BYTES} is the limit: write what is "
            "large as an artefact, and return its name"
        )
    try:
        from_json(f'{{"result":{text}}}', allow_inf_nan=False)
    except ValueError as error:
        if "recursion" in str(error):
            raise ValueError(_DEEP) from None
        _check_finite(found)
        raise ValueError(str(error)) from None
    return text


def _size(text: str) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        raise ValueError("it holds half a character, which is no text: leave it out") from None


def _check_finite(found: object) -> None:
    if where := next(_not_finite(found, ""), ""):
        raise ValueError(f"{where[:200]} is no number: return None there")


def _not_finite(found: object, path: str) -> Iterator[str]:
    """Yield where there is a NaN or an infinity, which JSON does not have."""
    if isinstance(found, float):
        if not math.isfinite(found):
            yield f"{path} ({found})"
    elif isinstance(found, dict):
        for name, value in found.items():
            yield from _not_finite(value, f"{path}.{name}" if path else str(name))
    elif isinstance(found, list | tuple | set | frozenset):
        for at, value in enumerate(found):
            yield from _not_finite(value, f"{path}[{at}]")


def _kind(found: object) -> str:
    kinds = {list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return kinds.get(type(found), "a number")
