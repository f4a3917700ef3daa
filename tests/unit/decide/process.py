"""One operator process: the operator's own code over the fake world, stepped by the test."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from bec_operator.act.doing import Doer
from bec_operator.act.doings import Lane
from bec_operator.act.ground.api_server import JSON, ApiServer
from bec_operator.act.ground.cache import Cache
from bec_operator.act.ground.clock import Clock
from bec_operator.act.ground.context import Context
from bec_operator.act.ground.storage import Storage
from bec_operator.act.kube.pod_records import pod_of
from bec_operator.act.kube.records import job_of, task_of
from bec_operator.act.reconciler import Reconciler
from bec_operator.decide.memory.memory import Memory
from bec_operator.observe.kinds import JOBS, KINDS, TASKS
from bec_operator.observe.watch import Watch
from bec_operator.settings import Settings
from bec_operator.worker_api.callers.caller import find_caller
from bec_operator.worker_api.callers.claims import Identity
from bec_operator.worker_api.callers.refusals import CallRefusedError
from bec_operator.worker_api.calls import Calls
from bec_ops.contract.protocol import Request
from bec_ops.contract.s3.store import Store, StoreError
from tests.unit.decide.fake_api import NAMESPACE, Change, Object
from tests.unit.decide.receiving import PlayedConnections, Received
from tests.unit.decide.stepping import Call, Doing, Loop, run_through

JOB = "ocr"
WATCHED = ("jobs", "volumetasks", "pods")
_SETTINGS = Settings()

Answer = Callable[[str, str, Object | None, Mapping[str, str]], Object]
Answered = Callable[[Any], None]


class _Api(ApiServer):
    """Sends each request to the fake API server, as a call that can be cut."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    async def request(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        *,
        content_type: str = JSON,
        accept: str = JSON,
        query: Mapping[str, str] | None = None,
    ) -> Object:
        assert content_type
        assert accept
        call = Call(lambda: self._answer(method, path, body, query or {}), _no_answer)
        answer: Object = await call
        return answer

    async def tail(self, path: str, query: Mapping[str, str], most: int) -> bytes:
        found = await self.request("GET", path, query=query)
        return f"{found['metadata']['name']} ran\n".encode()[-most:]


def _no_answer() -> Exception:
    return TimeoutError()


def _no_s3() -> Exception:
    return StoreError("Unavailable", "S3 does not answer")


class Process:
    """A living operator. What it remembers is lost with it.

    `heard` is how far each of its watches has come in `changes`.
    """

    def __init__(
        self,
        answer: Answer,
        store: Store,
        clock: Clock,
        changes: list[Change],
        received: Received | None = None,
    ) -> None:
        self._loop = Loop(_no_s3)
        self._changes = changes
        self.reconciler = Reconciler()
        # How much at once is up to the test.
        doer = self.reconciler._doer = Doer(1000, self.reconciler.look_at)
        doer._parts = dict.fromkeys(Lane, 1000)
        self.ctx = Context(
            api=_Api(answer),
            storage=Storage(store, 1),
            cache=Cache(self.reconciler.look_at),
            clock=clock,
            settings=_SETTINGS,
            connections=PlayedConnections(received or Received()),
        )
        self.calls = Calls(self.ctx, self.reconciler.memory)
        self.started = clock.now()
        self.heard = dict.fromkeys(WATCHED, len(changes))
        with self._loop.running():
            for kind in KINDS:
                run_through(Watch(self.ctx, kind, None).list())

    @property
    def under_way(self) -> list[Doing]:
        """What waits for an answer, oldest first."""
        return self._loop.begun

    @property
    def memory(self) -> Memory | None:
        """What it remembers of the job."""
        return self.reconciler.memory((NAMESPACE, JOB))

    def hear(self, plural: str, most: int) -> None:
        """Let a watch tell up to `most` of the changes that it has not told yet."""
        start = self.heard[plural]
        for change in self._changes[start:]:
            if most == 0:
                break
            self.heard[plural] += 1
            if change.plural == plural:
                most -= 1
                self._take_in(change)

    def hear_all(self) -> None:
        """Let all watches catch up."""
        for plural in WATCHED:
            self.hear(plural, -1)

    def _take_in(self, change: Change) -> None:
        cache, found = self.ctx.cache, change.object
        meta: Any = found["metadata"]
        if change.plural == "pods":
            before = cache.pods.get(NAMESPACE, meta["name"])
            cache.pods.put(pod_of(found, before, self.ctx.clock.now()))
        if change.type == "DELETED":
            records: Any = {"jobs": cache.jobs, "volumetasks": cache.tasks, "pods": cache.pods}
            records[change.plural].remove(NAMESPACE, meta["name"], meta["uid"])
        elif change.plural == "jobs":
            cache.jobs.put(job_of(found))
        elif change.plural == "volumetasks":
            cache.tasks.put(task_of(found))

    def look(self, job: str = JOB) -> None:
        """Make one pass over a job, and begin what it decides."""
        with self._loop.running():
            key = (NAMESPACE, job)
            work = self.reconciler._fenced_case(self.ctx, key)
            if work is not None:
                self.reconciler.look(self.ctx, key, work)

    def list_again(self) -> None:
        """Begin a full look at Jobs and VolumeTasks."""
        with self._loop.running():
            self._loop.create_task(self._list_again())

    async def _list_again(self) -> None:
        with suppress(TimeoutError):
            for kind in (JOBS, TASKS):
                await Watch(self.ctx, kind, None).list()

    def take_call(self, identity: Identity, request: Request, answered: Answered) -> None:
        """Begin a worker's call, as it is below HTTP; `answered` gets the answer or the refusal."""
        with self._loop.running():
            self._loop.create_task(self._take_call(identity, request, answered))

    async def _take_call(self, identity: Identity, request: Request, answered: Answered) -> None:
        try:
            caller = await find_caller(self.ctx, identity)
            answered(await self.calls.answer(caller, request))
        except CallRefusedError as refused:
            answered(refused)

    def get_answer(self, doing: Doing) -> None:
        """Let an answer arrive."""
        with self._loop.running():
            doing.get_answer()
        self._drop_if_ended(doing)

    def lose_answer(self, doing: Doing) -> None:
        """Let an answer be lost, and the process know that."""
        with self._loop.running():
            doing.lose_answer()
        self._drop_if_ended(doing)

    def _drop_if_ended(self, doing: Doing) -> None:
        if doing.call is None:
            self.under_way.remove(doing)

    def die(self) -> None:
        """End at once; what was not carried out never is."""
        for doing in self.under_way:
            doing.die()
        self.under_way.clear()
