"""How many updates are taken in at once: one of a worker, and few large ones in all."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from bec_operator.worker_api.callers.refusals import CallRefusedError

_LARGE = 4  # at once, of all workers
_PATIENCE = 1.0  # seconds that a large one waits for room: after three the worker has hung up


class Turns:
    """Who has an update taken in now; each is told to come again whose turn it is not."""

    def __init__(self) -> None:
        self._workers: set[str] = set()
        self._room = asyncio.Semaphore(_LARGE)

    @contextmanager
    def of(self, worker_id: str) -> Iterator[None]:
        """Take in one update of a worker; raises CallRefusedError: TooMany."""
        if worker_id in self._workers:
            raise CallRefusedError("TooMany", "your last update is being taken in; say it again")
        self._workers.add(worker_id)
        try:
            yield
        finally:
            self._workers.remove(worker_id)

    @asynccontextmanager
    async def large(self) -> AsyncIterator[None]:
        """Take in a large update when there is room; raises CallRefusedError: Unavailable."""
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._room.acquire()
        except TimeoutError:
            raise CallRefusedError(
                "Unavailable", "too many large updates come at once; say it again"
            ) from None
        try:
            yield
        finally:
            self._room.release()
