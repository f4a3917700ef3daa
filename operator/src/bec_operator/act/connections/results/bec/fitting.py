"""What the columns of a BEC installation take: what does not fit is left out, and told."""

import math
import re
from datetime import datetime

from bec_ops.contract.volume import Volume

_MOST_IMAGES = 32_767  # smallint
_MOST_OF_ID, _MOST_OF_NAME = 32, 50  # characters
_LEAST, _MOST = 1e-30, 1e30  # a little less than a real takes
_REFUSED = re.compile("[\x00\ud800-\udfff]")  # PostgreSQL takes these in no text
_INSTEAD = "have such results written to tables of the operator's own"


def unfit_job(name: str) -> str:
    """Say why the table jobs does not take a name; empty if it does."""
    if len(name) > _MOST_OF_NAME:
        said = f"{len(name)} characters, and jobs.name takes {_MOST_OF_NAME}"
    elif _REFUSED.search(name):
        said = "a character that PostgreSQL takes in no text"
    else:
        return ""
    return (
        f"the job_id {_short(name)} has {said}; write a shorter spec.jobId, or {_INSTEAD}: nothing "
        "of this Job is written"
    )


def unfit_volume(volume: Volume) -> str:
    """Say why the table volumes does not take a volume; empty if it does."""
    for field, column in (("w_id", "bdrc_w_id"), ("i_id", "bdrc_i_id")):
        value: str = getattr(volume, field)
        if len(value) > _MOST_OF_ID:
            said = f"{len(value)} characters, and volumes.{column} takes {_MOST_OF_ID}"
        elif _REFUSED.search(value):
            said = "a character that PostgreSQL takes in no text"
        else:
            continue
        return f"{_named(volume)}: its {field} has {said}; it is left out: {_INSTEAD}"
    return ""


def unfit_count(volume: Volume, column: str, count: int | None) -> str:
    """Say that a column does not take a count; empty if it does."""
    if fit_count(count) == count:
        return ""
    return (
        f"{_named(volume)}: {column} of a BEC installation takes numbers from 0 to {_MOST_IMAGES:,}"
        f", and its marker says {_short(str(count))}; the column is left as it is: {_INSTEAD}"
    )


def fit_count(count: int | None) -> int | None:
    """Return a count that a smallint takes."""
    return count if count is not None and 0 <= count <= _MOST_IMAGES else None


def fit_milliseconds(number: float | None) -> float | None:
    """Return what a real takes, without more digits than it has."""
    if number is None or not math.isfinite(number) or not 0 <= number < _MOST:
        return None
    return number if number > _LEAST else 0.0


def fit_text(text: str) -> str:
    """Return a text that PostgreSQL takes."""
    return _REFUSED.sub("\ufffd", text) if _REFUSED.search(text) else text


def seconds_of(moment: str | None) -> float | None:
    """Return a moment in seconds since 1970; None if it is none, or has no zone."""
    if not moment:
        return None
    try:
        found = datetime.fromisoformat(moment)
    except ValueError:
        return None
    return found.timestamp() if found.tzinfo is not None else None


def _named(volume: Volume) -> str:
    return "/".join(map(_short, volume[:2])) + (
        f"@{_short(volume.i_version)}" if volume.i_version else ""
    )


def _short(text: str) -> str:
    text = "".join(each if each.isprintable() else "\ufffd" for each in text[:41])
    return text if len(text) <= 40 else f"{text[:40]}…"
