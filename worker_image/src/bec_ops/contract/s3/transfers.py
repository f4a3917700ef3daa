"""Files on their way to S3: in parts where they are big, and by one set of threads for all."""

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from boto3.s3.transfer import TransferConfig, create_transfer_manager
from s3transfer.subscribers import BaseSubscriber

Watch = Callable[[int], None]
"""Called with the bytes that have moved since the last call, several times a second, none also.

What it raises gives the transfer up.
"""

_AT_ONCE = 10  # requests, each of a part at most
_LOOK = 0.25  # seconds
_CLEAN_UP = 5.0  # seconds in which S3 is told to forget the parts of what is given up


def ignore(moved: int) -> None:
    """Let a transfer go on, whatever moves."""
    del moved


class Transfers:
    """Uploads by one client, from any thread. No part is held in memory: each is read as it goes.

    Threads are there once something is uploaded.
    """

    def __init__(self, client: Any) -> None:
        config = TransferConfig(max_concurrency=_AT_ONCE, preferred_transfer_client="classic")
        self._manager = create_transfer_manager(client, config)

    def upload(
        self, bucket: str, key: str, path: Path, extra: Mapping[str, Any], watch: Watch
    ) -> None:
        """Upload a file, and return once S3 has it; raises what botocore raises.

        Of one that is given up, a request that is under way may still come to its end.
        """
        told = _Subscriber()
        given = dict(extra)
        # By name: of a file that is open, s3transfer would read parts ahead, and hold them.
        future = self._manager.upload(str(path), bucket, key, given, [told])
        try:
            while not told.done.wait(_LOOK):
                watch(told.take())
        except BaseException:
            future.cancel()
            told.done.wait(_CLEAN_UP)
            raise
        future.result()
        watch(told.take())


class _Subscriber(BaseSubscriber):
    """What s3transfer says of one upload, from threads of its own."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self._lock = threading.Lock()
        self._moved = 0

    def take(self) -> int:
        """Return the bytes that have moved since the last call: below 0 where parts began anew."""
        with self._lock:
            moved, self._moved = self._moved, 0
        return moved

    def on_progress(self, future: Any, bytes_transferred: int, **kwargs: Any) -> None:
        del future, kwargs
        with self._lock:
            self._moved += bytes_transferred

    def on_done(self, future: Any, **kwargs: Any) -> None:
        del future, kwargs
        self.done.set()
