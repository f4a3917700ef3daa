"""Keys that some stores cannot hold: those over a file system have rules that S3 does not know."""

LONGEST_PART = 255
"""Bytes that a name in a file system may have, and so a part of a key between two slashes."""

_SHOWN = 40  # characters of a part that is told of


def longest_part(key: str) -> str:
    """Return the part between two slashes that has the most bytes."""
    return max(key.split("/"), key=lambda part: len(part.encode()))


def has_long_part(key: str) -> bool:
    """Whether a store over a file system has no room for one of the parts."""
    return len(longest_part(key).encode()) > LONGEST_PART


def folders_above(key: str) -> list[str]:
    """Return the keys of what would be the folders of a key, without their slashes."""
    parts = key.split("/")[:-1]
    return ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]


def short_folder(key: str) -> str:
    """Return the deepest folder of a key in whose path no part is too long, with its slash."""
    short = [folder for folder in folders_above(key) if not has_long_part(folder)]
    return f"{short[-1]}/" if short else ""


def sizes(key: str) -> str:
    """Say how long a key and its longest part are."""
    part = longest_part(key)
    shown = part if len(part) <= _SHOWN else f"{part[:_SHOWN]}…"
    return (
        f"the key has {len(key.encode())} bytes, its longest part between slashes, {shown!r}, "
        f"{len(part.encode())}"
    )
