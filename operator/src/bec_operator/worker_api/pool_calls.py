"""What a worker of a pool can call beside what is about an attempt: it registers, and asks."""

from collections.abc import Callable, Iterator
from typing import Any

from bec_operator.act.ground.context import Context
from bec_operator.act.ground.key import Key
from bec_operator.decide.hosts.seats import seat_of
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.pool_seen import PoolPod
from bec_operator.worker_api.callers.caller import Caller
from bec_operator.worker_api.callers.refusals import CallRefusedError
from bec_operator.worker_api.callers.sessions import Sessions
from bec_operator.worker_api.held import OnRecord, on_record
from bec_operator.worker_api.tasks import registered, task_for
from bec_operator.worker_api.waiting import Waiting, wait_for_one
from bec_ops.contract.protocol import AboutAttempt, Assigned, Heartbeat, Next, Register, Registered

WAITS_STILL = 1.0  # seconds after which a worker that waits is noted to do so


class PoolCalls:
    """Answers workers of pools."""

    def __init__(
        self,
        ctx: Context,
        memory_of: Callable[[Key], Memory | None],
        sessions: Sessions,
        waiting: Waiting,
    ) -> None:
        self._ctx = ctx
        self._memory_of = memory_of
        self._sessions = sessions
        self._waiting = waiting

    def register(self, host: PoolPod, call: Register) -> Registered:
        """Take a process in; the one before it in this pod is over."""
        session = self._sessions.register(host.uid, call.process)
        now = self._ctx.clock.now()
        self._ctx.cache.pool_workers.register(_job(host), host.uid, session, now)
        return registered(self._ctx, host.pod, session)

    async def next(self, host: PoolPod, call: Next) -> Assigned:
        """Give the task that was recorded for this process, as soon as there is one."""
        workers, clock = self._ctx.cache.pool_workers, self._ctx.clock
        deadline = clock.now() + call.wait
        self._sessions.check(host.uid, call.session)
        with self._waiting.begin(host.uid) as enough:
            while True:
                self._sessions.check(host.uid, call.session)
                if (given := self._given(host, call.session)) is not None:
                    return given
                if self._is_leaving(host):
                    return Assigned(over=True)
                left = deadline - clock.now()
                if left <= 0 or enough.is_set():
                    return Assigned()
                has_some = workers.ask(_job(host), host.uid, clock.now())
                if has_some is None:
                    raise CallRefusedError("Gone", f"pod {host.name} is gone")
                await wait_for_one([has_some, enough], min(left, WAITS_STILL))

    def _is_leaving(self, host: PoolPod) -> bool:
        """Whether a pod is deleted: its worker may have got its SIGTERM before it could hear it."""
        known = self._ctx.cache.pool_pods.get(host.namespace, host.name)
        return known is not None and known.uid == host.uid and known.pod.deleting

    def _given(self, host: PoolPod, session: str) -> Assigned | None:
        """Return the task that a process is to do now; None if it has none."""
        workers = self._ctx.cache.pool_workers
        worker = workers.get(host.uid)
        for held in self._held(host, session):
            if not (worker and (held.task.uid, held.attempt) in worker.left):
                workers.give(host.uid, held.task.uid, held.attempt)
                return Assigned(task=task_for(held.memory, held.task, held.attempt, host.pod))
        return None

    def _held(self, host: PoolPod, session: str) -> Iterator[OnRecord]:
        """Yield the attempts on record for a process of this pool."""
        for held in on_record(self._ctx, self._memory_of, host.uid, session):
            if (held.task.namespace, held.task.job) == _job(host):
                yield held

    def at_work(self, host: PoolPod, call: Any) -> Caller:
        """Return the caller of a call about its attempt; raises CallRefusedError if it has none."""
        assert isinstance(call, AboutAttempt)
        self._sessions.check(host.uid, call.session)
        for task in self._ctx.cache.tasks.with_pod(host.uid):
            attempt = task.recorded_begun
            if task.uid != call.task_uid or attempt is None:
                continue
            if (attempt.session, attempt.number) != (call.session, call.attempt):
                break
            if isinstance(call, Heartbeat):
                self._note_at_work(host, call)
            return Caller(seat_of(task, attempt.number, host), task, attempt.number)
        raise CallRefusedError(
            "Gone", f"task {call.task_uid} is over, or its attempt {call.attempt} is not this one's"
        )

    def _note_at_work(self, host: PoolPod, call: Heartbeat) -> None:
        """Take in which of the attempts on record a process works on: it has left the others."""
        workers, mine = self._ctx.cache.pool_workers, (call.task_uid, call.attempt)
        worker = workers.get(host.uid)
        if worker is not None and worker.has is None:  # an operator before this one gave it
            workers.give(host.uid, *mine)
        held = {(each.task.uid, each.attempt) for each in self._held(host, call.session)}
        if mine in held:
            workers.leave(host.uid, held - {mine})


def _job(host: PoolPod) -> Key:
    return host.namespace, host.job
