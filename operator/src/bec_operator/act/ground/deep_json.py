"""JSON from the API server. What is nested too deep for any reader is cut, and said to be."""

import re
from collections.abc import Iterator
from typing import Any

import orjson

MAX_DEPTH = 200
"""Levels that are read of an answer that cannot be read as a whole; orjson writes up to 254."""
CUT = "bec.bdrc.io/cut"
"""Stands at the top of an object of which something was cut out."""

_CUT = b'"\\u0000cut"'
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[{\]}]', re.DOTALL)


def read_json(data: bytes) -> Any:
    """Return what the API server sent; raises ValueError for what is no JSON.

    The API server takes objects of up to 10,000 levels, orjson reads 1,024. One such Job in a list
    must not hide all others, so what is too deep is left out of it, and it is marked with `CUT`.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        shallow = b"".join(_without_depths(data))
        if len(shallow) == len(data):
            raise
    answer: dict[str, Any] = orjson.loads(shallow)
    for item in answer.get("items") or [answer.get("object") or answer]:
        if _CUT in orjson.dumps(item):
            item[CUT] = True
    return answer


def _without_depths(data: bytes) -> Iterator[bytes]:
    """Give the text, with a mark in the place of whatever is nested deeper than `MAX_DEPTH`."""
    depth = start = 0
    for token in _TOKEN.finditer(data):
        sign = token[0]
        if sign in b"[{":
            depth += 1
            if depth == MAX_DEPTH:
                yield data[start : token.start()]
        elif sign in b"]}":
            if depth == MAX_DEPTH:
                yield _CUT
                start = token.end()
            depth -= 1
    if depth < MAX_DEPTH:
        yield data[start:]
