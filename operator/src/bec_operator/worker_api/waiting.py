"""Workers whose `next` waits: one call a pod, and none once the operator stops."""

import asyncio
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from bec_operator.metrics import WORKERS_WAITING


class Waiting:
    """Who waits. A worker that asks again has given its older call up, so that one is answered."""

    def __init__(self) -> None:
        self._calls: dict[str, asyncio.Event] = {}  # by the UID of the pod
        self._stopping = False

    @contextmanager
    def begin(self, pod_uid: str) -> Iterator[asyncio.Event]:
        """Let a call of a pod wait in here; what is yielded is set when it is to wait no longer."""
        enough = asyncio.Event()
        if self._stopping:
            enough.set()
        if (older := self._calls.get(pod_uid)) is not None:
            older.set()
        self._calls[pod_uid] = enough
        try:
            with WORKERS_WAITING.track_inprogress():
                yield enough
        finally:
            if self._calls.get(pod_uid) is enough:
                del self._calls[pod_uid]

    def stop(self) -> None:
        """Let nobody wait any longer, nor anybody who comes."""
        self._stopping = True
        for enough in self._calls.values():
            enough.set()


async def wait_for_one(events: Collection[asyncio.Event], seconds: float) -> None:
    """Wait until one of the events is set, for so long at most."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
