"""A pool in a world of its own: a ReplicaSet controller, pods that start, workers that work.

The controller sees what is written a moment late, and takes pods away in its own order: those that
are not Ready, then the ones that cost least, then the newest.
"""

import heapq
import random
from dataclasses import dataclass, field, replace

from bec_operator.api.job import JobSpec
from bec_operator.decide.attempts.actions import DeletePod
from bec_operator.decide.hosts.actions import (
    DeletePool,
    GuardWorker,
    MakePool,
    MarkWorker,
    ScalePool,
)
from bec_operator.decide.hosts.pool import Host, Pool, Workload
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.action import Action
from bec_operator.decide.sight.pool_seen import DeploymentSeen, PoolPod, PoolWorker
from bec_operator.decide.sight.seen import JobSeen, PodSeen
from bec_operator.decide.slots.pool_size import dissolve, hosts_for_work, scale, wanted, with_busy

LAG = (0.0, 2.0)  # seconds until the controller sees what was written
FOR_EVER = 1e12  # a worker that waits asks again and again
START = (20.0, 40.0)  # seconds from a pod's birth until its worker asks for work


@dataclass
class Load:
    """The tasks of one job: when each can be started, and how long it takes."""

    arrivals: list[float]
    seconds: list[float]


@dataclass
class Worker:
    """One pod, and what its worker does."""

    host: Host
    born: float
    ready_at: float
    busy_until: float = 0.0
    stopping: bool = False

    @property
    def busy(self) -> bool:
        """Whether it works."""
        return self.busy_until > 0


@dataclass
class Score:
    """What became of it all."""

    busy_stopped: int = 0  # workers that scaling took away while they worked
    too_many: int = 0  # times that more workers were asked for than there was work for
    idle_seconds: float = 0.0
    done: int = 0
    ended: float = 0.0
    left: int = 0  # pods that were still there at the end


@dataclass
class PoolWorld:
    """One job with its pool, second by second."""

    spec: JobSpec
    load: Load
    rng: random.Random
    revision: str = "p"
    now: float = 0.0
    replicas: int | None = None  # None: there is no Deployment
    seen_replicas: list[tuple[float, int]] = field(default_factory=list)
    obeyed: int = 0  # what the controller has seen of it
    workers: dict[str, Worker] = field(default_factory=dict)
    costs: dict[str, float] = field(default_factory=dict)  # uid → when the controller sees it
    waiting: list[float] = field(default_factory=list)  # seconds of the tasks that could start
    score: Score = field(default_factory=Score)
    born: int = 0

    def __post_init__(self) -> None:
        self.memory = Memory(JobSeen("ns", "j", "j", 1, 1, "", self.spec))
        self.to_come = sorted(zip(self.load.arrivals, self.load.seconds, strict=True))
        heapq.heapify(self.to_come)

    @property
    def total(self) -> int:
        """How many tasks there are."""
        return len(self.load.arrivals)

    def run(self, until: float) -> Score:
        """Let time go by until nothing is left, or it is over."""
        while self.now < until:
            self.step()
            if self.score.done == self.total and not self.workers and not self.replicas:
                break
        self.score.ended = self.now
        self.score.left = len(self.workers)
        return self.score

    def step(self) -> None:
        """Let a second go by: work, then the operator, then the controller."""
        self.now += 1
        self._work()
        self._operate()
        self._control()
        idle = (w.host.worker is not None and not w.busy for w in self.workers.values())
        self.score.idle_seconds += sum(idle)

    def _work(self) -> None:
        while self.to_come and self.to_come[0][0] <= self.now:
            self.waiting.append(heapq.heappop(self.to_come)[1])
        for worker in self.workers.values():
            if worker.busy and worker.busy_until <= self.now:
                worker.busy_until = 0.0
                self.score.done += 1
            known = worker.host.worker
            if known is None and worker.ready_at <= self.now and not worker.stopping:
                uid = worker.host.pod.uid
                known = PoolWorker(uid, "s", self.now)
                worker.host = replace(
                    worker.host, pod=replace(worker.host.pod, ready=True, runs=True)
                )
            if known is not None and not worker.busy and known.asked is None:
                asking = replace(known, asked=FOR_EVER, idle_since=self.now)
                worker.host = replace(worker.host, worker=asking, busy=False)

    def pool(self) -> Pool:
        """Return the pool as the operator sees it."""
        deployments = {}
        if self.replicas is not None:
            deployments[self.revision] = DeploymentSeen(
                "ns", self.revision, "d", 1, "j", "j", self.replicas
            )
        hosts = tuple(worker.host for worker in self.workers.values())
        return Pool(self.revision, deployments, hosts)

    def _operate(self) -> None:
        pool = self.pool()
        if self.score.done == self.total:  # the job is complete
            for action in list(dissolve(pool)):
                self.act(action)
            return
        self.memory.pool.observe(pool.hosts, self.now)
        free = hosts_for_work(pool, self.memory, self.spec, self.now)[: len(self.waiting)]
        for host in free:
            self._hand(host)
        pool = with_busy(self.pool(), {host.pod.uid for host in free})
        ahead = len(self.waiting)
        work = Workload(min(ahead, self.spec.parallelism - pool.busy), ahead)
        aim = wanted(
            self.spec,
            pool,
            self.memory.pool,
            work,
            launch=True,
            more_may_come=bool(self.to_come or self.waiting),
        )
        for action in list(scale(self.spec, pool, self.memory.pool, aim, self.now)):
            self.act(action)

    def _hand(self, host: Host) -> None:
        worker = self.workers[host.pod.uid]
        worker.busy_until = self.now + self.waiting.pop(0)
        assert host.worker is not None
        given = replace(host.worker, asked=None, idle_since=None, given=host.worker.given + 1)
        worker.host = replace(host, worker=given, busy=True)

    def act(self, action: Action) -> None:
        """Do what the operator decided."""
        match action:
            case MakePool():
                self._set_replicas(action.replicas)
            case ScalePool():
                if action.replicas < action.deployment.replicas:
                    self.memory.pool.lowered = self.now
                self._set_replicas(action.replicas)
            case DeletePool():
                self._set_replicas(0)
                self.replicas = None
            case MarkWorker():
                self._mark(action.pod, draining=action.draining)
            case DeletePod():
                self._stop(self.workers[action.pod.uid])
            case GuardWorker():
                pass

    def _set_replicas(self, replicas: int, *, by_hand: bool = False) -> None:
        size = self.spec.pool
        assert size is not None
        work = sum(worker.busy for worker in self.workers.values()) + len(self.waiting)
        if not by_hand and replicas > max(self.replicas or 0, work, size.min_workers):
            self.score.too_many += 1
        self.replicas = replicas
        self.seen_replicas.append((self.now + self.rng.uniform(*LAG), replicas))

    def _mark(self, pod: PoolPod, *, draining: bool) -> None:
        worker = self.workers.get(pod.uid)
        if worker is None:
            return
        worker.host = replace(worker.host, pod=replace(worker.host.pod, draining=draining))
        if draining:
            self.costs[pod.uid] = self.now + self.rng.uniform(*LAG)
        else:
            self.costs.pop(pod.uid, None)

    def _control(self) -> None:
        """Be the ReplicaSet controller, and the kubelets."""
        if any(at <= self.now for at, _ in self.seen_replicas):
            self.obeyed = [n for at, n in self.seen_replicas if at <= self.now][-1]
            self.seen_replicas = [(at, n) for at, n in self.seen_replicas if at > self.now]
        wanted_now = self.obeyed
        active = [w for w in self.workers.values() if not w.stopping]
        for _ in range(wanted_now - len(active)):
            self._bear()
        if len(active) > wanted_now:
            active.sort(key=self._rank)
            for worker in active[: len(active) - wanted_now]:
                self._stop(worker)
        for uid, worker in list(self.workers.items()):
            if worker.stopping and not worker.busy:
                del self.workers[uid]
                self.costs.pop(uid, None)

    def _rank(self, worker: Worker) -> tuple[bool, int, float]:
        uid = worker.host.pod.uid
        cheap = self.costs.get(uid, self.now + 1) <= self.now
        return worker.host.pod.ready, 0 if cheap else 1, -worker.born

    def _stop(self, worker: Worker) -> None:
        if worker.busy:
            self.score.busy_stopped += 1
        worker.stopping = True
        pod = replace(worker.host.pod, pod=replace(worker.host.pod.pod, deleting=True))
        worker.host = replace(worker.host, pod=pod)

    def _bear(self) -> None:
        self.born += 1
        name = f"w{self.born}"
        seen = PodSeen("ns", name, name, 1, "j", "", "rs", phase="Running")
        host = Host(PoolPod(seen, self.revision), None, busy=False)
        ready = self.now + self.rng.uniform(*START)
        self.workers[name] = Worker(host, self.now, ready)


class ChaosWorld(PoolWorld):
    """The same, where operators die, people set the number of workers, and pods are deleted."""

    def step(self) -> None:
        """Let a second go by, and now and then something else with it."""
        fate = self.rng.random()
        if fate < 0.02:
            self.memory = Memory(self.memory.job)
        elif fate < 0.03 and self.replicas is not None:
            self._set_replicas(self.replicas + self.rng.randint(1, 5), by_hand=True)
        elif fate < 0.04 and self.workers:
            self._delete(self.rng.choice(list(self.workers.values())))
        super().step()

    def _delete(self, worker: Worker) -> None:
        """Take a pod away by hand: what it worked at is tried again."""
        if worker.busy:
            self.waiting.append(worker.busy_until - self.now)
        self.workers.pop(worker.host.pod.uid)


class KedaWorld(PoolWorld):
    """The same, scaled as many do it today: by the length of the queue.

    It is looked at every 30 seconds, what runs not counted; the number goes down to what the
    largest look of the last 300 seconds asked for.
    """

    def _operate(self) -> None:
        pool = self.pool()
        free = [h for h in pool.hosts if h.is_idle(self.now)][: len(self.waiting)]
        for host in free:
            self._hand(host)
        if self.now % 30:
            return
        size = self.spec.pool
        assert size is not None
        looks: list[tuple[float, int]] = self.__dict__.setdefault("looks", [])
        running = sum(worker.busy for worker in self.workers.values())
        looks.append((self.now, min(len(self.waiting) + running, size.max_workers)))
        looks[:] = [(at, n) for at, n in looks if self.now - at <= 300]
        self._set_replicas(max(n for _, n in looks))
