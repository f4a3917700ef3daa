"""Where binaries, images and clusters are kept: outside the checkout, so that all clones share."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def cache() -> Path:
    """Give the cache's folder: `$BEC_CACHE`, else `~/.cache/bec-operator`."""
    return Path(os.environ.get("BEC_CACHE") or Path.home() / ".cache" / "bec-operator").absolute()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path`, made if absent, against every other process meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def replace(path: Path, text: str, mode: int = 0o600) -> None:
    """Write `text` to `path` as a whole or not at all, for readers and crashes alike."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text)
    draft.chmod(mode)
    draft.replace(path)
