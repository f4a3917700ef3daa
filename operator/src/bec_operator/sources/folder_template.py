"""Folders that are volumes: which LISTs find them, and which ids stand in their keys."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from bec_operator.api.listing import OF_ONE_LENGTH, PLACEHOLDER, names_in, segments_of
from bec_ops.contract.volume import Volume

_DIGITS_OF_GROUP = re.compile(r"\d{4}")
_FOLDER_OF_GROUP = re.compile(r"I(\d{4})")

Values = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Level:
    """One level of folders that has to be listed.

    `way` leads from a folder of the level above to what is asked for: names that are known by then,
    and what all names here begin with. `pattern` is what a folder fits, from the bucket on.
    """

    way: str
    pattern: re.Pattern[str]

    def values(self, folder: str) -> Values | None:
        """Return the texts of all placeholders so far; None for a folder that does not fit."""
        found = self.pattern.fullmatch(folder)
        if found is None:
            return None
        values = found.groupdict()
        w_id, i_id = values.get("w_id"), values.get("i_id")
        if w_id is not None and values.get("w_md5") not in {None, _md5(w_id)}:
            return None
        if i_id is not None and values.get("i_folder") not in {None, _folder_of(i_id)}:
            return None
        return values

    def prefix(self, folder: str, values: Values) -> str:
        """Return what is listed for a folder of the level above."""
        return folder + PLACEHOLDER.sub(lambda name: values[name[1]], self.way)


@dataclass(frozen=True, slots=True)
class FolderTemplate:
    """A template of folders, of a uri that `ListingSource` has checked."""

    bucket: str
    levels: tuple[Level, ...]

    @classmethod
    def parse(cls, uri: str) -> Self:
        """Cut a uri into its levels.

        What has no placeholder is not listed: on the way it is gone through, at the end left out.
        """
        segments = segments_of(uri)
        while not names_in(segments[-1]):
            segments.pop()
        levels: list[Level] = []
        known: set[str] = set()
        way = pattern = ""
        for number, segment in enumerate(segments, 1):
            names = names_in(segment)
            head, pattern = _head(segment, known), pattern + _pattern(segment, known) + "/"
            if number < len(segments) and known.issuperset(names):
                way += f"{segment}/"
            else:
                levels.append(Level(way + head, re.compile(pattern, re.DOTALL)))
                way = ""
            known.update(names)
        bucket = uri.removeprefix("s3://").partition("/")[0]
        return cls(bucket, tuple(levels))


def volume_of(values: Values) -> Volume:
    """Return the volume of what a folder of the last level shows; its ids are not checked."""
    i_id = values.get("i_id")
    if i_id is None:
        folder = values["i_folder"]
        i_id = f"I{folder}" if _DIGITS_OF_GROUP.fullmatch(folder) else folder
    return Volume(values["w_id"], i_id, values.get("i_version", ""))


def _head(segment: str, known: set[str]) -> str:
    """Return what a segment begins with, as far as it is known."""
    for found in PLACEHOLDER.finditer(segment):
        if found[1] not in known:
            return segment[: found.start()]
    return segment


def _pattern(segment: str, known: set[str]) -> str:
    """Return what fits a segment; a placeholder has the text that it had before."""
    seen = set(known)
    made = ""
    for number, part in enumerate(PLACEHOLDER.split(segment)):
        if number % 2 == 0:
            made += re.escape(part)
        elif part in seen:
            made += f"(?P={part})"
        else:
            seen.add(part)
            made += f"(?P<{part}>{'[0-9a-f]{2}' if part == OF_ONE_LENGTH else '[^/]+'})"
    return made


def _md5(w_id: str) -> str:
    return hashlib.md5(w_id.encode(), usedforsecurity=False).hexdigest()[:2]


def _folder_of(i_id: str) -> str:
    group = _FOLDER_OF_GROUP.fullmatch(i_id)
    return group[1] if group is not None else i_id
