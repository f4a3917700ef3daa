"""Processes as the kernel lists them, those included that this one did not start.

A process whose parent ends becomes the child of its next ancestor that asks for orphans, or of the
first process of the container. Linux tells all of this in /proc; elsewhere nothing is listed.
"""

import ctypes
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_SET_CHILD_SUBREAPER, _GET_CHILD_SUBREAPER = 36, 37  # of prctl(2), which Python does not have
_PROC = Path("/proc")


@dataclass(frozen=True)
class Process:
    """A process. `started` is in the kernel's ticks: with it, a number that came again is known."""

    pid: int
    started: int
    name: str
    parent: int
    group: int
    dead: bool  # and yet to be waited for

    def __str__(self) -> str:
        """Return it as people look for it: `gzip (31)`."""
        return f"{self.name} ({self.pid})"


def adopt_orphans() -> None:
    """Have whatever this process's descendants leave behind become its children.

    Without it they would be those of the container's first process, and nobody could tell from
    whom they come, once they have left their group and session. Where the kernel has no such thing,
    they remain unseen.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, *map(ctypes.c_ulong, (1, 0, 0, 0)))


def gets_orphans() -> bool:
    """Whether what others leave behind becomes this process's children."""
    if os.getpid() == 1:
        return True
    answer = ctypes.c_int(0)
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(
            _GET_CHILD_SUBREAPER, ctypes.byref(answer), *map(ctypes.c_ulong, (0, 0, 0))
        )
    return bool(answer.value)


def are_listed() -> bool:
    """Whether the kernel tells of processes at all."""
    return (_PROC / "self" / "stat").exists()


def processes() -> Iterator[Process]:
    """List all that can be seen; nothing where there is no /proc."""
    with suppress(OSError):
        for entry in _PROC.iterdir():
            if entry.name.isdigit() and (found := _read(entry)) is not None:
                yield found


def children() -> list[Process]:
    """List the children of this process."""
    return [process for process in processes() if process.parent == os.getpid()]


def forget(child: Process) -> bool:
    """Wait for a child that is dead, so that the kernel forgets it; whether it is gone."""
    try:
        return os.waitpid(child.pid, os.WNOHANG)[0] != 0
    except ChildProcessError:  # somebody else was first
        return True


def _read(entry: Path) -> Process | None:
    """Read what the kernel tells of a process; None if it has gone since."""
    try:
        text = (entry / "stat").read_bytes().decode(errors="replace")
    except OSError:
        return None
    head, _, tail = text.rpartition(")")  # a name may hold anything
    fields = tail.split()
    return Process(
        pid=int(entry.name),
        started=int(fields[19]),
        name=head.partition("(")[2],
        parent=int(fields[1]),
        group=int(fields[2]),
        dead=fields[0] in "ZX",
    )
