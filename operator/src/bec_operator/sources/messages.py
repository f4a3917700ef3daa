"""What a message of a queue means: one volume, as BEC's own commands and workers write it.

The ids stand in the message's attributes, and in its body as JSON. Attributes count first; what
they do not say is looked for in the body.
"""

import json
from collections.abc import Container, Mapping, Sequence
from typing import Any

from bec_operator.api.sites import check_site
from bec_operator.decide.volumes.volume_sites import SitedVolume
from bec_operator.sources.headers import meant_column
from bec_operator.sources.rows import JSON, kind_of
from bec_operator.sources.text_lines import MAX_LINE
from bec_operator.sources.unseen import BYTE_ORDER_MARK, unseen
from bec_ops.contract.volume import Volume, check_volume

ATTRIBUTES = ("w_id", "i_id", "source", "i_version")
"""What attributes of a message, and keys of its body, are called."""

SITE = "site"
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


def read_message(body: str, attributes: Mapping[str, str], *, sited: bool = False) -> Volume:
    """Return the volume that a message names; raises MessageError.

    `sited`: with its site. Where a Job has none, whatever is called so is the sender's own.
    """
    names = (*ATTRIBUTES, SITE) if sited else ATTRIBUTES
    said = {name: attributes[name] for name in names if attributes.get(name)}
    complete = all(name in said for name in _NEEDED)
    if not (complete and _is_no_object(body)):  # with both ids in attributes, any body will do
        said = _read_body(body, said, names) | said
    missing = [name for name in _NEEDED if name not in said]
    if missing:
        raise MessageError(f"{missing[0]} is missing; {EXPECTED}")
    w_id, source = said["w_id"], said.get("source", OWN)
    if source != OWN:
        w_id = f"{source}:{w_id}"
    volume = Volume(w_id, said["i_id"], said.get("i_version", ""))
    try:
        check_volume(volume)
        if site := said.get(SITE, ""):
            check_site(site)
    except ValueError as error:
        raise MessageError(str(error)) from None
    if (invisible := unseen(volume)) is not None:
        raise MessageError(invisible)
    return SitedVolume.at(volume, site)


def _is_no_object(body: str) -> bool:
    return not body.removeprefix(BYTE_ORDER_MARK).lstrip().startswith("{")


def _read_body(body: str, known: Container[str], names: Sequence[str]) -> dict[str, str]:
    """Return what a body says of these names, beside what is known; raises MessageError."""
    if len(body) > MAX_LINE:
        raise MessageError(
            f"the body has {len(body):,} characters, of which none is read beyond {MAX_LINE:,}; "
            f"{EXPECTED}"
        )
    try:
        row: Any = JSON.decode(body.removeprefix(BYTE_ORDER_MARK))
        wrong = _fault(row, known, names)
    except RecursionError:
        wrong = "a value within a value, too deep"
    except json.JSONDecodeError as error:
        wrong = f"no JSON ({error.msg.rstrip(': ')} at character {error.pos + 1})"
    except ValueError:
        wrong = "a key stands there twice"
    if wrong:
        raise MessageError(f"the body: {wrong}; {EXPECTED}")
    return {name: row[name] for name in names if row.get(name)}


def _fault(row: Any, known: Container[str], names: Sequence[str]) -> str | None:
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
    for name in names:
        value = row.get(name)
        if value is not None and not isinstance(value, str):
            return f"{name} must be a string, not {kind_of(value)}"
    return None


def _short(text: str) -> str:
    return repr(text) if len(text) <= _SAID_AT_MOST else f"{text[:_SAID_AT_MOST]!r}…"
