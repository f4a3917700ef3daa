"""Lists of volumes at real size: the real ones where they are at hand, else made of their shape."""

import os
import random
from pathlib import Path

_SIZES = {"ldv1-volumes.csv": 38_836, "ocrv1-volumes.csv": 27_789}


def volume_list(name: str) -> bytes:
    """Return the csv list `name`: from the folder $BEC_VOLUME_LISTS if it has it, else made."""
    folder = os.environ.get("BEC_VOLUME_LISTS")
    if folder and (path := Path(folder, name)).exists():
        return path.read_bytes()
    return made_list(_SIZES[name])


def gated_lists(volumes: int, gated: int) -> tuple[bytes, bytes]:
    """Return a csv list of so many volumes, and one of `gated` of them in the same order.

    At the sizes of the real lists these are the real ones, where they are at hand.
    """
    if [volumes, gated] == list(_SIZES.values()) and os.environ.get("BEC_VOLUME_LISTS"):
        first, second = map(volume_list, _SIZES)
        return first, second
    lines = made_list(volumes).splitlines(keepends=True)
    chosen = sorted(random.Random(gated).sample(range(volumes), gated))
    return b"".join(lines), b"".join(lines[index] for index in chosen)


def made_list(volumes: int) -> bytes:
    """Make a list of works with a few volumes each, as in the real ones; always the same."""
    chance = random.Random(volumes)
    lines: list[str] = []
    work = 0
    while len(lines) < volumes:
        work += chance.randint(1, 9)
        first = chance.randint(1, 9000)
        count = min(chance.choice((1, 1, 2, 3, 8, 20)), volumes - len(lines))
        lines += [f"W{work:02}KG{10_000 + work},I{first + n:05}" for n in range(count)]
    return ("\n".join(lines) + "\n").encode()
