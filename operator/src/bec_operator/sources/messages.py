"""What a message of a queue means: one volume, as BEC's own commands and workers write it.

The ids stand in the message's attributes, and in its body as JSON. Attributes count first; what
they do not say is looked for in the body.
"""

import json
from collections.abc import Container, Mapping
from typing import Any

from bec_operator.sources.headers import meant_column
from bec_operator.sources.rows import JSON, kind_of
from bec_operator.sources.text_lines import MAX_LINE
from bec_operator.sources.unseen import BYTE_ORDER_MARK, unseen
from bec_ops.contract.volume import Volume, check_volume

ATTRIBUTES = ("w_id", "i_id", "source", "i_version")
"""What attributes of a message, and keys of its body, are called."""

OWN = "bdrc"  # the source that is no part of an id: what BEC writes where nobody names one
EXPECTED = (
    'expected {"w_id": "…", "i_id": "…"} as the body or w_id and i_id as message attributes, '
    "source and i_version being optional"
)
_NEEDED = ("w_id", "i_id")
_MOST_KEYS = 64
_SAID_AT_MOST = 32  # characters of what stands there


class MessageError(ValueError):
    """A message that names no volume; what it says holds next to nothing of the message."""


def read_message(body: str, attributes: Mapping[str, str]) -> Volume:
    """Return the volume that a message names; raises MessageError."""
    said = {name: attributes[name] for name in ATTRIBUTES if attributes.get(name)}
    complete = all(name in said for name in _NEEDED)
    if not (complete and _is_no_object(body)):  # with both ids in attributes, any body will do
        said = _read_body(body, said) | said
    missing = [name for name in _NEEDED if name not in said]
    if missing:
        raise MessageError(f"{missing[0]} is missing; {EXPECTED}")
    w_id, source = said["w_id"], said.get("source", OWN)
    if source != OWN:
        w_id = f"{source}:{w_id}"
    volume = Volume(w_id, said["i_id"], said.get("i_version", ""))
    try:
        check_volume(volume)
    except ValueError as error:
        raise MessageError(str(error)) from None
    if (invisible := unseen(volume)) is not None:
        raise MessageError(invisible)
    return volume


def _is_no_object(body: str) -> bool:
    return not body.removeprefix(BYTE_ORDER_MARK).lstrip().startswith("{")


def _read_body(body: str, known: Container[str]) -> dict[str, str]:
    """Return what a body says, beside what is known; raises MessageError."""
    if len(body) > MAX_LINE:
        raise MessageError(
            f"the body has {len(body):,} characters, of which none is read beyond {MAX_LINE:,}; "
            f"{EXPECTED}"
        )
    try:
        row: Any = JSON.decode(body.removeprefix(BYTE_ORDER_MARK))
        wrong = _fault(row, known)
    except RecursionError:
        wrong = "a value within a value, too deep"
    except json.JSONDecodeError as error:
        wrong = f"no JSON ({error.msg.rstrip(': ')} at character {error.pos + 1})"
    except ValueError:
        wrong = "a key stands there twice"
    if wrong:
        raise MessageError(f"the body: {wrong}; {EXPECTED}")
    return {name: row[name] for name in ATTRIBUTES if row.get(name)}


def _fault(row: Any, known: Container[str]) -> str | None:
    """Say what keeps a JSON value from naming a volume.

    Senders may write more than the ids; but a key that was probably meant for one of them, and
    misspelt, would make this another volume.
    """
    if not isinstance(row, dict):
        return f"not an object, but {kind_of(row)}"
    if len(row) > _MOST_KEYS:
        return f"an object of {len(row):,} keys, where {_MOST_KEYS} are enough for anybody"
    for key in row:
        meant = None if key in ATTRIBUTES else meant_column(key)
        if meant is not None and meant not in row and meant not in known:
            return f"unknown key {_short(key)}, write {meant} if that is meant; else leave it out"
    for name in ATTRIBUTES:
        value = row.get(name)
        if value is not None and not isinstance(value, str):
            return f"{name} must be a string, not {kind_of(value)}"
    return None


def _short(text: str) -> str:
    return repr(text) if len(text) <= _SAID_AT_MOST else f"{text[:_SAID_AT_MOST]!r}…"
