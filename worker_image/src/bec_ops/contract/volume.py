"""What a job works on: a volume, named by its ids and, where it has one, its version."""

import re
from typing import NamedTuple

MAX_ID_CHARACTERS = 128
"""Upper limit of every id and version, in Unicode characters."""

# A lone surrogate cannot be written as UTF-8, so it could stand in no path.
_CONTROL = r"\x00-\x1f\x7f-\x9f\ud800-\udfff"
_FORBIDDEN = re.compile(f"[{_CONTROL}]")
_ALLOWED = re.compile(f"[^{_CONTROL}]{{1,{MAX_ID_CHARACTERS}}}")


class Volume(NamedTuple):
    """The identity of a volume: two volumes are the same if all three parts are."""

    w_id: str
    i_id: str
    i_version: str = ""

    def __str__(self) -> str:
        name = f"{self.w_id}/{self.i_id}"
        return f"{name}@{self.i_version}" if self.i_version else name


def check_id(value: str) -> None:
    """Refuse what can be no id: raises ValueError with a sentence that says why."""
    if _ALLOWED.fullmatch(value):  # once for each of a few hundred thousand: the short way first
        return
    if not value:
        raise ValueError("an id must not be empty")
    if len(value) > MAX_ID_CHARACTERS:
        raise ValueError(
            f"the id {_short(value)} has {len(value)} characters; "
            f"at most {MAX_ID_CHARACTERS} are allowed"
        )
    found = _FORBIDDEN.findall(value)
    raise ValueError(
        f"the id {_short(value)} holds U+{ord(found[0]):04X}: "
        "control characters and lone surrogates are not allowed"
    )


def _short(value: str) -> str:
    """Quote so much of an id as tells which it is: it may be anything that stood in its place."""
    return repr(value) if len(value) <= 32 else f"{value[:32]!r}…"


def check_volume(volume: Volume) -> None:
    """Check both ids and the version, which alone may be empty; raises ValueError."""
    for field, value in zip(volume._fields, volume, strict=True):
        if value or field != "i_version":
            try:
                check_id(value)
            except ValueError as error:
                raise ValueError(f"{field}: {error}") from None
