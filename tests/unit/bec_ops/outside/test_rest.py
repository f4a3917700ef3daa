"""Hours of rest, on days of all kinds."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from bec_ops.outside.rest import Rest

BERLIN = ZoneInfo("Europe/Berlin")
OFFICE = Rest.parse("mon-fri 08:00-18:00, sat 22:00-06:00")


@pytest.mark.parametrize(
    ("at", "rests"),
    [
        ("2026-11-30T07:59", False),  # a Monday
        ("2026-11-30T08:00", True),
        ("2026-11-30T17:59:59", True),
        ("2026-11-30T18:00", False),
        ("2026-12-05T12:00", False),  # a Saturday
        ("2026-12-05T21:59", False),
        ("2026-12-05T22:00", True),
        ("2026-12-06T05:59", True),  # the night goes on, over Sunday
        ("2026-12-06T06:00", False),
        ("2026-12-06T22:00", False),
        ("2026-12-05T03:00", False),  # no night began on Friday
    ],
)
def test_days_and_nights(at: str, rests: bool) -> None:
    assert OFFICE.holds(datetime.fromisoformat(at)) is rests


def test_days_go_on_over_the_end_of_the_week() -> None:
    rest = Rest.parse("SAT-mon 10:00-11:00")
    days = [day for day in range(1, 8) if rest.holds(datetime(2026, 6, day, 10, 30, tzinfo=UTC))]
    assert days == [1, 6, 7], "1 June 2026 is a Monday"


@pytest.mark.parametrize("text", ["22:00-06:00", "daily 22:00-06:00"])
def test_every_day(text: str) -> None:
    rest = Rest.parse(text)
    assert all(rest.holds(datetime(2026, 6, day, 23, tzinfo=UTC)) for day in range(1, 8))
    assert not rest.holds(datetime(2026, 6, 1, 12, tzinfo=UTC))


def test_a_whole_day_and_none() -> None:
    assert Rest.parse("sun 00:00-24:00").holds(datetime(2026, 6, 7, 23, 59, tzinfo=UTC))
    assert not Rest.parse("").holds(datetime(2026, 6, 7, tzinfo=UTC))


def rested_minutes(rest: Rest, first: datetime, last: datetime) -> int:
    """Count real minutes, not those of the clock."""
    minutes = range(int(first.timestamp()), int(last.timestamp()), 60)
    return sum(rest.holds(datetime.fromtimestamp(at, BERLIN)) for at in minutes)


@pytest.mark.parametrize(
    ("day", "text", "minutes"),
    [
        ("2026-03-29", "sun 01:00-05:00", 180),  # there is no hour from 2 to 3
        ("2026-03-29", "sun 02:15-02:45", 0),
        ("2026-10-25", "sun 01:00-05:00", 300),  # that hour comes twice
        ("2026-10-25", "sun 02:15-02:45", 60),
        ("2026-10-26", "mon 01:00-05:00", 240),
    ],
)
def test_the_clock_is_put_forward_and_back(day: str, text: str, minutes: int) -> None:
    first = datetime.fromisoformat(day).replace(tzinfo=BERLIN)
    last = first.replace(hour=12)
    assert rested_minutes(Rest.parse(text), first, last) == minutes


@pytest.mark.parametrize(
    "text",
    [
        "mon",
        "mon 8",
        "mon-fri 08:00",
        "mon 08:60-09:00",
        "mon 25:00-26:00",
        "mon 24:00-06:00",
        "mon 08:00-08:00",
        "montag 08:00-09:00",
        "daily-fri 08:00-09:00",
        "mon 08:00-24:30",
        "x" * 9,
    ],
)
def test_what_cannot_be_read_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match=r"write|a day goes from"):
        Rest.parse(text)
