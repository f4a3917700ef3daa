"""Does the actions of all jobs, each in its lane; what goes wrong concerns its own job alone."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext

import aiohttp

from bec_operator.act.case import Case
from bec_operator.act.doings import BY_PLACE, DOINGS, Lane, lane_of
from bec_operator.act.ground.api_server import ApiError
from bec_operator.act.ground.context import Context
from bec_operator.act.ground.faults import kind_and_place, log_fault
from bec_operator.act.ground.key import Key
from bec_operator.act.ground.refused import RefusedError
from bec_operator.decide.memory.marker_findings import (
    note_reading,
    note_reading_begun,
    note_reading_over,
)
from bec_operator.decide.sight.action import Action
from bec_operator.decide.sight.seen import Fact, MarkerSeen, MarkerState
from bec_operator.decide.volumes.actions import ReadMarker, TakeMessages
from bec_operator.decide.volumes.ledger import Ledger
from bec_operator.decide.volumes.reasons import INTERNAL_ERROR
from bec_operator.metrics import ACTIONS, JOB_FAULTS
from bec_ops.contract.s3.store import StoreError

log = logging.getLogger(__name__)

DRAIN_SECONDS = 10.0
LISTS_AT_ONCE = 4  # each parses in a thread, which takes turns with the event loop
LOGS_AT_ONCE = 16


class Doer:
    """Does actions, so many at once. `changed` is told which Job has had one done."""

    def __init__(self, writes_at_once: int, changed: Callable[[Key], None]) -> None:
        self.stopping = False
        self._changed = changed
        self._doing: set[asyncio.Task[None]] = set()
        self._listening: set[asyncio.Task[None]] = set()  # of these, what waits for messages
        widths = {Lane.WRITE: writes_at_once, Lane.LIST: LISTS_AT_ONCE, Lane.GATE: LISTS_AT_ONCE,
                  Lane.LOG: LOGS_AT_ONCE}  # fmt: skip
        self._lanes: dict[Lane, AbstractAsyncContextManager[None]] = {
            Lane.FREE: nullcontext(),
            **{lane: asyncio.Semaphore(width) for lane, width in widths.items()},
        }
        self._parts = {lane: max(width // 2, 1) for lane, width in widths.items()}

    def start(self, ctx: Context, case: Case, action: Action) -> None:
        """Begin an action."""
        case.memory.under_way.begin(action)
        if isinstance(action, ReadMarker):
            note_reading_begun(case.memory, action.index)
        # As it is now: by the time that it is done, the ledger may be another one.
        doing = asyncio.create_task(self._do(ctx, case, action, case.memory.ledger))
        self._doing.add(doing)
        doing.add_done_callback(self._doing.discard)
        if isinstance(action, TakeMessages):
            self._listening.add(doing)
            doing.add_done_callback(self._listening.discard)

    def _own_part(self, case: Case, lane: Lane) -> AbstractAsyncContextManager[None]:
        """Return what keeps a job to half of a lane: where nothing answers it, others go on."""
        if lane is Lane.FREE:
            return nullcontext()
        return case.parts.setdefault(lane, asyncio.Semaphore(self._parts[lane]))

    async def drain(self) -> None:
        """Wait for what is under way; what takes too long is broken off, as by a crash."""
        for listening in self._listening:
            listening.cancel()
        if not self._doing:
            return
        _, late = await asyncio.wait(self._doing, timeout=DRAIN_SECONDS)
        for doing in late:
            doing.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _do(self, ctx: Context, case: Case, action: Action, ledger: Ledger | None) -> None:
        memory, name, outcome = case.memory, type(action).__name__, "ok"
        (do, _), lane = DOINGS[type(action)], lane_of(memory, action)
        try:
            async with self._own_part(case, lane), self._lanes[lane]:
                if self.stopping or (memory.ledger is not ledger and isinstance(action, BY_PLACE)):
                    outcome = "dropped"
                    return
                await do(ctx, memory, action)
            case.note_done(action)
        except asyncio.CancelledError:
            outcome = "dropped"
            raise
        except RefusedError:
            outcome = "refused"  # what it means is noted already
            case.pause(action, ctx.clock.now())
        except (ApiError, StoreError, aiohttp.ClientError, TimeoutError) as error:
            outcome = "failed"
            _note_failure(ctx, case, action, error)
        except Exception as error:  # noqa: BLE001 - whatever it is, it concerns this job alone
            outcome = "broken"
            fact = _note_fault(ctx, case, action, error)
            if isinstance(action, ReadMarker) and memory.ledger is ledger:
                note_reading(memory, action.index, MarkerSeen(MarkerState.UNKNOWN, fact.at), fact)
        finally:
            memory.under_way.end(action)
            if isinstance(action, ReadMarker) and memory.ledger is ledger:
                note_reading_over(memory, action.index)
            ACTIONS.labels(name, outcome).inc()
            self._changed((memory.job.namespace, memory.job.name))


def _note_failure(ctx: Context, case: Case, action: Action, error: Exception) -> None:
    wish = error.retry_after if isinstance(error, ApiError) else 0.0
    delay, job = case.pause(action, ctx.clock.now(), wish), case.memory.job
    log.warning(
        "%s of %s/%s failed, again in %.0f s: %s",
        type(action).__name__, job.namespace, job.name, delay, str(error) or repr(error),
    )  # fmt: skip


def _note_fault(ctx: Context, case: Case, action: Action, error: Exception) -> Fact:
    """Have the Job say that something is done for it in vain, for a fault of ours; return that."""
    job, now, name = case.memory.job, ctx.clock.now(), type(action).__name__
    case.pause(action, now)
    log_fault(log, error, f"{job.namespace}/{job.name}: {name}")
    if ctx.cache.jobs.get(job.namespace, job.name) is not None:  # else it would be told for ever
        JOB_FAULTS.labels(job.namespace, job.name).inc()
    said = f"{name} fails with {kind_and_place(error)}; it is tried again, ever more rarely"
    fact = Fact(now, INTERNAL_ERROR, said)
    case.memory.under_way.note_fault(action.key, fact)
    return fact
