"""Moments and spans of time, as Kubernetes and people write them."""

from datetime import UTC, datetime


def iso(moment: float) -> str:
    """Return `moment` (epoch seconds) in the form of Kubernetes' times."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def precise(moment: float) -> str:
    """Return `moment` (epoch seconds) to the microsecond, as Kubernetes' MicroTime is written."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def epoch(moment: str) -> float:
    """Return the epoch seconds of a time in the form of Kubernetes'."""
    return datetime.fromisoformat(moment).timestamp()


def lenient(moment: object) -> float:
    """Return the epoch seconds of a time that anybody may have written; 0 for what is none."""
    try:
        return epoch(moment) if isinstance(moment, str) else 0.0
    except (ValueError, OverflowError):
        return 0.0


def redo_time(redone: int) -> datetime | None:
    """Return since when everything is done again, as markers are judged by it; None for 0."""
    return datetime.fromtimestamp(redone, UTC) if redone else None


def duration(seconds: float) -> str:
    """Return `seconds` as people say it: 45s, 12m, 2h10m, 3d4h."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    minutes = whole // 60
    if minutes < 60:
        return f"{minutes}m"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}h{minutes}m"
    days, hours = divmod(hours, 24)
    return f"{days}d{hours}h"
