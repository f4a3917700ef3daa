"""What handlers start may leave processes behind: the dead of a pool's worker are buried here.

The first process of a container becomes the parent of all of them, and if it never waits for them
the kernel keeps each as a process of the pod, until the pod may start no more.
"""

import gc
import subprocess
import sys
from collections.abc import Iterator

from bec_ops.processes.proc import Process, children, forget, gets_orphans


class Orphans:
    """Tells the dead that nobody waits for from those that somebody is about to wait for.

    A child that Python code has started is never one of them, whether or not that code ever looks.
    Any other, such as one that a C library has started, is believed to be one if it is dead at two
    looks. They are taken between two tasks: whoever waits for it would have.
    """

    def __init__(self) -> None:
        self._seen: set[Process] = set()

    def look(self) -> list[Process]:
        """Let the kernel forget the dead that nobody waits for, and return them."""
        dead = {child for child in children() if child.dead} if gets_orphans() else set()
        lasting = dead & self._seen
        known = set(_started_here()) if lasting else set()
        forgotten = [child for child in lasting if child.pid not in known and forget(child)]
        self._seen = dead.difference(forgotten)
        return forgotten


def _started_here() -> Iterator[int]:
    """Yield the children that Python objects stand for, which may yet ask for their end."""
    kinds: list[type] = [subprocess.Popen]
    if (forks := sys.modules.get("multiprocessing.popen_fork")) is not None:
        kinds.append(forks.Popen)
    for each in gc.get_objects():
        # Not isinstance, which asks the object, and some do much when asked.
        if issubclass(type(each), tuple(kinds)) and getattr(each, "returncode", None) is None:
            yield getattr(each, "pid", 0)
