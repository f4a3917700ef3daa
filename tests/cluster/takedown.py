"""Takes a cluster down to nothing, from whatever state it was left in."""

import shutil
import signal
from pathlib import Path

from . import s3
from .cache import cache
from .process import end, marked
from .site import give_back_slot, held_slot


def take_down(home: Path) -> None:
    """End the processes of the cluster in `home`, and remove all that it made on the machine.

    What is in it is thrown away, so nothing is asked to end in an orderly way.
    """
    if not home.exists():
        return
    # Until none is left: one may start another while the list is made.
    while processes := marked(home):
        end(processes, signal.SIGKILL, 20)
    slot = held_slot(home)
    if slot is not None:
        s3.remove_sockets(slot)
    _keep_logs(home)
    shutil.rmtree(home)
    if slot is not None:
        give_back_slot(slot)


def _keep_logs(home: Path) -> None:
    """Keep the logs of the last cluster of each name: failures are often looked at too late."""
    kept = cache() / "logs" / home.name
    shutil.rmtree(kept, ignore_errors=True)
    kept.parent.mkdir(parents=True, exist_ok=True)
    if (home / "logs").exists():
        (home / "logs").rename(kept)
