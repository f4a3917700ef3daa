"""The state machine: operators that die at any instant, pods that end in any way, foreign hands.

Each example is one Job in one world. The rules are checked at every request (`guard`); when all
steps are done the Job is played to its end, and every count is compared with the truth.
"""

import logging
import sys
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bec_ops.store import Reason
from tests.unit.decide.guard import FOREIGN_TOTAL
from tests.unit.decide.process import JOB, WATCHED, Process
from tests.unit.decide.stage import Stage
from tests.unit.decide.world import GOOD_MARKER, Plan, World

LOG = logging.getLogger("bec_operator")
TRUNCATED = GOOD_MARKER[:20]

# What foreign hands write into the status of our objects.
JOB_PATCHES: list[dict[str, Any]] = [
    {"phase": "Pending"},
    {"phase": "Running", "done": "7/9"},
    {"counts": {"total": FOREIGN_TOTAL, "failed": 9}},
    {"conditions": [], "percent": "3%"},
    {"startTime": "2020-01-01T00:00:00Z", "eta": "1h"},
    {"phase": "Complete"},
    {"phase": "Failed", "completionTime": "2020-01-01T00:00:00Z"},
]
TASK_PATCHES: list[dict[str, Any]] = [
    {"phase": "Succeeded"},
    {"phase": "Failed"},
    {"phase": "Running", "attempt": 7},
    {"phase": None},
    {"message": "", "node": "nowhere", "progress": "1%"},
]

MAX_FAILED: list[int | str] = ["100%", "10%", 1, 0]
MARKERS = [GOOD_MARKER, GOOD_MARKER, None, TRUNCATED]
ENDS = [(0, "Completed"), (0, "Completed"), (1, "Error"), (65, "Error"), (137, "OOMKilled")]
SHORT_TROUBLES: list[Reason | None] = [None, None, None, None, None, "Unavailable", "Forbidden"]
TROUBLES: list[Reason | None] = [None, None, "Unavailable", "Forbidden"]

some = st.integers(0, 11)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Draw a Job, and the world it is in."""
    volumes = draw(st.integers(1, 3) | st.integers(1, 12))
    members = st.frozensets(st.integers(0, volumes - 1), max_size=3)
    return Plan(
        volumes=volumes,
        parallelism=draw(st.integers(1, 4)),
        limit=draw(st.integers(1, 3)),
        keep_succeeded=draw(st.integers(0, 2)),
        keep_failed=draw(st.integers(0, 2)),
        max_failed=draw(st.sampled_from(MAX_FAILED)),
        done_before=draw(members),
        sidecar=draw(st.booleans()),
        hopeless=draw(members),
    )


class _Broken(logging.Handler):
    """Notes what the operator calls broken: exceptions that nobody expected."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(logging.Formatter().format(record))


class OperatorMachine(RuleBasedStateMachine):
    """All that can happen to one Job. Rules are drawn evenly, so what is rare shares one."""

    most_operators = 2

    def __init__(self) -> None:
        super().__init__()
        self.stage: Stage | None = None
        self.broken = _Broken()
        LOG.addHandler(self.broken)
        LOG.setLevel(logging.ERROR)

    @initialize(plan=plans())
    def apply(self, plan: Plan) -> None:
        self.stage = Stage(plan)

    @property
    def on(self) -> Stage:
        """The stage, once the Job is there."""
        assert self.stage is not None
        return self.stage

    @property
    def world(self) -> World:
        """The world on the stage."""
        return self.on.world

    # --- operators

    @rule()
    @precondition(lambda self: len(self.on.operators) < self.most_operators)
    def start(self) -> None:
        self.on.start()

    @rule(which=some)
    @precondition(lambda self: self.on.operators)
    def die(self, which: int) -> None:
        """End an operator between two requests, or between one and its answer."""
        self.on.kill(self._operator(which))

    @rule(which=some, plural=st.sampled_from(WATCHED), most=st.sampled_from([0, 1, 3, -1]))
    @precondition(lambda self: self.on.operators)
    def hear(self, which: int, plural: str, most: int) -> None:
        """Let a watch tell something, or (0) let all be listed again."""
        operator = self._operator(which)
        if most:
            operator.hear(plural, most)
        else:
            operator.list_again()

    @rule(which=some, pick=some, how=st.sampled_from(["look", "out", "answer", "lost"]))
    @precondition(lambda self: self.on.operators)
    def step(self, which: int, pick: int, how: str) -> None:
        """Let an operator look, or do half of a request."""
        operator = self._operator(which)
        if how == "look" or not operator.under_way:
            self.on.look(operator)
        else:
            self.on.step(operator, operator.under_way[pick % len(operator.under_way)], how)

    @rule(which=some, order=st.lists(some, min_size=1, max_size=12), dies=st.booleans())
    @precondition(lambda self: self.on.operators)
    def go_on(self, which: int, order: list[int], *, dies: bool) -> None:
        """Let an operator do some of what is to be done, and perhaps die right after.

        One answer in twelve is lost.
        """
        operator = self._operator(which)
        for pick in order:
            if not operator.under_way:
                operator.hear_all()
                self.on.look(operator)
            if operator.under_way:
                doing = operator.under_way[pick % len(operator.under_way)]
                self.on.step(operator, doing, "lost" if pick == 11 else "answer")
        if dies:
            self.on.kill(operator)

    @rule(which=some, passes=st.integers(1, 6), trouble=st.sampled_from(SHORT_TROUBLES))
    @precondition(lambda self: self.on.operators)
    def catch_up(self, which: int, passes: int, trouble: Reason | None) -> None:
        """Let an operator do all that is to be done, S3 perhaps being out of order meanwhile."""
        before = self.world.store.trouble
        self.world.store.trouble = trouble or before
        for _ in range(passes):
            self.on.do_all(self._operator(which))
        self.world.store.trouble = before

    def _operator(self, which: int) -> Process:
        return self.on.operators[which % len(self.on.operators)]

    # --- pods and workers

    @rule(number=st.integers(1, 4))
    @precondition(lambda self: self.on.lives(begun=False, ended=False))
    def pods_start(self, number: int) -> None:
        for life in self.on.lives(begun=False, ended=False)[:number]:
            self.world.start(life)

    @rule(pick=some, marker=st.sampled_from(MARKERS), end=st.sampled_from(ENDS))
    @precondition(lambda self: self.on.lives(begun=True, ended=False))
    def worker_ends(self, pick: int, marker: bytes | None, end: tuple[int, str]) -> None:
        lives = self.on.lives(begun=True, ended=False)
        life = lives[pick % len(lives)]
        self.on.write(life.index, marker)
        self.world.end_worker(life, *end)

    @rule(pick=some, marker=st.sampled_from([GOOD_MARKER, TRUNCATED]))
    @precondition(lambda self: self._writers())
    def worker_writes(self, pick: int, marker: bytes) -> None:
        """A worker that runs writes its marker, perhaps one whose pod is no more."""
        writers = self._writers()
        self.on.write(writers[pick % len(writers)], marker)

    def _writers(self) -> list[int]:
        running = self.on.lives(begun=True, ended=False)
        return [life.index for life in (*running, *self.world.zombies())]

    @rule(pick=some)
    @precondition(lambda self: self.on.lives(begun=True, ended=True))
    def rest_of_pod_ends(self, pick: int) -> None:
        lives = self.on.lives(begun=True, ended=True)
        life = lives[pick % len(lives)]
        if not life.over:
            self.world.end_sidecar(life)

    @rule(pick=some, how=st.sampled_from(["deleted", "evicted", "gone", "runs on"]))
    @precondition(lambda self: self.world.pods())
    def pod_goes(self, pick: int, how: str) -> None:
        """A pod is deleted or evicted, its object goes, or that goes and the worker runs on."""
        lives = self.world.pods()
        life = lives[pick % len(lives)]
        if how == "deleted":
            self.world.delete("pods", life.name)
        elif how == "evicted" and life.begun and life.worker_end is None:
            self.world.evict(life)
        else:
            self.world.remove_pod(life, runs_on=how == "runs on" and life.begun)

    # --- S3, quotas, time

    @rule(trouble=st.sampled_from(TROUBLES), quota=st.booleans(), template=st.booleans())
    def something_is_out_of_order(
        self, trouble: Reason | None, *, quota: bool, template: bool
    ) -> None:
        self.world.store.trouble = trouble
        self.world.quota_full, self.world.template_refused = quota, template

    @rule(seconds=st.sampled_from([0.5, 1.0, 3.0, 6.0, 31.0, 61.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.tick(seconds)

    # --- foreign hands

    @rule(which=some, pick=some)
    def status_is_patched(self, which: int, pick: int) -> None:
        tasks = self.world.all("volumetasks")
        if which % 2 and tasks:
            name = tasks[pick % len(tasks)]["metadata"]["name"]
            self._patch("volumetasks", name, TASK_PATCHES[which % len(TASK_PATCHES)])
        else:
            self._patch("jobs", JOB, JOB_PATCHES[which % len(JOB_PATCHES)])

    def _patch(self, plural: str, name: str, status: dict[str, Any]) -> None:
        self.world.tick()
        self.world.objects.patch(plural, name, {"status": status})

    @rule(pick=some)
    def something_is_deleted(self, pick: int) -> None:
        """Somebody deletes a task, or the Job, and applies that again."""
        tasks = self.world.all("volumetasks")
        if tasks and pick < 10:
            self.world.delete("volumetasks", tasks[pick % len(tasks)]["metadata"]["name"])
        elif pick >= 10:
            self.world.replace_job()

    @rule()
    def garbage_is_collected(self) -> None:
        self.world.collect_garbage()

    # --- what holds between any two steps, and after them

    @invariant()
    def nothing_broke(self) -> None:
        assert not self.broken.records, self.broken.records[0]

    @rule()
    @precondition(lambda self: len(self.on.operators) == 1)
    def come_to_rest(self) -> None:
        self.on.come_to_rest()

    def teardown(self) -> None:
        LOG.removeHandler(self.broken)
        LOG.setLevel(logging.NOTSET)
        if sys.exception() is None and self.stage is not None:  # it has not failed already
            self.stage.play_to_the_end()
