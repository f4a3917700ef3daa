"""Stores what Flamenco Workers tell of their logs: as they go on, and at the end."""

import asyncio

from bec_operator.gateway.faces.flamenco.runs import Run
from bec_operator.gateway.gateway import Gateway
from bec_operator.worker_api.callers.refusals import CallRefusedError
from bec_ops.contract.location import log_key
from bec_ops.contract.protocol import LOG_BYTES
from bec_ops.contract.s3.store import StoreError

_SAVE_EVERY = 60.0  # seconds: what a crash of the operator may cost
_HOLDS_UP = 30.0  # seconds for which an end waits for its log to be stored
_PATIENCE = 1.5  # seconds for S3: the worker waits for its answer


class LogKeeper:
    """Keeps logs of attempts where those of pods are."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def save_now_and_then(self, run: Run) -> None:
        """Store the log of an attempt that goes on, if that is some time ago."""
        now = self._gateway.ctx.clock.now()
        if now - run.saved >= _SAVE_EVERY:
            run.saved = now
            await self.save(run)

    async def save_the_end(self, run: Run) -> bool:
        """Store the log of an attempt that has ended; return False if its end is to be told again.

        A store that takes no log does not hold it up for long.
        """
        now = self._gateway.ctx.clock.now()
        run.end_told = run.end_told or now
        await self.save(run)
        return not run.unsaved or now - run.end_told >= _HOLDS_UP

    async def save(self, run: Run) -> None:
        """Store what is new in the log of an attempt; what is not stored is tried again later."""
        if not run.unsaved:
            return
        try:
            async with asyncio.timeout(_PATIENCE), run.saving:
                run.unsaved = False
                if run.earlier:
                    run.put_before(await self._stored(run))
                await self._gateway.log(run.holding, run.log)
        except (CallRefusedError, StoreError, TimeoutError):
            run.unsaved = True
        run.let_go()

    async def _stored(self, run: Run) -> str:
        task = run.holding.task
        key = log_key(task.prefix, task.attempt, task.task_uid)
        found = await self._gateway.ctx.storage.call(
            "get", lambda store: store.get(task.bucket, key, LOG_BYTES)
        )
        return (found or b"").decode(errors="replace")
