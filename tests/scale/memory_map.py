"""What a process's memory is made of, as the kernel tells it: /proc/PID/smaps."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_HEADER = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ \S+ *(.*)")
_ARENA = 64 << 20  # glibc: the heap of each arena but the first lies in a range of so many bytes
_STACK = 8 << 20  # a thread's stack, as `ulimit -s` has it


@dataclass
class _Mapping:
    start: int
    end: int
    rights: str
    name: str
    rss: float = 0.0  # MB

    @property
    def size(self) -> int:
        return self.end - self.start


def memory_map(pid: int) -> dict[str, float]:
    """Return the resident memory of a process in MB, by kind.

    `files`: programs and libraries; `heap`: glibc's first arena; `arenas`: its others, one for each
    few threads; `stacks` of threads; `objects`: Python's own arenas, and single large pieces.
    """
    found = {"files": 0.0, "heap": 0.0, "arenas": 0.0, "stacks": 0.0, "objects": 0.0}
    before: _Mapping | None = None
    for each in _mappings(pid):
        found[_kind(each, before)] += each.rss
        before = each
    return {kind: round(size, 1) for kind, size in found.items()}


def threads(pid: int) -> int:
    """Return how many threads a process has."""
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def _kind(each: _Mapping, before: _Mapping | None) -> str:
    if each.name == "[heap]":
        return "heap"
    if each.name and not each.name.startswith("["):
        return "files"
    if each.start % _ARENA == 0 and each.size <= _ARENA:
        return "arenas"
    guarded = before is not None and before.end == each.start and before.rights == "---p"
    if each.name == "[stack]" or (guarded and _STACK - 65536 <= each.size <= _STACK):
        return "stacks"
    return "objects"


def _mappings(pid: int) -> Iterator[_Mapping]:
    current: _Mapping | None = None
    for line in Path(f"/proc/{pid}/smaps").read_text(encoding="utf-8").splitlines():
        if header := _HEADER.match(line):
            if current is not None:
                yield current
            start, end, rights, name = header.groups()
            current = _Mapping(int(start, 16), int(end, 16), rights, name)
        elif current is not None and line.startswith("Rss:"):
            current.rss = int(line.split()[1]) / 1024
    if current is not None:
        yield current
