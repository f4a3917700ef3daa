"""A Job among hosts of which one is a black hole: it fails at once whatever it gets.

The operator is the real one, over the fake API server and the fake S3, in a time that jumps.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bec_operator.api.names import POOL_LABEL
from tests.unit.decide.fake_api import Object
from tests.unit.decide.fleet import Fleet
from tests.unit.decide.plan import Plan
from tests.unit.decide.world import GOOD_MARKER, Life, World

BROKEN = "CUDA error: an illegal memory access was encountered"
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


@dataclass
class Outcome:
    """What a run has cost. `lost` are the attempts that failed."""

    done: int = 0
    failed: list[int] = field(default_factory=list)
    attempts: int = 0
    lost: int = 0
    seconds: float = 0.0
    said: list[str] = field(default_factory=list)


class Holes(Fleet):
    """One Job, and nodes. What fails is said by `breaks`; the rules' guard is not asked.

    `nodes` are their names; a pool's workers are spread over them in turn, pods go to whichever is
    allowed and has room.
    """

    def __init__(self, plan: Plan, nodes: Sequence[str], room: int = 4, seed: int = 0) -> None:
        self.nodes, self.room, self.plan = nodes, room, plan
        self.bad_nodes: set[str] = set()
        self.bad_workers: dict[str, int] = {}  # pod's UID → after so many volumes
        self.hopeless = plan.hopeless
        self.prefers = ""  # where workers go whenever they may
        self.pools_made: set[str] = set()
        self.rng = random.Random(seed)
        self.fails = self.runs = 0
        self.seconds = 2.0
        super().__init__([plan])
        self.pools.fails, self.pools.node_of = self.worker_fails, self.node_of_worker
        self.pools.seconds = lambda _: self.rng.uniform(0.5, 1.5) * self.seconds

    @property
    def world(self) -> World:
        """The world of the Job."""
        return self.worlds[self.plan.name]

    def worker_fails(self, uid: str, node: str, had: int, index: int) -> str | None:
        """Say how a volume fails in a worker, if it does."""
        self.runs += 1
        broken = node in self.bad_nodes or had >= self.bad_workers.get(uid, 1_000_000)
        if not (broken or index in self.hopeless):
            return None
        self.fails += 1
        return BROKEN if broken else "page 7 cannot be read"

    def node_of_worker(self, _: int, spec: Object) -> str:
        """Return where the next worker goes: to the emptiest node that it may go to."""
        used = [pod["spec"].get("nodeName") for pod in self.objects.all("pods")]
        self.pools_made |= {found["metadata"]["name"] for found in self.objects.all("deployments")}
        full = {node: used.count(node) >= self.room for node in self.nodes}
        rank = {n: (full[n], n != self.prefers, used.count(n), n) for n in self.nodes}
        return min(self._allowed(spec), key=rank.__getitem__)

    def _allowed(self, spec: Object) -> list[str]:
        affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
        terms = (affinity.get(_REQUIRED) or {}).get("nodeSelectorTerms") or [{}]
        never = {value for term in terms for value in _not_in(term)}
        return [node for node in self.nodes if node not in never]

    def _disliked(self, spec: Object) -> set[str]:
        affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
        return {v for term in affinity.get(_PREFERRED) or [] for v in _not_in(term["preference"])}

    # --- pods of their own

    def step_pods(self) -> None:
        """Let every pod go on: begin where there is room, fail at once or be done in time."""
        world = self.world
        while world.orphans():
            world.collect_garbage()
        for life in world.pods():
            if world.is_deleting(life):
                world.remove_pod(life)
            elif not life.begun:
                self._begin(world, life)
            elif life.worker_end is None:
                self._go_on(world, life)

    def _begin(self, world: World, life: Life) -> None:
        pod = self.objects.get("pods", life.name)
        assert pod is not None
        used = [each.node for each in world.pods() if each.begun and not each.over]
        free = [n for n in self._allowed(pod["spec"]) if used.count(n) < self.room]
        if free:
            disliked = self._disliked(pod["spec"])
            world.start(life, min(free, key=lambda n: (n in disliked, used.count(n), n)))
            self.runs += 1

    def _go_on(self, world: World, life: Life) -> None:
        broken = life.node in self.bad_nodes
        if broken or life.index in self.hopeless:
            self.fails += 1
            world.end_worker(life, 1, message=BROKEN if broken else "page 7 cannot be read")
        elif self.clock.now() - life.began >= self.seconds:
            world.write_marker(life.index, GOOD_MARKER)
            world.end_worker(life, 0)

    # --- a run

    def play(self, within: float = 3600.0) -> Outcome:
        """Let it run to its end, and say what it cost."""
        began, out = self.clock.now(), Outcome()
        name = self.plan.name
        while not self.has_ended(name):
            assert self.clock.now() - began < within, f"not within {within} s: {self.says()}"
            self.run(1.0)
            ready = [c.message for c in self.status(name).conditions if c.type == "Ready"]
            out.said += [said for said in ready if said not in out.said]
        status = self.status(name)
        out.seconds = self.clock.now() - began
        out.done, out.lost, out.attempts = status.counts.succeeded, self.fails, self.runs
        out.failed = [i for i in range(self.plan.volumes) if not self.world.has_marker(i)]
        return out

    def _answer(
        self, method: str, path: str, body: Object | None, query: Mapping[str, str]
    ) -> Object:
        self.requests.append((self.clock.now(), method, path))
        self.clock.time += 0.001
        answer = self.objects.answer(method, path, body, query)
        if (method, path.rsplit("/", 1)[-1]) == ("POST", "pods") and "dryRun" not in query:
            made = self.objects.get("pods", answer["metadata"]["name"])
            if made is not None and POOL_LABEL not in made["metadata"]["labels"]:
                self.world.note_pod(made)
        return answer

    def break_a_worker(self, after: int = 1) -> None:
        """Let the first worker that there is fail all volumes but the first ones."""

        def is_there() -> Any:
            return [p for p in self.objects.all("pods") if p["metadata"].get("pool")]

        self.run_until(is_there, 60.0)
        self.bad_workers[is_there()[0]["metadata"]["uid"]] = after


def _not_in(term: Object) -> set[str]:
    fields = term.get("matchFields") or []
    return {value for field in fields if field["operator"] == "NotIn" for value in field["values"]}
