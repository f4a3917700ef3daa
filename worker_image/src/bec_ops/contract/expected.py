"""Whether a volume's output holds what its Job expects: `output.expect`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from bec_ops.contract.location import LOG_FOLDER
from bec_ops.contract.marker import MARKER_NAME
from bec_ops.contract.patterns import unmatched

LOOKED_AT_MOST = 200_000
"""Folders and names in the paths of one output that are looked through: 200 requests at most."""

AGES_AT_MOST = 1000
"""Artefacts of one output that turn out to be too old, each with a request."""

_TOLD = 5  # patterns, and names, that are told
_CHARACTERS = 64  # of each


class Listing(Protocol):
    """What is there under one prefix; what fails raises StoreError or OSError."""

    def listed(self) -> Iterator[str]:
        """Yield the names of all objects."""

    def written(self, name: str) -> datetime | None:
        """Return when an object was last written; None if there is none."""


@dataclass
class Found:
    """What a look showed: the patterns that nothing matches, and `examples` of what is there.

    `outdated` are artefacts that match but are from before the job was to be done again. Where
    `cut` is set, there is more than the `seen` ones that were looked at.
    """

    missing: list[str]
    seen: int = 0
    examples: list[str] = field(default_factory=list)
    outdated: int = 0
    cut: bool = False

    def note(self, name: str) -> None:
        """Take in an artefact, whatever it matches."""
        self.seen += 1
        if len(self.examples) < _TOLD:
            self.examples.append(name)

    def sentence(self) -> str:
        """Say what is missing, and what is there instead; bounded, whatever the names are."""
        missing = f"nothing there matches {_told(self.missing, len(self.missing))}"
        there = f"there is {_told(self.examples, self.seen)}" if self.seen else "it is empty"
        cut = "; there are too many to look at all" if self.cut else ""
        old = f"; {self.outdated} that would do are from before redoAt" if self.outdated else ""
        return f"{missing}, which spec.output.expect demands; {there}{cut}{old}"


def is_artefact(name: str) -> bool:
    """Whether an object of this name is one: not the marker, a log, or a mark of a folder."""
    return name != MARKER_NAME and not name.startswith(LOG_FOLDER) and not name.endswith("/")


def look(listing: Listing, patterns: Sequence[str], redo_at: datetime | None = None) -> Found:
    """Look for the patterns among what is there, until all are found.

    Whoever wrote it, and when, but not before `redo_at`.
    """
    found, parts = Found(list(patterns)), 0
    if not patterns:
        return found
    for name in listing.listed():
        parts += 1 + name.count("/")
        if parts > LOOKED_AT_MOST:
            found.cut = True
            break
        if not is_artefact(name):
            continue
        found.note(name)
        left = unmatched(found.missing, name)
        if len(left) < len(found.missing) and redo_at and _is_older(listing, name, redo_at, found):
            found.outdated += 1
            continue
        found.missing = left
        if not left:
            break
    return found


def _is_older(listing: Listing, name: str, moment: datetime, found: Found) -> bool:
    """Whether an artefact is older, or there were so many older ones that nobody asks any more."""
    if found.outdated >= AGES_AT_MOST:
        return True
    written = listing.written(name)
    return written is None or written < moment


def _told(names: Sequence[str], count: int) -> str:
    """Return a few of the names, and how many more there are."""
    told = [repr(name) for name in names[:_TOLD]]
    short = [name if len(name) <= _CHARACTERS else f"{name[:_CHARACTERS]}…" for name in told]
    more = count - len(short)
    return ", ".join(short) + (f" and {more} more" if more else "")
