"""One worker to whom work is pushed: it gets task after task, and is asked how each goes."""

import asyncio
import logging
import re
from collections.abc import Callable
from dataclasses import replace
from uuid import uuid4

from bec_operator.act.ground.enrolled import Offer, Outsider, Scope
from bec_operator.act.ground.key import Key
from bec_operator.gateway.faces.grpc.commands import CommandError, command_of, has_command
from bec_operator.gateway.faces.grpc.peer import NoError, Peer, SilentError
from bec_operator.gateway.gateway import Gateway, JobsOver
from bec_operator.gateway.holding import Holding
from bec_operator.worker_api.callers.refusals import CallRefusedError
from bec_ops.contract import jobscheduler_pb2 as wire
from bec_ops.contract.protocol import Directive, ReportedClass

log = logging.getLogger(__name__)

_WAIT = 5.0  # seconds for which a worker is offered before the Jobs are looked at anew
_POLL = (0.25, 5.0)  # seconds between two questions how a job goes: the first, and the longest
_PAUSES = (1.0, 30.0)  # seconds between two looks whether a worker answers
_EXIT = re.compile(r"exit status ([0-9]{1,3})")
_PROCESS = uuid4().hex
"""Of this operator: it knows no job that an earlier one has started, so their leases run out."""


class Working:
    """What goes on at one worker."""

    def __init__(
        self, gateway: Gateway, worker: Outsider, scope: Callable[[], Scope], peer: Peer
    ) -> None:
        self._gateway = gateway
        self._worker = worker
        self._scope = scope  # what it is allowed now; raises CallRefusedError once that is nothing
        self._peer = peer
        self._stopped = False
        self._clock = gateway.ctx.clock

    async def keep(self, until_forgotten: float) -> None:
        """Give it task after task; return once it was silent for so many seconds."""
        pause, heard = _PAUSES[0], self._clock.now()
        while True:
            if await self._peer.answers():
                pause, heard = _PAUSES[0], self._clock.now()
                await self._one()
            elif self._clock.now() - heard >= until_forgotten:
                return
            else:
                await asyncio.sleep(pause)
                pause = min(2 * pause, _PAUSES[1])

    async def leave(self) -> None:
        """Give back what it has, as it has gone by itself."""
        for holding in self._gateway.holdings(self._worker):
            await self._end(holding, "Interrupted", "the worker has left its scheduler")

    def _jobs(self) -> list[Key]:
        found = []
        for job in self._gateway.ctx.cache.jobs.all():
            key, spec = (job.namespace, job.name), job.spec
            if spec is None or job.status.terminal or not spec.outside.allowed:
                continue
            if self._worker.scope.covers(key) and has_command(spec.worker.parameters):
                found.append(key)
        return found

    async def _one(self) -> None:
        """Let it do one task, if there is any."""
        try:
            self._worker = replace(self._worker, scope=self._scope())
            jobs = self._jobs()
            if not jobs:
                await asyncio.sleep(_PAUSES[0])
                return
            seat = self._gateway.register(self._worker, _PROCESS)
            holding = await self._gateway.next(seat, Offer(jobs=jobs), _WAIT)
        except (CallRefusedError, JobsOver):  # a Job or the enrolment has gone
            await asyncio.sleep(_PAUSES[0])
            return
        if holding is not None:
            await self._start(holding)

    async def _start(self, holding: Holding) -> None:
        self._stopped = False
        try:
            command = command_of(holding.task)
        except CommandError as error:
            await self._end(holding, "Misconfigured", str(error))
            return
        try:
            job_id = await self._peer.start(command.command, command.path)
        except SilentError:
            said = "the worker did not answer in time when it was told to start"
            await self._end(holding, "Interrupted", said)
            return
        except NoError as error:
            await self._end(holding, "Retryable", f"the worker did not start it: {error}")
            return
        await self._follow(holding, job_id)

    async def _follow(self, holding: Holding, job_id: str) -> None:
        """Ask how a job goes until it has ended, or its task is another's."""
        pause = _POLL[0]
        while True:
            try:
                answer = await self._peer.query(job_id)
                if answer.done:
                    if await self._take(holding, job_id, answer):
                        return
                elif not await self._beat(holding, job_id):
                    return
            except SilentError:
                if not self._is_ours(holding):
                    return
            except NoError:
                said = "the worker does not know the job any more: it was started again"
                await self._end(holding, "Interrupted", said)
                return
            await asyncio.sleep(pause)
            pause = min(1.5 * pause, _POLL[1])

    async def _beat(self, holding: Holding, job_id: str) -> bool:
        """Tell that a job runs, and stop it if that is not wanted; return whether it is ours."""
        try:
            directive = (await self._gateway.beat(holding)).directive
        except CallRefusedError as refused:
            if refused.word == "Unavailable":
                return True
            log.info("worker %s: its task is another's by now, so it is stopped", self._worker.name)
            await self._peer_stop(job_id)
            return False
        if directive is Directive.ABORT and not self._stopped:
            self._stopped = await self._peer_stop(job_id)
        return True

    async def _peer_stop(self, job_id: str) -> bool:
        try:
            await self._peer.stop(job_id)
        except (NoError, SilentError):
            return False
        return True

    async def _take(self, holding: Holding, job_id: str, answer: wire.QueryJobRes) -> bool:
        """Report how a job has ended; return whether that is all."""
        output = await self._peer.output(job_id)
        try:
            if output:
                await self._gateway.log(holding, output)
            if not answer.error:
                await self._gateway.done(holding, "grpc", job=job_id[:200])
                return True
        except CallRefusedError as refused:
            if refused.word == "Unavailable":
                return False
            if refused.word == "Invalid":
                await self._end(holding, "Retryable", refused.message)
            return True
        text = answer.errorText[:500] or "the worker told no reason"
        code = int(found[1]) if (found := _EXIT.fullmatch(text)) else None
        stopped = self._stopped or answer.stopped or text.startswith("lost:")
        exit_code = code if code is not None and code <= 255 else None
        await self._end(holding, "Interrupted" if stopped else "Retryable", text, exit_code)
        return True

    async def _end(
        self, holding: Holding, failure: ReportedClass, said: str, code: int | None = None
    ) -> None:
        try:
            await self._gateway.failed(holding, failure, said, code)
        except CallRefusedError as refused:
            log.info("worker %s: its report is refused: %s", self._worker.name, refused.word)

    def _is_ours(self, holding: Holding) -> bool:
        held = self._gateway.holdings(self._worker)
        return any(each.task.task_uid == holding.task.task_uid for each in held)
