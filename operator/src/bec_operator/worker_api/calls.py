"""What a worker can call, and what is made of it: noted for the decisions, or answered."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

from bec_operator.act.ground.context import Context
from bec_operator.act.ground.key import Key
from bec_operator.api.names import task_name
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.failures import class_of
from bec_operator.decide.sight.pool_seen import PoolPod
from bec_operator.decide.sight.seen import Report, TaskSeen
from bec_operator.decide.volumes.ledger import Outcome
from bec_operator.worker_api.callers.caller import Caller
from bec_operator.worker_api.callers.refusals import CallRefusedError
from bec_operator.worker_api.callers.sessions import Sessions
from bec_operator.worker_api.pool_calls import PoolCalls
from bec_operator.worker_api.tasks import registered, task_for
from bec_operator.worker_api.waiting import Waiting
from bec_ops.contract.location import log_key
from bec_ops.contract.protocol import (
    LOG_BYTES,
    AboutAttempt,
    Accepted,
    Answer,
    Assigned,
    Directive,
    Done,
    Failed,
    Heartbeat,
    HeartbeatAnswer,
    Log,
    Next,
    Progress,
    Register,
    Registered,
    Request,
)
from bec_ops.contract.s3.store import Store, StoreError

LOOK_EVERY = 0.2  # seconds between two looks whether a job is loaded
PRUNE_EVERY = 60.0  # seconds

Doing = Callable[[Caller, Any], Awaitable[Answer]]


class Calls:
    """Answers the calls; each raises CallRefusedError where it is refused.

    `memory_of` gives what the operator remembers of a Job. `answers` has what answers a request of
    each kind.
    """

    def __init__(self, ctx: Context, memory_of: Callable[[Key], Memory | None]) -> None:
        self.answers: Mapping[type[Request], Doing] = {
            Register: self.register,
            Next: self.next,
            Heartbeat: self.heartbeat,
            Done: self.done,
            Failed: self.failed,
            Log: self.log,
        }
        self._ctx = ctx
        self._memory_of = memory_of
        self.sessions = self._sessions = Sessions()
        self.waiting = self._waiting = Waiting()
        self._pools = PoolCalls(ctx, memory_of, self._sessions, self._waiting)
        self._pruned = ctx.clock.now()

    def stop(self) -> None:
        """Answer those who wait, and let nobody wait any more."""
        self._waiting.stop()

    async def answer(self, caller: Caller | PoolPod, call: Any) -> Answer:
        """Answer any call of any worker."""
        if isinstance(caller, PoolPod):
            if isinstance(call, Register):
                self.prune()
                return self._pools.register(caller, call)
            if isinstance(call, Next):
                return await self._pools.next(caller, call)
            caller = self._pools.at_work(caller, call)
        return await self.answers[type(call)](caller, call)

    async def register(self, caller: Caller, call: Register) -> Registered:
        """Take a process in; what is known of its attempt stays."""
        self.prune()
        session = self._sessions.register(caller.pod.uid, call.process)
        self.note_alive(caller)
        return registered(self._ctx, caller.pod, session)

    async def next(self, caller: Caller, call: Next) -> Assigned:
        """Give a pod of its own its one task, as soon as the operator has loaded the job."""
        uid = caller.pod.uid
        self._sessions.check(uid, call.session)
        self.note_alive(caller)
        if self._has_all(caller):
            return Assigned(over=True)
        with self._waiting.begin(uid) as enough:
            memory = await self._loaded(caller, call.wait, enough)
        if memory is None:
            return Assigned()
        self._sessions.check(uid, call.session)  # while it waited, much may have happened
        if self._has_all(caller):
            return Assigned(over=True)
        self._sessions.give(uid)
        return Assigned(task=task_for(memory, caller.task, caller.attempt, caller.pod))

    def _has_all(self, caller: Caller) -> bool:
        """Whether there is nothing (more) for a pod of its own to do."""
        given = self._sessions.given(caller.pod.uid)
        return given or self._judge(caller).directive is not Directive.CONTINUE

    async def heartbeat(self, caller: Caller, call: Heartbeat) -> HeartbeatAnswer:
        """Note a sign of life, and say what is to be done."""
        self._check(caller, call)
        self.note_alive(caller, call.progress, call.activity)
        return self._judge(caller)

    async def done(self, caller: Caller, call: Done) -> Accepted:
        """Note that the marker is said to be written: it will be read."""
        self._check(caller, call)
        self._note(caller, Report(self._ctx.clock.now()))
        return Accepted()

    async def failed(self, caller: Caller, call: Failed) -> Accepted:
        """Note that the attempt is said to have failed."""
        self._check(caller, call)
        failure, now = class_of(call.failure), self._ctx.clock.now()
        self._note(caller, Report(now, failure, call.message, call.exit_code))
        return Accepted()

    async def log(self, caller: Caller, call: Log) -> Accepted:
        """Store the end of the attempt's output for a worker that cannot."""
        self._check(caller, call)
        self.note_alive(caller)
        memory = self._memory(caller)
        if memory is None and self._is_over(caller):
            raise CallRefusedError("Gone", "the Job is over")
        if memory is None:
            raise CallRefusedError("Unavailable", "the job is not loaded yet; try again later")
        bucket = memory.output.bucket
        key = log_key(memory.books.prefixes[caller.task.index], call.attempt, caller.task.uid)
        # The cut may go through a character.
        body = call.text.encode()[-LOG_BYTES:].decode(errors="ignore").encode()

        def put(store: Store) -> None:
            store.put(bucket, key, body, "text/plain; charset=utf-8")

        try:
            await self._ctx.storage.call("put", put)
        except StoreError as error:
            raise CallRefusedError("Unavailable", str(error)) from error
        return Accepted()

    def _check(self, caller: Caller, call: AboutAttempt) -> None:
        caller.check(call.task_uid, call.attempt)
        self._sessions.check(caller.pod.uid, call.session)
        self._sessions.give(caller.pod.uid)  # it has it, whoever gave it

    def note_alive(
        self, caller: Caller, progress: Progress | None = None, activity: int | None = None
    ) -> None:
        """Note a call; where it tells nothing of progress, there was none."""
        known = self._ctx.cache.workers.get(caller.task.uid)
        if known is not None and known.pod_uid != caller.pod.uid:
            known = None  # what an earlier attempt told
        if activity is None:
            activity = known.activity if known is not None else 0
        progress = progress or (known.progress if known is not None else None)
        now = self._ctx.clock.now()
        self._ctx.cache.workers.note_call(caller.pod, caller.attempt, now, progress, activity)

    def _note(self, caller: Caller, report: Report) -> None:
        self._ctx.cache.workers.note_report(caller.pod, caller.attempt, report)

    def _judge(self, caller: Caller) -> HeartbeatAnswer:
        """Say whether the work is still wanted."""
        if unwanted := self._unwanted(caller):
            return HeartbeatAnswer(directive=Directive.ABORT, reason=unwanted)
        if self._is_over(caller):
            return HeartbeatAnswer(directive=Directive.FINISH, reason="the Job is over")
        memory = self._memory(caller)
        if memory is None or memory.ledger is None:
            return HeartbeatAnswer()
        return _by_outcome(memory.ledger.outcome(caller.task.index), leaving=caller.pod.deleting)

    def _is_over(self, caller: Caller) -> bool:
        """Whether the caller's Job has ended, so that nothing is remembered of it."""
        job = self._ctx.cache.jobs.get(caller.pod.namespace, caller.pod.job)
        return job is not None and job.status.terminal

    def _unwanted(self, caller: Caller) -> str:
        """Say why the pod is to stop; empty if it is not."""
        pod, task = caller.pod, caller.task
        if pod.stopped is not None:
            return pod.stopped.message
        job = self._ctx.cache.jobs.get(pod.namespace, pod.job)
        if job is None or job.deleting or job.uid != task.owner_uid:
            return "the Job is deleted"
        if task.deleting:
            return "the task is deleted"
        if pod.disrupted:
            return f"the pod is taken away: {pod.reason or 'DisruptionTarget'}"
        return "the pod is deleted" if pod.deleting and not pod.seat_in else ""

    def _memory(self, caller: Caller) -> Memory | None:
        """Return what is remembered of the caller's Job, once that includes its task."""
        memory = self._memory_of((caller.pod.namespace, caller.pod.job))
        if memory is None or memory.ledger is None or memory.job.spec is None:
            return None
        return memory if _has(memory, caller.task) else None

    async def _loaded(self, caller: Caller, seconds: float, enough: asyncio.Event) -> Memory | None:
        """Return the memory of the caller's Job, for which it waits so long at most."""
        deadline = self._ctx.clock.now() + seconds
        while (memory := self._memory(caller)) is None:
            left = deadline - self._ctx.clock.now()
            if left <= 0 or enough.is_set():
                return None
            with suppress(TimeoutError):
                async with asyncio.timeout(min(LOOK_EVERY, left)):
                    await enough.wait()
        return memory

    def prune(self) -> None:
        """Forget the sessions of pods that are gone."""
        now = self._ctx.clock.now()
        if now - self._pruned >= PRUNE_EVERY:
            self._pruned = now
            cache = self._ctx.cache
            uids = {pod.uid for pod in cache.pods.all()} | {
                pod.uid for pod in cache.pool_pods.all()
            }
            self._sessions.keep(uids | cache.outside.seats)


def _has(memory: Memory, task: TaskSeen) -> bool:
    """Whether a Job has a task: no pass need have seen yet what was made a moment ago."""
    known = memory.books.tasks.get(task.index)
    if known is not None:
        return known.uid == task.uid
    volumes = memory.books.volumes
    if task.owner_uid != memory.job.uid or task.index >= len(volumes):
        return False
    return task.name == task_name(memory.job.name, volumes[task.index])


def _by_outcome(outcome: Outcome, *, leaving: bool) -> HeartbeatAnswer:
    """Say whether to go on by what is known of the task; `leaving`: nothing but this task."""
    if outcome is Outcome.SUCCEEDED:  # through this worker itself, most likely
        return HeartbeatAnswer(directive=Directive.FINISH, reason="the marker is written")
    if outcome is not Outcome.WAITING:
        return HeartbeatAnswer(directive=Directive.ABORT, reason="the task is over")
    if leaving:
        return HeartbeatAnswer(directive=Directive.FINISH, reason="the worker is not needed")
    return HeartbeatAnswer()
