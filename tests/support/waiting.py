"""Waiting for a condition, never for a time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

POLL = 0.1  # seconds


def until(look: Callable[[], T], what: str, timeout: float = 15.0) -> T:
    """Return what `look` returns as soon as it is true; after so many seconds, fail with it."""
    deadline = time.monotonic() + timeout
    while not (seen := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:.0f} s: {what}; last seen: {seen!r}")
        time.sleep(POLL)
    return seen


def throughout(seconds: float, holds: Callable[[], bool], what: str) -> None:
    """See that something holds for so many seconds."""
    start = time.monotonic()
    while (passed := time.monotonic() - start) < seconds:
        if not holds():
            raise AssertionError(f"after {passed:.1f} of {seconds:.0f} s no longer: {what}")
        time.sleep(POLL)
