"""Hours of rest: when a machine is somebody else's, and its worker begins no task.

    mon-fri 08:00-18:00, sat 22:00-06:00

It goes by what the clock on the wall shows, so a day on which that is put forward or back needs
no rule of its own. A span that ends before it begins goes on over midnight, and belongs to the
day of its begin.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Self

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = "|".join(_DAYS)
_CLOCK = r"([01]?[0-9]|2[0-4]):([0-5][0-9])"
_SPAN = re.compile(rf"(?:({_DAY}|daily)(?:-({_DAY}))?\s+)?{_CLOCK}\s*-\s*{_CLOCK}")
_FULL = 24 * 60  # minutes of a day


@dataclass(frozen=True)
class Span:
    """From one minute of a day to another one, on some days of the week; 0 is Monday."""

    days: frozenset[int]
    begin: int
    end: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `mon-fri 08:00-18:00`; without days it is of every day."""
        found = _SPAN.fullmatch(text.strip().lower())
        if found is None:
            raise ValueError(f"{text.strip()[:40]!r}: write hours such as mon-fri 08:00-18:00")
        first, last, *clock = found.groups()
        hour, minute, end_hour, end_minute = (int(part) for part in clock)
        begin, end = 60 * hour + minute, 60 * end_hour + end_minute
        if begin >= _FULL or end > _FULL:
            raise ValueError(f"{text.strip()!r}: a day goes from 00:00 to 24:00")
        if begin == end:
            raise ValueError(f"{text.strip()!r} is no time at all; write 00:00-24:00 for a day")
        return cls(_days(first, last), begin, end)

    def holds(self, weekday: int, minute: int) -> bool:
        """Whether a minute of a day of the week is in it."""
        if self.begin < self.end:
            return weekday in self.days and self.begin <= minute < self.end
        evening = weekday in self.days and minute >= self.begin
        return evening or ((weekday - 1) % 7 in self.days and minute < self.end)


@dataclass(frozen=True)
class Rest:
    """All hours of rest; none at all if there is no span."""

    spans: tuple[Span, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read spans with commas between them; raises ValueError that says what to write."""
        return cls(tuple(Span.parse(part) for part in text.split(",") if part.strip()))

    def holds(self, at: datetime) -> bool:
        """Whether it is time to rest, as the clock on the wall shows `at`."""
        minute = 60 * at.hour + at.minute
        return any(span.holds(at.weekday(), minute) for span in self.spans)


def _days(first: str | None, last: str | None) -> frozenset[int]:
    """Return the days from one to another, over the end of the week if need be."""
    if first in {None, "daily"}:
        if last is not None:
            raise ValueError(f"daily-{last}: write daily, or two days such as mon-fri")
        return frozenset(range(7))
    begin = _DAYS.index(str(first))
    many = 1 if last is None else (_DAYS.index(last) - begin) % 7 + 1
    return frozenset((begin + step) % 7 for step in range(many))
