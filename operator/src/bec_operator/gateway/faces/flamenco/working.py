"""The calls of Flamenco Workers as the six verbs of the gateway.

A worker does one task at a time and does not say which of its processes calls. So each start of one
gets a seat of its own, whose name stands on record with the attempt: from it, the session is known
again after a restart of the operator.
"""

import asyncio
from collections import OrderedDict
from contextlib import suppress
from dataclasses import replace
from uuid import uuid4

from bec_operator.act.ground.enrolled import Offer, Outsider
from bec_operator.decide.hosts.outside import seat_in
from bec_operator.gateway.faces.flamenco.commands import TemplateError, task_document, task_id
from bec_operator.gateway.faces.flamenco.documents import Update
from bec_operator.gateway.faces.flamenco.keeping_logs import LogKeeper
from bec_operator.gateway.faces.flamenco.runs import Run, Runs, id_of
from bec_operator.gateway.gateway import Gateway, JobsOver
from bec_operator.gateway.holding import Holding, Seat
from bec_operator.worker_api.callers.refusals import CallRefusedError
from bec_ops.contract.protocol import Directive

FACE = "flamenco"
ANSWER_SECONDS = 2.0
"""How long anything may take: after three the worker has hung up."""
_LOOKS = 2  # Jobs that can have a look in that time
_SEAT = "flamenco-"
_LOADING = 300.0  # seconds after which nobody waits for a Job that cannot be loaded
_REMEMBERED = 10_000  # workers; the one of which nothing was heard for longest is forgotten first


class Working:
    """What workers do, each known by its id and secret. What is refused raises CallRefusedError."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._runs = Runs()
        self._logs = LogKeeper(gateway)
        self._began = gateway.ctx.clock.now()
        self._seats: OrderedDict[str, str] = OrderedDict()  # by the worker's id
        self._turns: OrderedDict[str, int] = OrderedDict()  # the same: which Jobs are next

    # --- a process begins, and ends

    async def sign_on(self, worker: Outsider) -> None:
        """Take in that a process of a worker begins: what the one before it had is over."""
        await self._give_back_all(worker, "the worker has started anew")
        self._seat_again(worker, _new_seat())

    async def sign_off(self, worker: Outsider) -> None:
        """Take in that it ends: what it has still is another's."""
        await self._give_back_all(worker, "the worker has signed off")
        self._seats.pop(worker.id, None)

    async def stop(self) -> None:
        """Store what is known of logs, and let what has ended be taken in."""
        runs = self._runs.all()
        endings = [run.ending for run in runs if run.ending is not None]
        with suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_SECONDS):
                saving = map(self._logs.save, runs)
                await asyncio.gather(*endings, *saving, return_exceptions=True)

    # --- next

    async def next(self, worker: Outsider) -> dict[str, object] | None:
        """Return a task, at once, and the same again if its answer may have been lost."""
        if not worker.offers:
            return None
        seat = self._seat(worker)
        for holding in self._gateway.holdings(worker):
            if holding.seat == seat and self._runs.of(holding).may_be_over(self._now):
                return None
        given = await self._ask(seat)
        if given is None:
            return None
        try:
            document = task_document(given.task, "/".join(given.job))
        except TemplateError as error:
            await self._gateway.failed(given, "Misconfigured", str(error))
            return None
        self._runs.of(given, given=True)
        return document

    async def _ask(self, seat: Seat) -> Holding | None:
        """Let some Jobs have a look at a worker: as many as there is time for, the next ones later.

        Else one that gives nothing could be first for ever.
        """
        worker, offer = seat.worker, Offer(handlers=seat.worker.offers)
        jobs, first = self._gateway.jobs(worker, offer), self._turns.pop(worker.id, 0)
        first = first if first < len(jobs) else 0
        some = replace(offer, jobs=jobs[first : first + _LOOKS])
        given = None
        with suppress(TimeoutError, JobsOver):  # what it is given meanwhile it gets the next time
            async with asyncio.timeout(ANSWER_SECONDS):
                given = await self._gateway.next(seat, some)
        if given is None and len(jobs) > _LOOKS:
            self._turns[worker.id] = first + _LOOKS
            if len(self._turns) > _REMEMBERED:
                self._turns.popitem(last=False)
        return given

    # --- beat, done, failed, log

    async def may_run(self, worker: Outsider, known_as: str) -> str | None:
        """Take in a sign of life; return why a task is to be stopped, None if it may go on."""
        run = self._held(worker, known_as)
        answer = await self._gateway.beat(run.holding, run.progress, run.activity)
        return answer.reason if answer.directive is Directive.ABORT else None

    async def produced(self, worker: Outsider) -> None:
        """Take in that a worker has written output: that is progress."""
        seat = self._seat(worker)
        for holding in self._gateway.holdings(worker):
            if holding.seat == seat:
                run = self._runs.of(holding)
                run.activity += 1
                await self._gateway.beat(holding, run.progress, run.activity)

    def expect(self, worker: Outsider, known_as: str) -> bool:
        """See that a worker may tell something of a task; return whether that comes late."""
        run = self._runs.get(known_as, worker.id)
        if run is not None and run.ended:
            return True
        self._held(worker, known_as)
        return False

    async def update(self, worker: Outsider, known_as: str, update: Update) -> None:
        """Take in what a worker tells of a task."""
        run = self._runs.get(known_as, worker.id)
        if run is not None and run.ended:  # what comes late: lines of the log, at the most
            run.take_log(update.log)
            await self._logs.save(run)
            return
        run = self._held(worker, known_as)
        run.take(update)
        if update.task_status in {"completed", "failed", "canceled"}:
            await self._end(run, update)
            return
        await self._gateway.beat(run.holding, run.progress, run.activity)
        await self._logs.save_now_and_then(run)

    async def unreadable(self, worker: Outsider, known_as: str, why: str) -> None:
        """Take in that an update cannot be read. It may have been the last word: so it is that."""
        run = self._held(worker, known_as)
        said = f"the worker's update could not be read: {why}"
        await self._gateway.failed(run.holding, "Retryable", said)
        run.end()

    async def give_back(self, worker: Outsider, known_as: str) -> None:
        """Take in that a worker does not go on with a task."""
        with suppress(CallRefusedError):
            run = self._held(worker, known_as)
            await self._interrupt(run, "the worker has given it back")

    async def _end(self, run: Run, update: Update) -> None:
        """Let the end of a task be taken in; if that takes long, the worker has to say it again."""
        if run.ending is None or run.ending.done():
            run.ending = asyncio.ensure_future(self._take_in_end(run, update))
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                refused = await asyncio.shield(run.ending)
        except TimeoutError:
            raise _not_stored() from None
        if refused is not None:
            raise refused

    async def _take_in_end(self, run: Run, update: Update) -> CallRefusedError | None:
        holding, status = run.holding, update.task_status
        if not await self._logs.save_the_end(run):
            return _not_stored()
        try:
            if status == "completed":
                await self._gateway.done(holding, FACE, task=id_of(holding))
            elif status == "failed":
                await self._gateway.failed(holding, "Retryable", run.message(update))
            else:
                await self._gateway.failed(holding, "Interrupted", "the worker has canceled it")
        except CallRefusedError as refused:
            if refused.word != "Invalid":
                return refused
            await self._gateway.failed(holding, "Retryable", refused.message)
            run.end()
            return refused
        run.end()
        return None

    async def _give_back_all(self, worker: Outsider, why: str) -> None:
        for holding in self._gateway.holdings(worker):
            if holding.seat.name.startswith(_SEAT):
                self._seat_of(worker, holding.seat.name)
                with suppress(CallRefusedError):
                    await self._interrupt(self._runs.of(holding), why)

    async def _interrupt(self, run: Run, why: str) -> None:
        await self._logs.save(run)
        await self._gateway.failed(run.holding, "Interrupted", why)
        run.end()

    # --- who has what

    def _held(self, worker: Outsider, known_as: str) -> Run:
        """Return a task that a worker has; one that is over and one that never was are the same."""
        self._seat(worker)
        for holding in self._gateway.holdings(worker):
            if id_of(holding) == known_as and holding.seat.name.startswith(_SEAT):
                self._seat_of(worker, holding.seat.name)
                return self._runs.of(holding)
        if known_as in self._loading(worker):
            raise _not_loaded()
        raise CallRefusedError("Gone", "you have no such task (any more)", 404)

    def _seat(self, worker: Outsider) -> Seat:
        """Return the seat of the process of a worker that calls now."""
        name = self._seats.get(worker.id)
        if name is None:
            name = self._adopt(worker)
        return self._seat_again(worker, name)

    def _seat_again(self, worker: Outsider, name: str) -> Seat:
        self._seats[worker.id] = name
        self._seats.move_to_end(worker.id)
        if len(self._seats) > _REMEMBERED:
            self._seats.popitem(last=False)
        return self._seat_of(worker, name)

    def _seat_of(self, worker: Outsider, name: str) -> Seat:
        return self._gateway.register(worker, process=name, seat=name)

    def _adopt(self, worker: Outsider) -> str:
        """Return the seat that a worker had before this operator ran, if that is on record."""
        if self._loading(worker) and self._now - self._began < _LOADING:
            raise _not_loaded()
        held = [h for h in self._gateway.holdings(worker) if h.seat.name.startswith(_SEAT)]
        for holding in held:
            self._runs.of(holding, adopted=True)
        return held[-1].seat.name if held else _new_seat()

    def _loading(self, worker: Outsider) -> set[str]:
        """Return the tasks on record for a worker of which nothing can be told yet."""
        cache, found = self._gateway.ctx.cache, set()
        for task in cache.tasks.of_outsider(worker.id):
            begun, job = task.recorded_begun, cache.jobs.get(task.namespace, task.job)
            if begun is None or not seat_in(begun.pod_uid).startswith(_SEAT):
                continue
            if job is None or job.has_ended or job.uid != task.owner_uid:
                continue
            memory = self._gateway.memory_of((task.namespace, task.job))
            if memory is None or memory.ledger is None or memory.job.spec is None:
                found.add(task_id(task.uid, begun.number))
        return found

    @property
    def _now(self) -> float:
        return self._gateway.ctx.clock.now()


def _new_seat() -> str:
    return f"{_SEAT}{uuid4().hex[:16]}"


def _not_loaded() -> CallRefusedError:
    return CallRefusedError("Unavailable", "the Job of the task is not loaded yet; try again later")


def _not_stored() -> CallRefusedError:
    return CallRefusedError("Unavailable", "S3 has not taken it yet; say it again")
