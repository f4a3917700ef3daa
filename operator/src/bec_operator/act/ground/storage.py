"""S3 for the event loop: `bec_ops.contract.s3.store` in a bounded pool of threads."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from bec_operator.metrics import S3_REQUESTS
from bec_ops.contract.s3.store import Store, StoreError

T = TypeVar("T")


class Storage:
    """Runs calls of a `Store` in threads, at most `at_once` of them."""

    def __init__(self, store: Store, at_once: int) -> None:
        self._store = store
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix="s3")

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

    def close(self) -> None:
        """Wait for nothing any more."""
        self._pool.shutdown(wait=False, cancel_futures=True)
