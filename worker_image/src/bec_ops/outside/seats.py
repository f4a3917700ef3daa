"""The seats of a worker: each process of a machine sits in one of its own, as long as it lives."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bec_ops.contract.errors import MisconfiguredError

_MOST = 1000  # of one worker


@contextmanager
def sitting(folder: Path, name: str) -> Iterator[bool]:
    """Hold a seat in here, if it is free: whether it was.

    It is free again once the process has ended, however that was.
    """
    number = _lock(folder, name)
    try:
        yield number is not None
    finally:
        if number is not None:
            os.close(number)


@contextmanager
def first_free(folder: Path, kind: str) -> Iterator[str]:
    """Hold the first seat of a kind that is free, `run-1`, `run-2` …, and give its name."""
    for count in range(1, _MOST + 1):
        name = f"{kind}-{count}"
        if (number := _lock(folder, name)) is not None:
            break
    else:
        raise MisconfiguredError(f"all {_MOST} seats of this worker are taken: end some processes")
    try:
        yield name
    finally:
        os.close(number)


def _lock(folder: Path, name: str) -> int | None:
    """Lock a seat's file, and return what holds the lock; None if another process has it."""
    file = folder / "seats" / name
    file.parent.mkdir(mode=0o700, exist_ok=True)
    number = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(number)
        return None
    return number
