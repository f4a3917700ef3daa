"""Rule 3 at the worker API: a call counts if it is of the attempt that runs, else it is refused."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from bec_operator.api.names import pod_name
from bec_operator.decide.sight.failures import FailureClass, class_of
from bec_operator.worker_api.callers.claims import Identity
from bec_operator.worker_api.callers.refusals import CallRefusedError
from bec_ops.contract.protocol import (
    AboutAttempt,
    Assigned,
    Directive,
    Failed,
    Heartbeat,
    HeartbeatAnswer,
    Next,
    Progress,
    Register,
    Request,
)
from tests.unit.decide.fake_api import NAMESPACE, owner_uid
from tests.unit.decide.process import Process
from tests.unit.decide.world import Life, World

ROUNDING = 1.0  # seconds: the times in the API server's objects are whole
_SENT_AWAY = {"Gone", "Forbidden", "StaleSession"}


@dataclass(slots=True, eq=False)
class Teller:
    """One process in a pod that calls the operator, and what it has got done."""

    life: Life
    process: str
    session: str = ""  # empty until it is given one
    done: int = 0

    @property
    def identity(self) -> Identity:
        """What its token says, as long as somebody believes it."""
        return Identity(NAMESPACE, self.life.name, self.life.uid)


class Fence:
    """Judges the answers to workers, and keeps what they have told rightfully."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.tellers: list[Teller] = []
        self.started = 0.0  # when the operator that is alone began
        self._current: dict[tuple[Process, str], str] = {}  # and UID of the pod → session
        self._past: set[tuple[Process, str]] = set()  # and session
        self._told: dict[
            str, tuple[Progress | None, int]
        ] = {}  # UID of the pod → what it said last

    def teller(self, life: Life, *, new: bool = False) -> Teller:
        """Return the latest process in a pod, or begin another one."""
        known = [teller for teller in self.tellers if teller.life is life]
        if known and not new:
            return known[-1]
        self.tellers.append(Teller(life, f"{len(self.tellers):032x}"))
        return self.tellers[-1]

    def is_registered(self, operator: Process, teller: Teller) -> bool:
        """Whether an operator knows a process as the one that counts in its pod."""
        return self._current.get((operator, teller.life.uid), "?") == teller.session

    def judge(
        self, operator: Process, teller: Teller, request: Request, answer: Any, *, alone: bool
    ) -> None:
        """See that the answer is right, and take down what the call means."""
        said = f"rule 3: {teller.life.name} was answered {answer!r} to {request!r}"
        if isinstance(answer, CallRefusedError):
            away = answer.word in _SENT_AWAY and self._is_honest(operator, teller, request)
            assert not (alone and away), said
            return
        assert not self._is_stale(operator, teller, request), said
        if isinstance(request, Register):
            self._note_session(operator, teller, answer.session)
        if isinstance(answer, HeartbeatAnswer) and alone:
            assert self._is_right(teller.life, answer.directive), said
        if isinstance(answer, Assigned) and answer.task is not None:
            volume = self._world.volumes[teller.life.index]
            given, life = answer.task, teller.life
            assert (given.w_id, given.i_id, given.i_version) == tuple(volume), said
            assert (given.task_uid, given.attempt) == (life.task_uid, life.attempt), said
        self._note_call(teller.life, request)

    def _is_stale(self, operator: Process, teller: Teller, request: Request) -> bool:
        """Whether a call is not of the attempt that runs, as far as the operator can know."""
        life = teller.life
        task = operator.ctx.cache.tasks.get(NAMESPACE, life.name.rsplit("-", 1)[0])
        if task is None or (task.uid, len(task.failed) + 1) != (life.task_uid, life.attempt):
            return True
        if isinstance(request, Register):
            return (operator, teller.session) in self._past
        return not self._is_own(operator, teller, request)

    def _is_own(self, operator: Process, teller: Teller, request: Request) -> bool:
        life = teller.life
        if isinstance(request, AboutAttempt | Next):
            current = self._current.get((operator, life.uid))
            if request.session != current:
                return False
        if isinstance(request, AboutAttempt):
            return (request.task_uid, request.attempt) == (life.task_uid, life.attempt)
        return True

    def _is_honest(self, operator: Process, teller: Teller, request: Request) -> bool:
        """Whether a call is of the attempt that runs, as everybody can see."""
        life, objects = teller.life, self._world.objects
        pod = objects.get("pods", life.name)
        task = objects.get("volumetasks", life.name.rsplit("-", 1)[0])
        if pod is None or pod["metadata"]["uid"] != life.uid:
            return False
        if task is None or task["metadata"]["uid"] != life.task_uid:
            return False
        attempts = (task.get("status") or {}).get("attempts") or []
        over = sum(1 for attempt in attempts if attempt.get("failure"))
        if life.name != pod_name(task["metadata"]["name"], over + 1):
            return False
        if isinstance(request, Register):
            return (operator, teller.session) not in self._past
        return self._is_own(operator, teller, request)

    def _note_session(self, operator: Process, teller: Teller, session: str) -> None:
        before = self._current.get((operator, teller.life.uid))
        if before not in {None, session}:
            self._past.add((operator, before or ""))
        self._current[operator, teller.life.uid] = teller.session = session

    def _is_right(self, life: Life, directive: Directive) -> bool:
        if directive is Directive.CONTINUE:
            return True
        if directive is Directive.FINISH:
            return self._world.has_marker(life.index)
        tasks = [
            task
            for task in self._world.all("volumetasks")
            if task["metadata"]["uid"] == life.task_uid and owner_uid(task) == self._world.job_uid
        ]
        pod = self._world.objects.get("pods", life.name)
        going = pod is None or "deletionTimestamp" in pod["metadata"]
        return not tasks or life.taken_away or life.over or life.verdict is not None or going

    def _note_call(self, life: Life, request: Request) -> None:
        now, first = self._world.clock.now(), not life.calls
        life.calls.append(now)
        moved = first or not isinstance(request, Register | Next | Heartbeat)
        if isinstance(request, Heartbeat):
            progress, activity = self._told.get(life.uid, (None, 0))
            told = (request.progress or progress, request.activity)
            moved = moved or told != (progress, activity)
            self._told[life.uid] = told
        if moved:
            life.moves.append(now)
        if isinstance(request, Failed):
            life.told.add(class_of(request.failure))

    def has_earned(self, life: Life, failure: FailureClass, *, alone: bool) -> bool:
        """Whether an attempt was as long silent, stuck or at work as its Job allows."""
        if failure is FailureClass.NODE_LOST:
            return self._world.is_lost(life)
        _, heartbeat, progress, task = self._world.plan.timeouts
        if failure is FailureClass.STOPPED:
            return self._world.stopped
        if failure is FailureClass.TOO_LONG:
            return self._world.clock.now() - life.began >= task - ROUNDING
        signs, limit = {
            FailureClass.SILENT: (life.calls, heartbeat),
            FailureClass.STUCK: (life.moves, progress),
        }[failure]
        since = max(life.began, self.started) if alone else life.began
        moments = [since, *(sign for sign in signs if sign > since), self._world.clock.now()]
        gaps = [after - before for before, after in pairwise(moments)]
        return bool(life.calls) and (not alone or max(gaps) >= limit)
