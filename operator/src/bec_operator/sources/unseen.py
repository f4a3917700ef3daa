"""What nobody sees in an id: with it, the id of a volume looks like the right one and is another.

Invisible characters come from files that were joined, and from text that was copied from a page,
a spreadsheet or a PDF. They are refused, and not taken out: nobody could tell two ids apart that
differ in them, yet S3 does.

Two of them are letters' own: with U+200C and U+200D, scripts of India and Persian spell words. They
stay where these scripts have them, beside a virama or (U+200C) between two Arabic letters, much as
domain names may have them (RFC 5892, appendix A). Variation selectors and the joiners of Mongolian
and of old Hangul stay as well.
"""

import re
import unicodedata

from bec_ops.contract.volume import Volume

BYTE_ORDER_MARK = "\ufeff"

_JOINERS = "\u200c\u200d"
_LOST = "\ufffd"  # what a program writes for bytes that it could not read
_LINES = "\u2028\u2029"
_UNSEEN = re.compile(
    "["
    "\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb"
    "\U000e0000-\U000e007f"
    f"{_LINES}{_LOST}"
    "\ufdd0-\ufdef\ufffe\uffff"  # code points that are no characters, and never will be
    "]"
)
_VIRAMA = 9  # a combining class


def unseen(volume: Volume) -> str | None:
    """Say what nobody sees in one of the ids, and what to do about it; None where all is well."""
    for field, value in zip(volume._fields, volume, strict=True):
        said = _unseen_in(value)
        if said is not None:
            return f"{field}: {said}"
    return None


def _unseen_in(value: str) -> str | None:
    if value != value.strip():
        blank = value[0] if value[0].isspace() else value[-1]
        return f"the id begins or ends with a blank (U+{ord(blank):04X}); take it out"
    if value.isascii():
        return None
    for found in _UNSEEN.finditer(value):
        if found[0] not in _JOINERS or not _spells(value, found.start()):
            return _told(found[0], found.start() + 1)
    return None


def _told(char: str, place: int) -> str:
    what = f"U+{ord(char):04X} as its character {place}"
    if char == _LOST:
        return (
            f"the id holds {what}, which stands for letters that were lost; export the list again, "
            "in UTF-8"
        )
    if char == BYTE_ORDER_MARK:
        return (
            f"the id holds the invisible character {what}, a byte order mark, as where a file "
            "without an end of its last line was joined to another; begin a new line there, or "
            "take it out"
        )
    name = unicodedata.name(char, "").lower()
    named = f" ({name})" if name else ""
    return (
        f"the id holds the invisible character {what}{named}, as text that was copied or joined "
        "does; take it out"
    )


def _spells(value: str, at: int) -> bool:
    """Whether a joiner stands where the spelling of its script needs it."""
    before, after = value[at - 1 : at], value[at + 1 : at + 2]
    if any(side and unicodedata.combining(side) == _VIRAMA for side in (before, after)):
        return True
    if value[at] != "\u200c":
        return False
    letter = next((c for c in reversed(value[:at]) if unicodedata.bidirectional(c) != "NSM"), "")
    return all(side and unicodedata.bidirectional(side) == "AL" for side in (letter, after))
