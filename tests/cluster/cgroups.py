"""The control group that holds a node's pods, in whichever hierarchies the machine has."""

import time
from collections.abc import Iterator
from pathlib import Path

from .errors import ClusterError
from .process import Running


def make(name: str) -> None:
    """Make the group below the root of each hierarchy."""
    for root in _roots():
        group = root / name
        group.mkdir(exist_ok=True)
        for file in ("cpuset.cpus", "cpuset.mems"):
            # In version 1 they start empty, and then no process can be put into the group.
            if (root / file).exists() and (group / file).exists():
                (group / file).write_text((root / file).read_text())
        if (root / "cgroup.controllers").exists():
            offered = (root / "cgroup.controllers").read_text().split()
            for controller in {"cpu", "cpuset", "io", "memory", "pids"}.intersection(offered):
                for folder in (root, group):
                    (folder / "cgroup.subtree_control").write_text(f"+{controller}")


def processes(name: str) -> list[Running]:
    """Find the processes in the group and in all groups below it."""
    found = set()
    for group in _groups(name):
        for pid in (group / "cgroup.procs").read_text().split():
            if running := Running.of(int(pid)):
                found.add(running)
    return list(found)


def remove(name: str) -> None:
    """Remove the group and all groups below it; their processes must have been ended."""
    deadline = time.monotonic() + 20
    while groups := list(_groups(name)):
        for group in reversed(groups):
            try:
                group.rmdir()
            except FileNotFoundError:
                continue
            except OSError as error:  # busy until the kernel has done with the last process
                if time.monotonic() > deadline:
                    raise ClusterError(f"{group} cannot be removed: {error}") from error
                time.sleep(0.05)


def _groups(name: str) -> Iterator[Path]:
    """Give the group and those below it in each hierarchy, parents first."""
    for root in _roots():
        if (root / name).exists():
            yield root / name
            yield from sorted(each for each in (root / name).rglob("*") if each.is_dir())


def _roots() -> list[Path]:
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    return [Path(fields[1]) for fields in mounts if fields[2] in {"cgroup", "cgroup2"}]
