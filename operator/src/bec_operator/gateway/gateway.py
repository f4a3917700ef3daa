"""What workers from elsewhere can do, whatever protocol they speak: six verbs, and who they are."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TypeVar

from bec_operator.act.ground.context import Context
from bec_operator.act.ground.enrolled import Offer, Outsider
from bec_operator.act.ground.key import Key
from bec_operator.api.base import seconds
from bec_operator.api.outside import MarkerBy
from bec_operator.decide.hosts.outside import host_on_record, outside_host, seat_in, seat_uid
from bec_operator.decide.hosts.seats import seat_of
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.seen import TaskSeen
from bec_operator.gateway.choosing import Choosing
from bec_operator.gateway.enrolling import Enrolling
from bec_operator.gateway.holding import Holding, Seat
from bec_operator.gateway.marking import write_marker
from bec_operator.gateway.offering import is_being_given
from bec_operator.worker_api.callers.caller import Caller
from bec_operator.worker_api.callers.refusals import CallRefusedError
from bec_operator.worker_api.calls import Calls
from bec_operator.worker_api.held import OnRecord, on_record
from bec_operator.worker_api.tasks import task_for
from bec_operator.worker_api.waiting import wait_for_one
from bec_ops.contract import protocol
from bec_ops.contract.protocol import HeartbeatAnswer, Progress, ReportedClass

ON_ITS_WAY = 60.0  # seconds for which a task that is being given is waited for
LOOK_EVERY = 1.0  # seconds between two looks for work, and for which a Job may look at a worker

A = TypeVar("A", bound=protocol.AboutAttempt)


class JobsOver(Exception):  # noqa: N818 - it is no error
    """All Jobs that a worker has named have ended."""


class Gateway:
    """Answers workers from elsewhere. What is refused raises CallRefusedError.

    `memory_of` gives what the operator remembers of a Job.
    """

    def __init__(
        self,
        ctx: Context,
        calls: Calls,
        memory_of: Callable[[Key], Memory | None],
        namespace: str,
    ) -> None:
        self.ctx = ctx
        self.memory_of = memory_of
        self.enrolling = Enrolling(ctx, namespace)
        self.calls = self._calls = calls
        self._choosing = Choosing(ctx, memory_of)

    # --- register

    def register(self, worker: Outsider, process: str, seat: str = "") -> Seat:
        """Take a process in; the one before it in this seat is over. `process` is any text."""
        uid = seat_uid(worker.id, seat)
        self.ctx.cache.outside.note(uid)
        self._calls.prune()
        session = self._calls.sessions.register(uid, process)
        now = self.ctx.clock.now()
        self.ctx.cache.pool_workers.register(None, uid, session, now)
        return Seat(worker, seat, session)

    # --- next

    def jobs(self, worker: Outsider, offer: Offer) -> list[Key]:
        """Return the Jobs that may have a volume for a worker now, the first one first."""
        return self._choosing.jobs(worker, offer)

    async def next(self, seat: Seat, offer: Offer, wait: float = 0.0) -> Holding | None:
        """Return a task for a seat, for which it waits so many seconds at most.

        One that it has already comes first. Raises JobsOver.
        """
        clock = self.ctx.clock
        deadline = clock.now() + wait
        with self._calls.waiting.begin(seat.uid) as enough:
            while True:
                self._calls.sessions.check(seat.uid, seat.session)
                self.ctx.cache.outside.note(seat.uid)
                if (held := self._first(seat)) is not None:
                    return held
                if self._choosing.are_over(seat.worker, offer):
                    raise JobsOver
                for job in self._choosing.jobs(seat.worker, offer):
                    given = await self._offer(job, seat, offer, enough)
                    if given or await self._arrives(job, seat):
                        break
                    self._choosing.note_vain(job, offer)
                    if enough.is_set() or clock.now() >= deadline:
                        break
                if (held := self._first(seat)) is not None:
                    self._choosing.note_served(held.job)
                    return held
                left = deadline - clock.now()
                if left <= 0 or enough.is_set():
                    return None
                await wait_for_one([enough], min(left, LOOK_EVERY))

    async def _offer(self, job: Key, seat: Seat, offer: Offer, enough: asyncio.Event) -> bool:
        """Let a Job have a look at a worker; return whether it gave it a task."""
        memory, cache = self.memory_of(job), self.ctx.cache
        spec = memory.job.spec if memory is not None else None
        if spec is None:
            return False
        lease = seconds(spec.outside.lease if offer.beats else spec.outside.long_lease)
        host = outside_host(*job, seat.uid, seat.worker.name, lease, offer.volume)
        host = replace(host, site=offer.site)
        has_some = cache.pool_workers.ask(None, seat.uid, self.ctx.clock.now())
        if has_some is None:
            raise CallRefusedError("UnknownSession", "the seat is not known; register (again)")
        cache.outside.offer(job, host)
        try:
            await wait_for_one([has_some, enough], LOOK_EVERY)
        finally:
            cache.outside.withdraw(job, seat.uid)
        return has_some.is_set()

    async def _arrives(self, job: Key, seat: Seat) -> bool:
        """Wait for a task that is on its way to a seat, whoever stops; return whether there is one.

        Nobody else would ever be told of it, and the seat is not to get another one beside.
        """
        clock, memory = self.ctx.clock, self.memory_of(job)
        begun = clock.now()
        while memory is not None and clock.now() - begun < ON_ITS_WAY:
            if self._first(seat) is not None:
                return True
            if not is_being_given(memory, seat.uid):
                return False
            has_some = self.ctx.cache.pool_workers.ask(None, seat.uid, clock.now())
            if has_some is None:
                return False
            await wait_for_one([has_some], LOOK_EVERY)
        return False

    def _first(self, seat: Seat) -> Holding | None:
        for found in on_record(self.ctx, self.memory_of, seat.uid, seat.session):
            if (holding := self._holding(seat, found)) is not None:
                self.ctx.cache.pool_workers.give(seat.uid, found.task.uid, found.attempt)
                return holding
        return None

    def _holding(self, seat: Seat, found: OnRecord) -> Holding | None:
        """Return what is on record for a seat; None if its lease is over."""
        begun = found.task.recorded_begun
        host = host_on_record(found.task, begun) if begun is not None else None
        if host is None or self._has_lapsed(found) or not _may_have(seat.worker, found.task):
            return None
        task = task_for(found.memory, found.task, found.attempt, host.pod)
        return Holding(seat, (found.task.namespace, found.task.job), task, host.pod.lease)

    def _has_lapsed(self, found: OnRecord) -> bool:
        return found.memory.books.known_of(found.task).seating.tenure.lapsed == found.attempt

    # --- what a worker has

    def holdings(self, worker: Outsider) -> list[Holding]:
        """Return all tasks that a worker has, in all of its seats.

        Raises CallRefusedError, Unavailable, while nobody can tell: a Job is not loaded yet.
        """
        found = []
        for task in self.ctx.cache.tasks.of_outsider(worker.id):
            begun = task.recorded_begun
            if begun is None or task.terminal:
                continue
            self._check_loaded(task)
            seat = Seat(worker, seat_in(begun.pod_uid), begun.session)
            for each in on_record(self.ctx, self.memory_of, seat.uid, begun.session):
                holding = self._holding(seat, each) if each.task is task else None
                if holding is not None:
                    found.append(holding)
        return found

    def _check_loaded(self, task: TaskSeen) -> None:
        job = self.ctx.cache.jobs.get(task.namespace, task.job)
        memory = self.memory_of((task.namespace, task.job))
        over = job is None or job.status.terminal
        if not over and (memory is None or memory.ledger is None):
            raise CallRefusedError("Unavailable", "a Job is not loaded yet; try again later")

    # --- beat, done, failed, log

    async def beat(
        self, holding: Holding, progress: Progress | None = None, activity: int = 0
    ) -> HeartbeatAnswer:
        """Take in a sign of life, and say whether to go on."""
        call = self._about(protocol.Heartbeat, holding, progress=progress, activity=activity)
        return await self._calls.heartbeat(self.at_work(holding.seat, call), call)

    async def done(self, holding: Holding, face: str, **details: object) -> None:
        """Take in that a task is done; where the Job says so, write its marker first.

        `face` is the protocol by which it was said, `details` further keys of the marker.
        """
        call = self._about(protocol.Done, holding)
        await self.finish(self.at_work(holding.seat, call), call, face, details)

    async def finish(
        self,
        caller: Caller,
        call: protocol.Done,
        face: str,
        details: Mapping[str, object] = MappingProxyType({}),
    ) -> protocol.Accepted:
        """Take in that the attempt of a caller is done, as above."""
        memory = self.memory_of((caller.pod.namespace, caller.pod.job))
        if memory is None or memory.ledger is None or memory.job.spec is None:
            job = self.ctx.cache.jobs.get(caller.pod.namespace, caller.pod.job)
            if job is None or job.status.terminal:
                raise CallRefusedError("Gone", "the Job is over")
            raise CallRefusedError("Unavailable", "the Job is not loaded yet; try again later")
        if memory.job.spec.outside.marker is MarkerBy.ON_DONE:
            self._calls.note_alive(caller)  # S3 may take its time
            task = task_for(memory, caller.task, caller.attempt, caller.pod)
            await write_marker(self.ctx, memory, task, face, details)
            self._in_its_seat(caller)
        return await self._calls.done(caller, call)

    async def failed(
        self,
        holding: Holding,
        failure: ReportedClass,
        message: str = "",
        exit_code: int | None = None,
    ) -> None:
        """Take in that a task has failed."""
        call = self._about(
            protocol.Failed,
            holding,
            failure=failure,
            message=message[: protocol.MESSAGE_CHARACTERS],
            exit_code=exit_code,
        )
        await self._calls.failed(self.at_work(holding.seat, call), call)

    async def log(self, holding: Holding, text: str) -> None:
        """Keep the end of what a task has printed."""
        call = self._about(protocol.Log, holding, text=text[-protocol.LOG_BYTES :])
        await self._calls.log(self.at_work(holding.seat, call), call)

    def _about(self, kind: type[A], holding: Holding, **fields: object) -> A:
        about = {"task_uid": holding.task.task_uid, "attempt": holding.task.attempt}
        return kind.model_validate({"session": holding.seat.session, **about, **fields})

    def at_work(self, seat: Seat, call: protocol.AboutAttempt) -> Caller:
        """Return the caller of a call about an attempt; raises CallRefusedError if it has none."""
        self._calls.sessions.check(seat.uid, call.session)
        self.ctx.cache.outside.note(seat.uid)
        for task in self.ctx.cache.tasks.with_pod(seat.uid):
            begun = task.recorded_begun
            if task.uid != call.task_uid or begun is None:
                continue
            host = host_on_record(task, begun)
            mine = (begun.session, begun.number) == (call.session, call.attempt)
            if host is None or not mine or not _may_have(seat.worker, task):
                break
            return self._in_its_seat(Caller(seat_of(task, begun.number, host), task, begun.number))
        raise CallRefusedError(
            "Gone", f"task {call.task_uid} is over, or its attempt {call.attempt} is not this one's"
        )

    def _in_its_seat(self, caller: Caller) -> Caller:
        """Say what is known of the seat of a caller, whose lease must not be over."""
        memory = self.memory_of((caller.task.namespace, caller.task.job))
        if memory is None:
            return caller
        tenure = memory.books.known_of(caller.task).seating.tenure
        if tenure.lapsed == caller.attempt:
            raise CallRefusedError(
                "Gone", "nothing was heard of this worker for too long: its task is another's"
            )
        return replace(caller, pod=replace(caller.pod, stopped=tenure.stopped(caller.attempt)))


def _may_have(worker: Outsider, task: TaskSeen) -> bool:
    """Whether a worker's enrolment, as it is now, is for the Job of a task."""
    return worker.scope.covers((task.namespace, task.job))
