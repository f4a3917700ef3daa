"""Whether the kernel has killed something of this container for want of memory."""

from collections.abc import Sequence
from pathlib import Path

# Of cgroup v2 and v1, as a container sees its own.
_COUNTERS = (
    Path("/sys/fs/cgroup/memory.events"),
    Path("/sys/fs/cgroup/memory/memory.oom_control"),
)


def oom_kills(files: Sequence[Path] = _COUNTERS) -> int:
    """Return how many processes were killed so far; 0 where the kernel does not say."""
    for file in files:
        try:
            lines = file.read_text(encoding="ascii").splitlines()
        except OSError:
            continue
        counts = dict(line.split(maxsplit=1) for line in lines if " " in line)
        if "oom_kill" in counts:
            return int(counts["oom_kill"])
    return 0
