"""What a machine must have before work is taken: disk, memory, and a way to S3."""

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pydantic import ByteSize

from bec_ops.contract.s3.store import Store, StoreError
from bec_ops.outside.keys import Keys

_MEMORY = Path("/proc/meminfo")
_GOOD_FOR = 600.0  # seconds that an answer of S3 is believed


class S3Check:
    """Whether places in S3 can be reached; a good answer is remembered for a while.

    A place that could not be is looked at again before anything else is begun.
    """

    def __init__(self, uri: str = "", open_store: Callable[[], Store] = Store) -> None:
        self._open_store = open_store
        self._wanted = {_bucket_and_prefix(uri)} if uri else set()
        self._good: dict[str, float] = {}  # by bucket: when

    def missing(self) -> str:
        """Say why one of the places that matter cannot be reached; empty if all can."""
        return next(filter(None, (self.reach(*place) for place in sorted(self._wanted))), "")

    def reach(self, bucket: str, prefix: str) -> str:
        """Say why a place cannot be reached, and mind it from now on; empty if it can."""
        if time.monotonic() - self._good.get(bucket, -_GOOD_FOR) < _GOOD_FOR:
            return ""
        try:
            self._open_store().check_bucket(bucket, prefix)
        except Exception as error:  # noqa: BLE001 - such as a profile that is not there
            self._wanted.add((bucket, prefix))
            told = isinstance(error, StoreError)
            return str(error) if told else f"{type(error).__name__}: {error}"
        self._good[bucket] = time.monotonic()
        return ""


def missing(keys: Keys) -> str:
    """Say what of disk and memory this machine has too little of; empty if it has enough."""
    folder = keys.scratch or Path(tempfile.gettempdir())
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < keys.min_disk:
        return f"{_amount(free)} are free in {folder}, and min_disk is {_amount(keys.min_disk)}"
    available = _available_memory() if keys.min_memory else None
    if available is not None and available < keys.min_memory:
        return (
            f"{_amount(available)} of memory are free, and min_memory is {_amount(keys.min_memory)}"
        )
    return ""


def _available_memory() -> int | None:
    """Return the bytes that may be had without swapping; None where the kernel does not say."""
    try:
        lines = _MEMORY.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(found[0]) * 1024 if found else None


def _amount(size: int) -> str:
    return ByteSize(size).human_readable()


def _bucket_and_prefix(uri: str) -> tuple[str, str]:
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    return bucket, prefix
