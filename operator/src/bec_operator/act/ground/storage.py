"""S3 for the event loop: `bec_ops.contract.s3.store` in a bounded pool of threads."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from bec_operator.decide.sight.refusals import (
    MARKER_ARCHIVED,
    MARKER_UNANSWERED,
    STORAGE_FORBIDDEN,
)
from bec_operator.decide.sight.seen import Fact
from bec_operator.metrics import S3_REQUESTS
from bec_ops.contract.s3.store import Reason, Store, StoreError

K = TypeVar("K")
T = TypeVar("T")

IN_BULK = 0.9  # of the threads: the rest is for markers
CHUNK = 8  # requests of a thread, one after the other


_REASONS: dict[Reason, str] = {
    "Unavailable": "StorageUnavailable",
    "Forbidden": STORAGE_FORBIDDEN,
    "KeyRefused": "OutputImpossible",
    "KeyUnanswered": MARKER_UNANSWERED,
    "Archived": MARKER_ARCHIVED,
}


def storage_fact(error: StoreError, now: float) -> Fact:
    """Return what a call that S3 did not answer well says about the storage."""
    return Fact(now, _REASONS.get(error.reason, error.reason), str(error))


class Storage:
    """Runs calls of a `Store` in threads, at most `at_once` of them."""

    def __init__(self, store: Store, at_once: int) -> None:
        self._store = store
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix="s3")
        self._bulk = max(int(at_once * IN_BULK), 1)
        self._turns = asyncio.Semaphore(self._bulk)

    async def call(self, operation: str, work: Callable[[Store], T]) -> T:
        """Do `work`; raises StoreError where S3 cannot tell."""
        outcome = "ok"
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work, self._store)
        except StoreError as error:
            outcome = error.reason
            raise
        finally:
            S3_REQUESTS.labels(operation, outcome).inc()

    async def in_bulk(
        self,
        operation: str,
        keys: Sequence[K],
        work: Callable[[Store, K], T],
        note: Callable[[K, T | StoreError], None],
    ) -> None:
        """Do `work` with each of many keys; `note` gets what comes of it, in no certain order.

        Who does so beside others takes turns with them.
        """
        chunks = iter([keys[at : at + CHUNK] for at in range(0, len(keys), CHUNK)])

        def do(chunk: Sequence[K]) -> list[T | StoreError]:
            found: list[T | StoreError] = []
            for key in chunk:
                try:
                    found.append(work(self._store, key))
                except StoreError as error:
                    found.append(error)
            return found

        async def go_on() -> None:
            for chunk in chunks:
                async with self._turns:
                    found = await asyncio.get_running_loop().run_in_executor(self._pool, do, chunk)
                for key, answer in zip(chunk, found, strict=True):
                    outcome = answer.reason if isinstance(answer, StoreError) else "ok"
                    S3_REQUESTS.labels(operation, outcome).inc()
                    note(key, answer)

        async with asyncio.TaskGroup() as group:
            for _ in range(self._bulk):
                group.create_task(go_on())

    def close(self) -> None:
        """Wait for nothing any more."""
        self._pool.shutdown(wait=False, cancel_futures=True)
