"""Takes in what workers of ReefGuide say became of their assignments.

They say it once, and do not heed the answer: what cannot be taken in now is tried again for them.
"""

import asyncio
from collections import OrderedDict

from bec_operator.act.ground.enrolled import Enrolment, Outsider
from bec_operator.api.names import task_name
from bec_operator.decide.hosts.outside import seat_in, worker_of
from bec_operator.decide.memory.memory import Memory
from bec_operator.gateway.faces.reefguide.assigning import PROCESS
from bec_operator.gateway.faces.reefguide.messages import Outcome, fault_of
from bec_operator.gateway.faces.reefguide.numbers import assignment_number, index_in
from bec_operator.gateway.gateway import Gateway
from bec_operator.gateway.holding import Holding
from bec_operator.worker_api.callers.refusals import CallRefusedError

FACE = "reefguide"
"""What markers say of how they came."""
_REMEMBERED = 10_000  # assignments that are over
_TRIES = 60  # of a second each, to tell what S3 or a start holds up


class Results:
    """What became of assignments; those that are over are remembered, for who says it twice."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._over: OrderedDict[tuple[str, int], str] = OrderedDict()
        self._settling: dict[tuple[str, int], asyncio.Lock] = {}

    async def take(self, enrolment: Enrolment, number: int, said: Outcome) -> None:
        """Take a result in, once; raises CallRefusedError if it does not count."""
        key = enrolment.uid, number
        lock = self._settling.setdefault(key, asyncio.Lock())
        try:
            async with lock:
                if (before := self._over.get(key)) is None:
                    await self._settle(await self._find(enrolment, number), said)
                    self._note_over(key, said.status)
                elif before != said.status:
                    raise CallRefusedError("Invalid", f"the job is over: it has {before}", 400)
        finally:
            if not lock.locked():
                self._settling.pop(key, None)

    async def give_up(self, enrolment: Enrolment, number: int, why: str) -> None:
        """Let an attempt fail whose result cannot be read: it does not come again."""
        holding = await self._find(enrolment, number)
        await self._gateway.failed(holding, "Retryable", f"its result is not understood: {why}")

    async def _settle(self, holding: Holding, said: Outcome) -> None:
        if said.status == "FAILED":
            await self._gateway.failed(holding, "Retryable", "its worker says FAILED")
        elif fault := fault_of(said.payload):
            await self._gateway.failed(holding, "Terminal", fault)
            raise CallRefusedError("Invalid", fault)
        else:
            await self._done(holding, said)

    async def _done(self, holding: Holding, said: Outcome) -> None:
        """Have the marker written; a volume of which that fails is begun anew, and not in hours."""
        details = {} if said.payload is None else {"result": said.payload}
        for left in reversed(range(_TRIES)):
            try:
                await self._gateway.done(holding, FACE, **details)
            except CallRefusedError as refused:
                if refused.word != "Unavailable" or not left:
                    await self._note_not_done(holding, refused)
                    raise
                await asyncio.sleep(1.0)
            else:
                return

    async def _note_not_done(self, holding: Holding, refused: CallRefusedError) -> None:
        if refused.word == "Invalid":
            await self._gateway.failed(holding, "Retryable", refused.message)
        elif refused.word == "Unavailable":
            said = f"no marker could be written: {refused.message}"
            await self._gateway.failed(holding, "Interrupted", said)

    async def _find(self, enrolment: Enrolment, number: int) -> Holding:
        """Return what an assignment is about; raises CallRefusedError if it is over, or nobody's.

        After a start, the Jobs have to be loaded first.
        """
        for left in reversed(range(_TRIES)):
            if (found := self._look(enrolment, number)) is not None:
                return found
            if not self._is_loading(enrolment):
                break
            if not left:
                raise CallRefusedError("Unavailable", "not all Jobs are loaded yet; try later")
            await asyncio.sleep(1.0)
        raise CallRefusedError("Gone", "there is no such assignment of yours (any more)")

    def _look(self, enrolment: Enrolment, number: int) -> Holding | None:
        index = index_in(number)
        for memory in self._memories(enrolment):
            if memory is None or index >= len(memory.books.volumes):
                continue
            job, volume = memory.job, memory.books.volumes[index]
            task = self._gateway.ctx.cache.tasks.get(job.namespace, task_name(job.name, volume))
            begun = task.recorded_begun if task is not None else None
            if task is None or begun is None or task.index != index:
                continue
            if assignment_number(task.uid, begun.number, index) != number:
                continue
            worker = Outsider(worker_of(begun.pod_uid), begun.pod, enrolment.name, enrolment.scope)
            if worker.id.rpartition(".")[0] != enrolment.name:
                continue  # a worker of another enrolment has it
            self._gateway.register(worker, PROCESS, seat_in(begun.pod_uid))
            for held in self._gateway.holdings(worker):
                if (held.task.task_uid, held.task.attempt) == (task.uid, begun.number):
                    return held
        return None

    def _memories(self, enrolment: Enrolment) -> list[Memory | None]:
        """Return what is remembered of the Jobs that are for these workers, if it is loaded."""
        found = []
        for job in self._gateway.ctx.cache.jobs.all():
            key = job.namespace, job.name
            if enrolment.scope.covers(key) and not job.status.terminal:
                memory = self._gateway.memory_of(key)
                loaded = memory is not None and memory.ledger is not None
                found.append(memory if loaded else None)
        return found

    def _is_loading(self, enrolment: Enrolment) -> bool:
        return any(memory is None for memory in self._memories(enrolment))

    def _note_over(self, key: tuple[str, int], status: str) -> None:
        self._over[key] = status
        while len(self._over) > _REMEMBERED:
            self._over.popitem(last=False)
