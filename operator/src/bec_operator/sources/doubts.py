"""Lines that may be a header of unknown names, judged by the lines around them.

Ids have a digit as a rule, and headings have none; where they have, it counts the columns. Neither
is sure: so a line is doubted only where those around it are of another kind. A header above a line
says that it is a volume, whatever it looks like.
"""

from enum import Enum

from bec_operator.sources.headers import has_digit, is_numbered_heading


class DoubtError(ValueError):
    """A line that may be a header, by its number."""

    def __init__(self, number: int, said: str) -> None:
        super().__init__(said)
        self.number = number


class _Kind(Enum):
    """What ids look like; each value says of a line why it is doubted among lines of others."""

    USUAL = ""
    NO_DIGIT = "it has no digit, and the ids {} have"
    NUMBERED = "it has only words of headings and numbers, and the ids {} have not"


class Doubts:
    """What the lines since the last header tell of the next one."""

    def __init__(self) -> None:
        self.has_usual = False  # the last line was no doubtful first one, and a usual id has come
        self._works: set[_Kind] = set()  # kinds of the works that have come
        self._first: tuple[int, _Kind] | None = None  # a doubtful first line

    def check(self, number: int, fields: list[str], w_id: str, *, is_first: bool) -> None:
        """Take a line for a volume, or raise DoubtError for it or for the first line.

        `is_first` says that a file begins here, and no header stands above.
        """
        kind, first = _kind(fields), self._first
        if first and kind is not first[1] and all(map(has_digit, fields[:2])):
            raise DoubtError(first[0], _told(first[1], "below"))
        if (
            kind is not _Kind.USUAL
            and self._works
            and self._works.isdisjoint({kind, _Kind.NO_DIGIT})
        ):
            raise DoubtError(number, _told(kind, "above"))
        self._first = (number, kind) if is_first and kind is not _Kind.USUAL else None
        self._works.add(_kind([w_id]))
        self.has_usual = self._first is None and _Kind.USUAL in self._works


def _kind(fields: list[str]) -> _Kind:
    if not any(map(has_digit, fields)):
        return _Kind.NO_DIGIT
    return _Kind.NUMBERED if all(map(is_numbered_heading, fields)) else _Kind.USUAL


def _told(kind: _Kind, where: str) -> str:
    return (
        f"this may be a header whose columns are unknown here, as {kind.value.format(where)}; call "
        "the columns w_id, i_id, source and i_version, or leave the line out; if it is a volume, "
        "put a header above it, or write the list as JSON Lines"
    )
