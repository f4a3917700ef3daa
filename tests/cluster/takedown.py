"""Takes a cluster down to nothing, from whatever state it was left in."""

import os
import shutil
import signal
from pathlib import Path

from . import cgroups, node, s3
from .cache import cache
from .process import end, marked
from .site import give_back_slot, held_slot, system_name_of


def take_down(home: Path) -> None:
    """End the processes of the cluster in `home`, and remove all that it made on the machine.

    What is in it is thrown away, so nothing is asked to end in an orderly way.
    """
    slot = held_slot(home)
    _end_processes(home, slot)
    if slot is not None:
        s3.remove_sockets(slot)
        if os.geteuid() == 0:
            node.remove(system_name_of(slot), home)
    if home.exists():
        _keep_logs(home)
        shutil.rmtree(home)
    if slot is not None:
        give_back_slot(slot)


def _end_processes(home: Path, slot: int | None) -> None:
    # Until none is left: one may start another while the list is made.
    while processes := marked(home):
        end(processes, signal.SIGKILL, 20)
    # Containers last: what would start them again is gone.
    while slot is not None and (processes := cgroups.processes(system_name_of(slot))):
        end(processes, signal.SIGKILL, 20)


def _keep_logs(home: Path) -> None:
    """Keep the logs of the last cluster of each name: failures are often looked at too late."""
    kept = cache() / "logs" / home.name
    shutil.rmtree(kept, ignore_errors=True)
    kept.parent.mkdir(parents=True, exist_ok=True)
    if (home / "logs").exists():
        (home / "logs").rename(kept)
