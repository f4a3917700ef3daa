"""Gives files to workers. They may have several at once, so each has a seat of its own."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from bec_operator.act.ground.enrolled import Enrolment, Offer, Outsider
from bec_operator.decide.hosts.outside import seat_in
from bec_operator.decide.sight.seen import JobSeen
from bec_operator.gateway.faces.data_dispatcher.answers import as_text_json
from bec_operator.gateway.faces.data_dispatcher.documents import Document, handle_of
from bec_operator.gateway.faces.data_dispatcher.names import PROCESS, seat_name
from bec_operator.gateway.faces.data_dispatcher.queries import NextFile
from bec_operator.gateway.gateway import Gateway, JobsOver
from bec_operator.gateway.holding import Holding
from bec_operator.gateway.logins import visitor

WAIT = 2.0  # seconds for a file; the client does not tell us how long it would wait
_OVER: Document = {"handle": None, "reason": "project inactive", "retry": False}
_NONE_NOW: Document = {"handle": None, "reason": "retry", "retry": True}


class Reserving:
    """Answers `next_file`."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._asking: set[tuple[str, str]] = set()  # ids of workers, and seats that ask now

    async def next_file(
        self, request: web.Request, enrolment: Enrolment, job: JobSeen, query: NextFile
    ) -> web.StreamResponse:
        """Answer with a file, or that there is none now, or that the project is over."""
        worker = visitor(enrolment, query.worker_id)
        offer = Offer([(job.namespace, job.name)], (), query.site, beats=False)
        with self._a_seat(worker, query.worker_id) as name:
            seat = self._gateway.register(worker, PROCESS, name)
            try:
                holding = await self._gateway.next(seat, offer, WAIT)
            except JobsOver:
                return as_text_json(_OVER)
            if holding is None:
                return as_text_json(_NONE_NOW)
            return await self._hand_over(request, job, holding, query.worker_id)

    async def _hand_over(
        self, request: web.Request, job: JobSeen, holding: Holding, who: str
    ) -> web.StreamResponse:
        """Send a file, or give it back at once: its worker would not know that it has it."""
        handle = handle_of(job, holding, who, self._gateway.ctx.clock.now())
        answer = as_text_json({"handle": handle, "reason": "reserved", "retry": False})
        try:
            await answer.prepare(request)
            await answer.write_eof()
        except ConnectionError:
            await self._give_back(holding)
        except asyncio.CancelledError:
            await self._give_back(holding)
            raise
        return answer

    async def _give_back(self, holding: Holding) -> None:
        said = "the worker had hung up before it was told that it has the volume"
        await self._gateway.failed(holding, "Interrupted", said)

    @contextmanager
    def _a_seat(self, worker: Outsider, who: str) -> Iterator[str]:
        """Give the name of the first seat of a worker in which it has nothing, and does not ask.

        So those that poll for days come to no more seats than they have files.
        """
        tasks = self._gateway.ctx.cache.tasks.of_outsider(worker.id)
        begun = [task.recorded_begun for task in tasks if not task.terminal]
        taken = {seat_in(attempt.pod_uid) for attempt in begun if attempt is not None}
        number = 0
        while (name := seat_name(number, who, worker)) in taken or (
            (worker.id, name) in self._asking
        ):
            number += 1
        self._asking.add((worker.id, name))
        try:
            yield name
        finally:
            self._asking.discard((worker.id, name))
