"""Patterns of artefacts' names, as `output.expect` of a Job has them.

They are those of the shell. One without a ``/`` is about the name alone, in whatever folder the
artefact is; one with a ``/`` is about the whole path under the output. `*`, `?` and `[…]` stay
within a folder, `**` is any number of folders.
"""

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase

from bec_ops.contract.location import LOG_FOLDER
from bec_ops.contract.marker import MARKER_NAME

MAX_PATTERNS = 16
MAX_PATTERN_CHARACTERS = 256
MAX_PATTERN_PARTS = 8
"""Folders and the name; with the other bounds, so that no pattern takes long."""
PATTERN_EXAMPLE = "write *.txt, or pages/*.txt"

_ANY_FOLDERS = "**"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_SAID_AT_MOST = 40  # characters of a pattern that is refused


def check_patterns(patterns: tuple[str, ...]) -> tuple[str, ...]:
    """Return the patterns; raises ValueError with what is wrong and what to write instead."""
    if len(patterns) > MAX_PATTERNS:
        raise ValueError(f"there are {len(patterns)} patterns: at most {MAX_PATTERNS} are allowed")
    for pattern in patterns:
        _check(pattern)
        if patterns.count(pattern) > 1:
            raise ValueError(f"the pattern {_short(pattern)} stands there twice: write it once")
    return patterns


def _check(pattern: str) -> None:
    if len(pattern) > MAX_PATTERN_CHARACTERS:
        raise ValueError(
            f"the pattern {_short(pattern)} has {len(pattern)} characters: "
            f"at most {MAX_PATTERN_CHARACTERS} are allowed"
        )
    parts = pattern.split("/")
    if len(parts) > MAX_PATTERN_PARTS:
        raise ValueError(
            f"the pattern {_short(pattern)} has {len(parts)} parts: "
            f"at most {MAX_PATTERN_PARTS} are allowed; ** is any number of folders"
        )
    if any(part in {"", ".", ".."} for part in parts):
        raise ValueError(
            f"the pattern {_short(pattern)} is no path under the output, which begins and ends "
            f"without '/' and has no '//', '.' or '..': {PATTERN_EXAMPLE}"
        )
    if pattern == MARKER_NAME or pattern.startswith(LOG_FOLDER):
        raise ValueError(
            f"the pattern {_short(pattern)} is of the marker or of logs, which are no artefacts: "
            f"{PATTERN_EXAMPLE}"
        )
    if _CONTROL.search(pattern):
        raise ValueError(
            f"the pattern {_short(pattern)} holds a control character or a lone surrogate: "
            f"{PATTERN_EXAMPLE}"
        )


def matches(pattern: str, name: str) -> bool:
    """Whether an artefact of this name is one that the pattern is about.

    No pattern takes long: `fnmatch` goes back over nothing, and neither does what is done here.
    """
    folders = pattern.split("/")
    if len(folders) == 1:
        return fnmatchcase(name.rpartition("/")[2], pattern)
    if folders[-1] == _ANY_FOLDERS:  # something is to be in them
        folders.append("*")
    return _path_matches(folders, name.split("/"))


def unmatched(patterns: Iterable[str], name: str) -> list[str]:
    """Return those of the patterns that an artefact of this name does not match."""
    return [pattern for pattern in patterns if not matches(pattern, name)]


def _path_matches(folders: list[str], path: list[str]) -> bool:
    """Go along the path with all places of the pattern at once: nothing is tried twice."""
    places = _beyond_any(folders, {0})
    for part in path:
        reached = {
            place if folders[place] == _ANY_FOLDERS else place + 1
            for place in places
            if place < len(folders)
            and (folders[place] == _ANY_FOLDERS or fnmatchcase(part, folders[place]))
        }
        places = _beyond_any(folders, reached)
    return len(folders) in places


def _beyond_any(folders: list[str], places: set[int]) -> set[int]:
    """Add the places after each `**` that may stand for no folder at all."""
    found = set(places)
    for place, folder in enumerate(folders):
        if place in found and folder == _ANY_FOLDERS:
            found.add(place + 1)
    return found


def _short(pattern: str) -> str:
    return repr(pattern) if len(pattern) <= _SAID_AT_MOST else f"{pattern[:_SAID_AT_MOST]!r}…"
