"""Several Jobs in one cluster, worked on by an operator that runs as it does in earnest.

It is `Reconciler.run` itself, with the operator's own watches, over the fake API server and the
fake S3, in a time that jumps. Each Job has the guard of the rules before it.
"""

import asyncio
import json
import logging
import random
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Self

from bec_operator.act.ground.cache import Cache
from bec_operator.act.ground.context import Context
from bec_operator.act.ground.storage import Storage
from bec_operator.act.reconciler import Reconciler
from bec_operator.api.job import JobStatus
from bec_operator.api.names import JOB_LABEL, POOL_LABEL
from bec_operator.decide.memory.memory import Memory
from bec_operator.observe.kinds import KINDS
from bec_operator.observe.watch import Watch
from bec_operator.settings import Settings
from bec_operator.worker_api.calls import Calls
from tests.unit.decide.fake_api import NAMESPACE, Object, Objects, address
from tests.unit.decide.guard import Guard
from tests.unit.decide.injected import S3, SECRET, BreakingStore, Fault
from tests.unit.decide.kubelet import let_pods_go_on
from tests.unit.decide.plan import Plan
from tests.unit.decide.pool_kubelet import PoolKubelet
from tests.unit.decide.virtual_api import VirtualApi
from tests.unit.decide.virtual_time import LoopClock, VirtualLoop
from tests.unit.decide.world import World

KUBELET_SECONDS = 1.0  # between two steps of every pod
_LOG = logging.getLogger()


class Operator:
    """One operator process, as `app` puts it together."""

    def __init__(self, api: VirtualApi, store: BreakingStore, clock: LoopClock, **how: Any) -> None:
        self.reconciler = Reconciler()
        self.cache = Cache(self.reconciler.look_at)
        self.ctx = Context(api, Storage(store, 1), self.cache, clock, Settings(**how))
        self.calls = Calls(self.ctx, self.reconciler.memory)
        self.ready = False
        self.running: asyncio.Task[None] | None = None

    def start(self, loop: VirtualLoop) -> None:
        """Begin."""
        self.running = loop.create_task(self._run())

    async def _run(self) -> None:
        watches = [Watch(self.ctx, kind, None) for kind in KINDS]
        for watch in watches:
            await watch.list()
        self.ready = True
        await asyncio.gather(self.reconciler.run(self.ctx), *(watch.run() for watch in watches))

    async def die(self) -> None:
        """End where it stands."""
        assert self.running is not None
        doer = self.reconciler._doer
        doings = [self.running, *(doer._doing if doer is not None else ())]
        for doing in doings:
            doing.cancel()
        await asyncio.gather(*doings, return_exceptions=True)


class _Told(logging.Handler):
    """Keeps what is logged, but for what is said of every request."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(logging.Formatter().format(record))


class Fleet:
    """The Jobs, the cluster, and the operator that is alive. A context: it ends with it."""

    def __init__(
        self, plans: Iterable[Plan], faults: Iterable[Fault] = (), loses: int = 0, **how: Any
    ) -> None:
        random.seed(0)  # of all pauses: else no two runs were the same
        self.loop = VirtualLoop()
        self.clock = LoopClock(self.loop)
        self.objects = Objects(self.clock.now)
        self.store = BreakingStore(self._touched)
        self.faults = [*faults]
        for fault in self.faults:
            fault.now = self.clock.now
        self.api = VirtualApi(self.objects, self._answer, self._answered, loses)
        self.worlds: dict[str, World] = {}
        self.guards: dict[str, Guard] = {}
        self.broken_rules: list[str] = []
        self.requests: list[tuple[float, str, str]] = []  # when, what, and the path
        self.told = _Told()
        self.pods_rest = False  # whether nothing becomes of pods
        self.refuse: Callable[[str, str], object] = lambda *_: None  # may raise
        self.loop.set_exception_handler(lambda _, what: self.told.lines.append(repr(what)))
        self._how = how
        for plan in plans:
            self.apply(plan)
        self.pools = PoolKubelet(self.objects, self.worlds, lambda: self.operator)
        self.start()
        self.keeper = self.loop.create_task(self._keep_pods())

    def __enter__(self) -> Self:
        _LOG.addHandler(self.told)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _LOG.removeHandler(self.told)
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        self.loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self.loop.close()

    # --- people, and the operator

    def apply(self, plan: Plan) -> None:
        """Make a Job."""
        world = World(plan, self.clock, self.store, shared=self.objects)
        self.worlds[plan.name], self.guards[plan.name] = world, Guard(world)

    def delete(self, name: str) -> None:
        """Delete a Job; what it owns goes after it."""
        self.objects.remove("jobs", name)
        self.guards.pop(name)

    def start(self) -> None:
        """Start an operator."""
        for guard in self.guards.values():
            guard.note_start()
        self.operator = Operator(self.api, self.store, self.clock, **self._how)
        self.operator.start(self.loop)

    def restart(self) -> None:
        """Let the operator die where it stands, and start another."""
        self.loop.run_until_complete(self.operator.die())
        self.start()

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.loop.run_until_complete(asyncio.sleep(seconds))
        assert not self.broken_rules, self.broken_rules[0]
        for running in (self.operator.running, self.keeper):
            assert running is not None
            if running.done():
                raise AssertionError("the operator, or the world, has ended") from (
                    running.exception()
                )
        said = [line for line in self.told.lines if SECRET in line]
        assert not said, f"the log has the secret: {said[0]}"

    def run_until(self, is_so: Callable[[], Any], within: float) -> None:
        """Let time pass until something is so, at most so many seconds."""
        end = self.clock.now() + within
        while not is_so():
            assert self.clock.now() < end, f"not within {within} s: {self.says()}"
            self.run(1.0)

    # --- what there is to be seen

    def memory(self, name: str) -> Memory:
        """Return what the operator remembers of a Job."""
        memory = self.operator.reconciler.memory((NAMESPACE, name))
        assert memory is not None
        return memory

    def asked(self, method: str, plural: str) -> int:
        """Return how many requests of a kind there were."""
        return sum(m == method and address(path)[0] == plural for _, m, path in self.requests)

    def status(self, name: str) -> JobStatus:
        """Return the status of a Job."""
        return self.guards[name].status()

    def has_ended(self, *names: str) -> bool:
        """Whether these Jobs have ended."""
        return all(self.status(name).terminal for name in names)

    def stall(self, name: str) -> tuple[str, str]:
        """Return why a Job is stalled, as it says; both empty if it is not."""
        for found in self.status(name).conditions:
            if found.type == "Stalled" and found.status == "True":
                return found.reason, found.message
        return "", ""

    def says(self) -> dict[str, Any]:
        """Return what all Jobs say."""
        return {n: (self.status(n).phase, self.status(n).done, self.stall(n)) for n in self.guards}

    # --- the cluster

    async def _keep_pods(self) -> None:
        while True:
            await asyncio.sleep(KUBELET_SECONDS)
            if self.pods_rest:
                continue
            self.step_pods()
            self.pools.step()

    def step_pods(self) -> None:
        """Let every pod of every Job go on."""
        for world in self.worlds.values():
            let_pods_go_on(world)

    def _touched(self, key: str) -> None:
        for fault in self.faults:
            world = self.worlds[fault.job]
            what = next((part for part in S3 if part in key.rsplit("/", 1)[-1]), "")
            folder = f"artefacts/{world.job_id}/"
            if key.startswith(folder) and key != f"{folder}success.json":  # which is a probe
                fault.hit(fault.job, "s3", what)

    def _answer(
        self, method: str, path: str, body: Object | None, query: Mapping[str, str]
    ) -> Object:
        """Answer a request of an operator; the guard of the Job that it is about stands before."""
        self.requests.append((self.clock.now(), method, path))
        self.refuse(method, address(path)[0])
        assert SECRET not in json.dumps(body), self._break(f"{method} {path} has the secret")
        job = self._job_of(path, body, query)
        guard = self.guards.get(job)
        if guard is None or self._is_of_pool(*address(path)):
            self.clock.time += 0.001
            return self.objects.answer(method, path, body, query)
        try:
            self._check_upstream(job, method, path, body)
            return guard.answer(method, path, body, query)
        except AssertionError as error:
            self._break(f"{job}: {error}")
            raise

    def _break(self, rule: str) -> str:
        """Take down that a rule is broken: the operator goes on, the test does not."""
        self.broken_rules.append(rule)
        return rule

    def _check_upstream(self, job: str, method: str, path: str, body: Object | None) -> None:
        """A volume starts after those that it depends on."""
        if (method, address(path)[0]) == ("POST", "volumetasks"):
            index = (body or {})["spec"]["index"]
            for needed in self.worlds[job].job["spec"]["dependsOn"]:
                other = self.worlds[needed["job"]]
                assert other.has_marker(index), f"{index} starts before {other.name}"

    def _answered(self, method: str, plural: str, name: str) -> None:
        for fault in self.faults:
            if self._owner(plural, name) == fault.job:
                fault.hit(fault.job, "answer", f"{method} {plural}")

    def _job_of(self, path: str, body: Object | None, query: Mapping[str, str]) -> str:
        """Return the Job that a request is about; empty if it is about none, or many."""
        plural, name = address(path)
        meta = (body or {}).get("metadata", {})
        if job := (meta.get("labels") or {}).get(JOB_LABEL):
            return str(job)
        if name:
            return self._owner(plural, name)
        found = self.objects.selected(plural, query.get("labelSelector", "")) if query else []
        names = {str(each["metadata"].get("labels", {}).get(JOB_LABEL, "")) for each in found}
        return names.pop() if len(names) == 1 and "labelSelector" in query else ""

    def _is_of_pool(self, plural: str, name: str) -> bool:
        found = self.objects.get("pods", name) if plural == "pods" else None
        of_pool = found is not None and POOL_LABEL in found["metadata"]["labels"]
        return plural == "deployments" or of_pool

    def _owner(self, plural: str, name: str) -> str:
        if plural == "jobs":
            return name
        if plural == "configmaps":
            return name.removesuffix("-ledger")
        found = self.objects.get(plural, name)
        if found is not None:
            return str((found["metadata"].get("labels") or {}).get(JOB_LABEL, ""))
        tasks = {name, name.rsplit("-", 1)[0]}
        return next((job for job, w in self.worlds.items() if tasks & w.index.keys()), "")
