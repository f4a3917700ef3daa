"""Which workers and nodes of a Job are at fault: they get nothing more, are replaced or avoided.

All of it is lost with the process, but for what attempts say that were not counted, and the nodes
that a pool's Deployment says it avoids. Then a host that is broken costs a few attempts more until
it is known again, and no volume.
"""

from collections.abc import Collection, Iterable, Mapping, Set
from dataclasses import dataclass, field

from bec_operator.api.volume_task import Attempt
from bec_operator.decide.hosts.outside import worker_of
from bec_operator.decide.hosts.pool import Pool
from bec_operator.decide.hosts.repute import Repute, Reputes
from bec_operator.decide.sight.failures import RULES, FailureClass, class_of
from bec_operator.decide.sight.moments import lenient
from bec_operator.decide.sight.seen import PodSeen, TaskSeen

UNSURE_FOR = 30.0  # seconds in which others may show whose fault it is, before a worker is replaced
REPLACED_AGAIN = (15.0, 300.0)  # seconds until the next one on the same node is, doubled
FORGIVEN_AFTER = 3600.0  # seconds after which it begins with the first again
SUSPECTED = 60.0  # seconds for which no pod goes to a node that may be at fault
AVOIDED = (600.0, 7200.0)  # seconds for which no pod goes to a node at fault, doubled
MOST_AVOIDED = 20  # nodes of a pool's pods
PLACED_WITHIN = 300.0  # seconds that these may take to get a node that is not avoided

_NOT_OF_HOST = {
    FailureClass.OUT_OF_MEMORY,  # which is the volume's, and gets more
    FailureClass.UNSCHEDULABLE,
    FailureClass.DEPENDENCY_FAILED,
}
BLAMED = frozenset(
    failure
    for failure, rule in RULES.items()
    if rule.of_node and not (rule.at_once or rule.spared) and failure not in _NOT_OF_HOST
)
"""The classes that may be the fault of a worker or a node."""


@dataclass(slots=True)
class Term:
    """For how long a node is avoided, `hold` seconds, and when one pod last tried it.

    `times` is how often it was since it was at fault for `sure`.
    """

    until: float = 0.0
    hold: float = 0.0
    sure: bool = False
    times: int = 0
    tried: float = 0.0

    def begin(self, now: float, *, sure: bool) -> None:
        """Avoid it from now on, each time for longer, or, if it is not sure, for a short time."""
        first, most = AVOIDED
        self.hold = min(first * 2.0 ** min(self.times, 10), most) if sure else SUSPECTED
        self.times += sure
        self.until, self.sure = now + self.hold, sure


@dataclass(slots=True)
class Hosts:
    """What is known of the workers and nodes of one Job.

    `of_pool` are the nodes that the pods of its pool do not go to. `more_workers` says that there
    may be several, `ran_on` are the nodes on which its pods are.
    """

    workers: Reputes = field(default_factory=Reputes)
    nodes: Reputes = field(default_factory=lambda: Reputes(workers=2))
    of_pool: tuple[str, ...] = ()
    more_workers: bool = False
    ran_on: frozenset[str] = frozenset()
    said: str = ""  # which nodes are avoided
    _terms: dict[str, Term] = field(default_factory=dict)
    _replaced: dict[str, tuple[int, float]] = field(default_factory=dict)  # node → how often, when
    _replaced_uids: set[str] = field(default_factory=set)  # uids of bad workers that have gone
    _worked_at: float = 0.0  # when one of the pool was last seen at work, or none was there
    _placed_at: float = 0.0  # when one of its pods was last seen on a node that is not avoided
    _learned: bool = False

    # --- what attempts say

    def note_failure(self, index: int, ended: Attempt, now: float) -> None:
        """Take in how an attempt at a volume failed, if that may be the fault of its host."""
        if class_of(ended.failure) not in BLAMED | {FailureClass.BAD_HOST}:
            return
        if ended.session:
            self.workers.note_failure(_worker(ended), ended.pod, index, ended.pod_uid, now)
        if ended.node:
            self.nodes.note_failure(ended.node, ended.node, index, ended.pod_uid, now)

    def note_success(self, index: int, done: Attempt, now: float) -> None:
        """Take in where a volume was done; what is not known of that is empty."""
        worker = _worker(done) if done.session else ""
        began = lenient(done.start_time)
        self.workers.note_success(worker, done.pod, index, now, began)
        self.nodes.note_success(done.node, done.node, index, now, began)

    def acquit(self, index: int, now: float) -> None:
        """Blame nobody for a volume that has failed for good."""
        self.workers.acquit(index, now)
        self.nodes.acquit(index, now)

    # --- one look

    def observe(
        self,
        tasks: Iterable[TaskSeen],
        pods: Mapping[str, PodSeen],
        pool: Pool,
        now: float,
        *,
        more_workers: bool,
        tripped: bool = False,
        outside: Set[str] = frozenset(),
    ) -> None:
        """Take in the tasks, pods and workers as they are.

        While the Job is `tripped`, a node is at fault only if that is sure: all may fail alike.
        `outside` are the ids of the workers from elsewhere.
        """
        if not self._learned:
            self._learned = True
            self._learn(tasks, now)
        self.more_workers = more_workers
        there = {pod.node for pod in pods.values() if pod.node and pod.seen_running is not None}
        there |= {host.pod.pod.node for host in pool.hosts if host.pod.pod.node and host.worker}
        self.ran_on = frozenset(there)
        self._note_replaced(pool, now)
        self.workers.keep({host.pod.uid for host in pool.hosts} | outside)
        self._set_terms(now, tripped=tripped)
        self._avoid_for_pool(pool, now)
        self.said = self._sentence(now)

    def _learn(self, tasks: Iterable[TaskSeen], now: float) -> None:
        """Derive from what is on record who was at fault before a restart."""
        found = [
            (attempt.end_time or "", task.index, attempt)
            for task in tasks
            for attempt in task.failed
            if class_of(attempt.failure) is FailureClass.BAD_HOST
        ]
        for _, index, attempt in sorted(found, key=lambda each: each[:2]):
            self.note_failure(index, attempt, now)

    # --- workers

    def withheld(self, *, tripped: bool) -> Set[str]:
        """Return the UIDs of the pods whose workers get nothing more.

        None do if the Job is `tripped`: where all fail, it is nobody's fault.
        """
        return frozenset() if tripped else self.workers.bad().keys()

    def to_replace(self, pool: Pool, now: float, *, tripped: bool) -> Set[str]:
        """Return those of them that are to be replaced now: one of a node at a time."""
        if tripped:
            return frozenset()
        found: dict[str, str] = {}
        for host in pool.hosts:
            seen, node = self.workers.hosts.get(host.pod.uid), host.pod.pod.node
            if seen is None or seen.bad_since is None or not host.pod.active:
                continue
            clear = seen.sure or now - seen.bad_since >= UNSURE_FOR
            if clear and now >= self._next_on(node):
                found.setdefault(node, host.pod.uid)
        return frozenset(found.values())

    def _next_on(self, node: str) -> float:
        times, last = self._replaced.get(node, (0, 0.0))
        first, most = REPLACED_AGAIN
        return last + min(first * 2.0 ** min(times - 1, 10), most) if times else 0.0

    def _note_replaced(self, pool: Pool, now: float) -> None:
        for host in pool.hosts:
            seen, uid = self.workers.hosts.get(host.pod.uid), host.pod.uid
            if (
                seen is None
                or seen.bad_since is None
                or host.pod.active
                or uid in self._replaced_uids
            ):
                continue
            times, last = self._replaced.get(host.pod.pod.node, (0, now))
            times = times if now - last < FORGIVEN_AFTER else 0
            self._replaced[host.pod.pod.node] = (times + 1, now)
            self._replaced_uids.add(uid)
        self._replaced_uids &= {host.pod.uid for host in pool.hosts}
        for node in [n for n, (_, at) in self._replaced.items() if now - at >= FORGIVEN_AFTER]:
            del self._replaced[node]

    # --- nodes

    def _set_terms(self, now: float, *, tripped: bool) -> None:
        """Avoid for a time each node that fails what others do, as long as there are others."""
        bad = {n: seen for n, seen in self.nodes.bad().items() if seen.sure or not tripped}
        for node in self._terms.keys() - bad.keys():
            del self._terms[node]
        well = any(seen.proven for node, seen in self.nodes.hosts.items() if node not in bad)
        others = bool(self.ran_on - bad.keys())
        for node, seen in bad.items():
            term = self._terms.setdefault(node, Term())
            sure = seen.sure and well
            again = now >= term.until and seen.failed_at >= term.until
            if (again and (sure or others)) or (sure and not term.sure):
                term.begin(now, sure=sure)

    def _avoid_for_pool(self, pool: Pool, now: float) -> None:
        """Choose the nodes to which no pod of the pool must go; another choice replaces them all.

        So a node stays among them after its time, for the sake of those that work; but rather any
        node than none.
        """
        active = [host for host in pool.hosts if host.pod.active]
        works = any(h.worker is not None and h.pod.runs and not h.pod.draining for h in active)
        if works or not active or not self._worked_at:
            self._worked_at = now
        sure = [node for node in self.shunned(now) if self._terms[node].sure]
        kept = self.of_pool if pool.hosts else ()
        if now - self._worked_at >= PLACED_WITHIN:
            kept = tuple(node for node in kept if node in sure)
        wanted = [*kept, *(node for node in sure if node not in kept)][-MOST_AVOIDED:]
        placed = {host.pod.pod.node for host in active} - {"", *wanted}
        if placed or not active or not self._placed_at:
            self._placed_at = now
        self.of_pool = tuple(wanted) if now - self._placed_at < PLACED_WITHIN else ()

    def disliked(self, now: float) -> list[str]:
        """Return the nodes to which a pod should rather not go that is made now."""
        shunned = self.shunned(now)
        return [node for node, term in self._terms.items() if not term.hold or node in shunned]

    def shunned(self, now: float) -> list[str]:
        """Return the nodes to which a pod must not go that is made now.

        Once the time of one is over, a single pod may try it.
        """
        return [
            node
            for node, term in self._terms.items()
            if term.hold and (now < term.until or now - term.tried < term.hold)
        ]

    def avoid_again(self, nodes: tuple[str, ...]) -> None:
        """Take in which nodes the pool's pods avoided before a restart: so they may stay."""
        self.of_pool = nodes

    def note_launch(self, now: float) -> None:
        """Take in that a pod was made: if it may try a node, no other one does for a while."""
        for term in self._terms.values():
            if term.hold and now >= term.until and now - term.tried >= term.hold:
                term.tried = now

    # --- what people are told

    def _sentence(self, now: float) -> str:
        """Name the nodes that are avoided; empty if none is."""
        bad = self.nodes.bad()
        named = [_of_node(node, bad[node]) for node in self.shunned(now) if node in bad][:3]
        rest = len(self.shunned(now)) - len(named)
        more = f" and {rest} more" if rest > 0 else ""
        return f"avoids {', '.join(named)}{more}" if named else ""

    def numbers(self, now: float) -> dict[str, int]:
        """Return how many workers get nothing more, and how many nodes are avoided."""
        return {"worker": len(self.workers.bad()), "node": len(self.shunned(now))}


def _worker(attempt: Attempt) -> str:
    """Return what tells the worker of an attempt apart: one from elsewhere may have many seats."""
    return worker_of(attempt.pod_uid) if attempt.lease_seconds else attempt.pod_uid


def _of_node(node: str, seen: Repute) -> str:
    failed = len({deed.index for deed in seen.recent if not deed.well})
    outdone = f", {seen.outdone} of them were done elsewhere" if seen.outdone else ""
    return f"node {node} ({failed} of its last volumes failed{outdone})"


def hosts_of(attempts: Collection[Attempt]) -> tuple[set[str], set[str]]:
    """Return the workers and the nodes on which attempts failed that may be the fault of these."""
    blamed = [a for a in attempts if class_of(a.failure) in BLAMED | {FailureClass.BAD_HOST}]
    workers = {_worker(attempt) for attempt in blamed if attempt.session}
    return workers, {attempt.node for attempt in blamed if attempt.node}
