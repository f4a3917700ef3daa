"""The state machine: operators that die at any instant, pods that end in any way, foreign hands.

Each example is one Job in one world. The rules are checked at every request (`guard`); when all
steps are done the Job is driven to its end, and every count is compared with the truth.
"""

import logging
import sys
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bec_operator.decide.ledger import Outcome
from bec_ops.store import Reason
from tests.unit.decide.guard import FOREIGN_TOTAL, Guard
from tests.unit.decide.process import JOB, WATCHED, Process
from tests.unit.decide.stepping import Doing
from tests.unit.decide.world import GOOD_MARKER, Life, Plan, World

TRUNCATED = GOOD_MARKER[:20]
# Seconds between the looks until an operator has nothing left to do, and from then on.
SETTLING = [0.1] * 4 + [1.0] * 6 + [3.0] * 5 + [6.0] * 3 + [31.0, 1.0, 3.0, 3.0, 61.0, 3.0, 3.0]
RESTING = [1.0, 5.0, 60.0, 61.0, 300.0, 600.0, 1000.0, 1500.0]
ROUNDS = 400  # more than the longest plan needs

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

some = st.integers(0, 11)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Draw a Job, and the world it is in."""
    volumes = draw(st.integers(1, 12))
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
    """All that can happen to one Job."""

    most_operators = 2

    def __init__(self) -> None:
        super().__init__()
        self.broken = _Broken()
        logging.getLogger("bec_operator").addHandler(self.broken)
        self.operators: list[Process] = []

    @initialize(plan=plans())
    def apply(self, plan: Plan) -> None:
        self.world = World(plan)
        self.guard = Guard(self.world)
        self._start()

    # --- operators

    @rule()
    @precondition(lambda self: len(self.operators) < self.most_operators)
    def start(self) -> None:
        self._start()

    def _start(self) -> None:
        world = self.world
        self.operators.append(
            Process(self.guard.answer, world.store, world.clock, world.objects.changes)
        )
        self.guard.alone = self.guard.alone and len(self.operators) == 1

    @rule(which=some)
    @precondition(lambda self: self.operators)
    def die(self, which: int) -> None:
        """End an operator between two requests, or between one and its answer."""
        self._kill(self._operator(which))

    def _kill(self, operator: Process) -> None:
        operator.die()
        self.operators.remove(operator)

    @rule(which=some)
    @precondition(lambda self: self.operators)
    def look(self, which: int) -> None:
        self._look(self._operator(which))

    @rule(which=some, plural=st.sampled_from(WATCHED), most=st.sampled_from([1, 3, -1]))
    @precondition(lambda self: self.operators)
    def hear(self, which: int, plural: str, most: int) -> None:
        self._operator(which).hear(plural, most)

    @rule(which=some)
    @precondition(lambda self: self.operators)
    def list_again(self, which: int) -> None:
        self._operator(which).list_again()

    @rule(which=some, pick=some, how=st.sampled_from(["out", "answer", "answer", "lost"]))
    @precondition(lambda self: any(o.under_way for o in self.operators))
    def step(self, which: int, pick: int, how: str) -> None:
        """Carry one request out, let its answer arrive, or lose one of the two."""
        operator = self._operator(which)
        if operator.under_way:
            self._step(operator, operator.under_way[pick % len(operator.under_way)], how)

    @rule(which=some, order=st.lists(some, min_size=1, max_size=8), dies=st.booleans())
    @precondition(lambda self: self.operators)
    def go_on(self, which: int, order: list[int], dies: bool) -> None:
        """Let an operator do some of what is to be done, and perhaps die right after."""
        operator = self._operator(which)
        for pick in order:
            if not operator.under_way:
                operator.hear_all()
                self._look(operator)
            if operator.under_way:
                self._step(operator, operator.under_way[pick % len(operator.under_way)], "answer")
        if dies:
            self._kill(operator)

    @rule(which=some, passes=st.integers(1, 6))
    @precondition(lambda self: self.operators)
    def catch_up(self, which: int, passes: int) -> None:
        """Let an operator do all that is to be done."""
        for _ in range(passes):
            self._do_all(self._operator(which))

    def _operator(self, which: int) -> Process:
        return self.operators[which % len(self.operators)]

    def _look(self, operator: Process) -> None:
        self.world.tick(0.05)
        operator.look()

    def _step(self, operator: Process, doing: Doing, how: str) -> None:
        self.world.tick()
        assert doing.call is not None
        if how == "out":
            doing.call.carry_out()
        elif how == "answer":
            operator.get_answer(doing)
        else:
            operator.lose_answer(doing)

    def _do_all(self, operator: Process) -> None:
        operator.hear_all()
        self._look(operator)
        while operator.under_way:
            self._step(operator, operator.under_way[0], "answer")

    # --- pods and workers

    def _lives(self, *, begun: bool, ended: bool) -> list[Life]:
        return [
            life
            for life in self.world.pods()
            if life.begun is begun and (life.worker_end is not None) is ended
        ]

    @rule(pick=some)
    @precondition(lambda self: self._lives(begun=False, ended=False))
    def pod_starts(self, pick: int) -> None:
        lives = self._lives(begun=False, ended=False)
        self.world.start(lives[pick % len(lives)])

    @rule(
        pick=some,
        marker=st.sampled_from([GOOD_MARKER, GOOD_MARKER, None, TRUNCATED]),
        end=st.sampled_from(
            [(0, "Completed"), (0, "Completed"), (1, "Error"), (65, "Error"), (137, "OOMKilled")]
        ),
    )
    @precondition(lambda self: self._lives(begun=True, ended=False))
    def worker_ends(self, pick: int, marker: bytes | None, end: tuple[int, str]) -> None:
        lives = self._lives(begun=True, ended=False)
        life = lives[pick % len(lives)]
        self._write(life.index, marker)
        self.world.end_worker(life, *end)

    @rule(pick=some, marker=st.sampled_from([GOOD_MARKER, TRUNCATED]))
    @precondition(lambda self: self._lives(begun=True, ended=False))
    def worker_writes(self, pick: int, marker: bytes) -> None:
        lives = self._lives(begun=True, ended=False)
        self._write(lives[pick % len(lives)].index, marker)

    def _write(self, index: int, marker: bytes | None) -> None:
        if marker is not None and not self.world.has_marker(index):
            self.world.write_marker(index, marker)

    @rule(pick=some)
    @precondition(lambda self: self._lives(begun=True, ended=True))
    def rest_of_pod_ends(self, pick: int) -> None:
        lives = self._lives(begun=True, ended=True)
        life = lives[pick % len(lives)]
        if not life.over:
            self.world.end_sidecar(life)

    @rule(pick=some)
    @precondition(lambda self: self.world.pods())
    def pod_is_deleted(self, pick: int) -> None:
        """Somebody deletes a pod: before it runs, while it does, or just after its end."""
        lives = self.world.pods()
        self.world.delete("pods", lives[pick % len(lives)].name)

    @rule(pick=some)
    @precondition(lambda self: self._lives(begun=True, ended=False))
    def pod_is_evicted(self, pick: int) -> None:
        lives = self._lives(begun=True, ended=False)
        self.world.evict(lives[pick % len(lives)])

    @rule(pick=some, marker=st.booleans(), runs_on=st.booleans())
    @precondition(lambda self: self.world.pods())
    def pod_vanishes(self, pick: int, marker: bool, runs_on: bool) -> None:
        """A pod's object goes: its grace is over, or its node is lost and it may run on."""
        lives = self.world.pods()
        life = lives[pick % len(lives)]
        if marker and life.begun and life.worker_end is None:
            self._write(life.index, GOOD_MARKER)
        self.world.remove_pod(life, runs_on=runs_on and life.begun)

    @rule(pick=some)
    @precondition(lambda self: any(life.zombie for life in self.world.lives.values()))
    def zombie_writes(self, pick: int) -> None:
        zombies = [life for life in self.world.lives.values() if life.zombie]
        self._write(zombies[pick % len(zombies)].index, GOOD_MARKER)

    # --- S3, quotas, time

    @rule(trouble=st.sampled_from([None, None, "Unavailable", "Forbidden"]))
    def s3_is(self, trouble: Reason | None) -> None:
        self.world.store.trouble = trouble

    @rule(quota=st.booleans(), template=st.booleans())
    def pods_are_refused(self, quota: bool, template: bool) -> None:
        self.world.quota_full, self.world.template_refused = quota, template

    @rule(seconds=st.sampled_from([0.5, 1.0, 3.0, 6.0, 31.0, 61.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.tick(seconds)

    # --- foreign hands

    @rule(which=some)
    def job_is_patched(self, which: int) -> None:
        status = JOB_PATCHES[which % len(JOB_PATCHES)]
        self.world.objects.patch("jobs", JOB, {"status": status})

    @rule(pick=some, which=some)
    @precondition(lambda self: self.world.all("volumetasks"))
    def task_is_patched(self, pick: int, which: int) -> None:
        tasks, status = self.world.all("volumetasks"), TASK_PATCHES[which % len(TASK_PATCHES)]
        name = tasks[pick % len(tasks)]["metadata"]["name"]
        self.world.objects.patch("volumetasks", name, {"status": status})

    @rule()
    def job_is_replaced(self) -> None:
        self.world.replace_job()

    @rule(pick=some)
    @precondition(lambda self: self.world.all("volumetasks"))
    def task_is_deleted(self, pick: int) -> None:
        tasks = self.world.all("volumetasks")
        self.world.delete("volumetasks", tasks[pick % len(tasks)]["metadata"]["name"])

    @rule()
    def garbage_is_collected(self) -> None:
        self.world.collect_garbage()

    # --- what holds between any two steps

    @invariant()
    def nothing_broke(self) -> None:
        assert not self.broken.records, self.broken.records[0]

    @rule()
    @precondition(lambda self: len(self.operators) == 1)
    def come_to_rest(self) -> None:
        """Rule 9: if nothing changes, nothing is written; rule 7: the window is full."""
        self._let_pass(SETTLING)
        before = len(self.guard.writes)
        self._let_pass(RESTING)
        assert self.guard.writes[before:] == [], f"rule 9: {self.guard.writes[before:][:3]}"

    def _let_pass(self, waits: list[float]) -> None:
        """Let time pass, with all operators at work and nothing else happening."""
        for seconds in waits:
            self.world.tick(seconds)
            for operator in self.operators:
                self._do_all(operator)

    # --- the end

    def teardown(self) -> None:
        logging.getLogger("bec_operator").removeHandler(self.broken)
        if sys.exception() is not None or not hasattr(self, "world"):
            return  # it has failed already
        self._make_all_well()
        for _ in range(ROUNDS):
            self._settle_shortly()
            if self.guard.status().terminal:
                break
            self._let_pods_end()
        self._check_end()

    def _make_all_well(self) -> None:
        world = self.world
        world.store.trouble, world.quota_full, world.template_refused = None, False, False
        while len(self.operators) > 1:
            self._kill(self.operators[-1])
        if not self.operators:
            self._start()

    def _settle_shortly(self) -> None:
        self._let_pass([3.0] * 4)

    def _let_pods_end(self) -> None:
        world = self.world
        while world.collect_garbage():
            pass
        for life in world.pods():
            deleting = (
                "deletionTimestamp" in (world.objects.get("pods", life.name) or {})["metadata"]
            )
            if deleting:
                world.remove_pod(life)
            elif not life.begun:
                world.start(life)
            elif life.worker_end is None:
                done = life.index not in world.plan.hopeless
                self._write(life.index, GOOD_MARKER if done else None)
                world.end_worker(life, 0 if done else 1)
            elif not life.over:
                world.end_sidecar(life)

    def _check_end(self) -> None:
        world, guard = self.world, self.guard
        status, ledger = guard.status(), guard.ledger()
        assert status.terminal, f"the Job never ends: {status}"
        assert ledger is not None
        for index in range(world.plan.volumes):
            outcome = ledger.outcome(index)
            if outcome is Outcome.SUCCEEDED:
                assert world.has_marker(index)
            elif outcome is Outcome.FAILED:
                assert guard.reported(index)
        done_before = len(world.plan.done_before)
        assert done_before <= status.counts.already_done <= status.counts.succeeded
        self._check_rest()

    def _check_rest(self) -> None:
        """What is left when a Job has ended: its history, and nobody who writes."""
        for _ in range(3):
            self._let_pass([3.0] * 4)
            self._let_pods_end()
        self.come_to_rest()
        phases = [(task.get("status") or {}).get("phase") for task in self.world.all("volumetasks")]
        assert set(phases) <= {"Succeeded", "Failed"}
        if self.guard.alone:
            assert phases.count("Succeeded") <= self.world.plan.keep_succeeded
            assert phases.count("Failed") <= self.world.plan.keep_failed
