"""One Job on stage: its world, the guard of the rules, and the operators that are alive."""

import re
from typing import Any

from bec_operator.decide.sight.conditions import find
from bec_ops.contract.protocol import Register, Request
from tests.unit.decide.fence import Teller
from tests.unit.decide.guard import Guard
from tests.unit.decide.kubelet import let_pods_go_on
from tests.unit.decide.plan import Plan
from tests.unit.decide.process import Process
from tests.unit.decide.stepping import Doing
from tests.unit.decide.world import Life, World

# Seconds between the looks until an operator has nothing left to do, and from then on.
# All short time-outs are over by then, and all that workers have told is written down.
SETTLING = [0.1] * 4 + [1.0] * 6 + [3.0] * 5 + [6.0] * 3 + [31.0, 1.0, 3.0, 3.0, 61.0, 3.0, 301.0]
SETTLING += [3.0] * 9
RESTING = [1.0, 5.0, 60.0, 61.0, 300.0, 600.0, 1000.0, 1500.0]
ROUNDS = 200  # more than the longest plan needs


class Stage:
    """What the state machine's rules, and its end, are made of."""

    def __init__(self, plan: Plan) -> None:
        self.world = World(plan)
        self.guard = Guard(self.world)
        self.operators: list[Process] = []
        self.start()

    # --- operators

    def start(self) -> None:
        """Start an operator."""
        world = self.world
        self.guard.note_start()
        world.list.note_loss()
        self.operators.append(
            Process(
                self.guard.answer,
                world.store,
                world.clock,
                world.objects.changes,
                world.received,
            )
        )
        self.guard.alone = self.guard.alone and len(self.operators) == 1

    def kill(self, operator: Process) -> None:
        """End an operator where it stands."""
        operator.die()
        self.operators.remove(operator)

    def look(self, operator: Process) -> None:
        """Let an operator make one pass."""
        self.world.tick(0.05)
        before = list(operator.under_way)
        operator.look()
        begun = [doing.label for doing in operator.under_way if doing not in before]
        self.guard.check_pass(operator, begun)

    def step(self, operator: Process, doing: Doing, how: str) -> None:
        """Carry a request "out", let its "answer" arrive, or let one of both be "lost"."""
        self.world.tick()
        assert doing.call is not None
        if how == "out":
            doing.call.carry_out()
        elif how == "answer":
            operator.get_answer(doing)
        else:
            self.world.list.note_loss()
            operator.lose_answer(doing)

    def do_all(self, operator: Process) -> None:
        """Let an operator hear all, make one pass, and do what it decides."""
        operator.hear_all()
        self.look(operator)
        while operator.under_way:
            self.step(operator, operator.under_way[0], "answer")

    def let_pass(self, waits: list[float]) -> None:
        """Let time pass, with all operators at work and nothing else happening."""
        for seconds in waits:
            self.world.tick(seconds)
            for operator in self.operators:
                self.do_all(operator)

    # --- workers that call

    def call(self, operator: Process, teller: Teller, request: Request) -> None:
        """Let a process of a pod call an operator; the answer may take its time."""
        self.world.tick()

        def answered(answer: Any) -> None:
            self.guard.fence.judge(operator, teller, request, answer, alone=self.guard.alone)

        operator.take_call(teller.identity, request, answered)

    def register(self, operator: Process, teller: Teller) -> None:
        """Let a process introduce itself."""
        self.call(operator, teller, Register(process=teller.process))

    # --- pods

    def lives(self, *, begun: bool, ended: bool) -> list[Life]:
        """Return the pods whose workers have begun, or not, and have ended, or not."""
        return [
            life
            for life in self.world.pods()
            if life.begun is begun and (life.worker_end is not None) is ended
        ]

    def reached(self, *, ended: bool) -> list[Life]:
        """Return the pods that have begun and whose nodes are heard of, by whether they ended."""
        lives = self.lives(begun=True, ended=ended)
        return [life for life in lives if life.node not in self.world.down]

    def write(self, index: int, marker: bytes | None) -> None:
        """Let somebody write a marker; a valid one stays as it is."""
        if marker is not None and not self.world.has_marker(index):
            self.world.write_marker(index, marker)

    def let_pods_end(self) -> None:
        """Let every pod go on: begin, end as the plan says, or go."""
        let_pods_go_on(self.world)

    # --- troubles

    @property
    def is_troubled(self) -> bool:
        """Whether S3 or the API server refuses something."""
        world = self.world
        refused = world.quota_full or world.template_refused or self.guard.misconfigured
        refused = refused or self.is_tripped or world.suspended or world.list.is_bad
        return bool(world.store.trouble) or refused

    @property
    def is_tripped(self) -> bool:
        """Whether an operator launches nothing but probes."""
        memories = [operator.memory for operator in self.operators]
        return any(memory is not None and memory.breaker.tripped for memory in memories)

    def end_troubles(self) -> None:
        """Bring all in order."""
        world = self.world
        world.store.trouble, world.quota_full, world.template_refused = None, False, False
        world.kubelet_away = world.received.away = False
        for node in list(world.down):
            world.bring_back(node)
        if world.list.is_bad:
            world.list.heal()
        if self.guard.misconfigured:
            world.correct_job()
        if world.suspended:
            world.edit_job({"suspend": False})

    # --- what must hold when nothing happens, and at the end

    def come_to_rest(self) -> None:
        """Rule 8: if nothing changes, nothing is written; rule 7: the window is full."""
        self.let_pass(SETTLING)
        if self.is_tripped:
            return  # probes go on
        before = len(self.guard.writes)
        self.let_pass(RESTING)
        assert self.guard.writes[before:] == [], f"rule 8: {self.guard.writes[before:][:3]}"
        self._check_list()
        self._check_window()

    def _check_list(self) -> None:
        """What is new in the list is in the manifest, what is gone from it is told."""
        status, ledger = self.guard.status(), self.guard.ledger()
        if self.is_troubled or self.guard.is_hopeless() or ledger is None or status.terminal:
            return
        members = set(self.world.list.members)
        assert members <= set(range(len(ledger))), f"{members} are listed, {len(ledger)} frozen"
        ready = find(status, "Ready")
        told = re.search(r"(\d+) volumes? (?:is|are) no longer", ready.message if ready else "")
        gone = len(ledger) - len(members)
        assert (int(told[1]) if told else 0) == gone, f"rule 6: {gone} are gone, {ready}"

    def _check_window(self) -> None:
        world = self.world
        if self.is_troubled or self.guard.is_hopeless() or self.guard.ledger() is None:
            return  # the last: an older Job's ledger has its name
        if world.old_pods():
            return  # some tasks wait for them, and have their slots
        could_run = [i for i in range(self.guard.total()) if self.guard.could_run(i)]
        expected = min(len(could_run), world.plan.parallelism)
        held = self.guard.active() + self.guard.lingering()
        assert held >= expected, f"rule 7: {could_run} could run, and wait"

    def play_to_the_end(self) -> None:
        """Make all well, let one operator and the pods go on, and compare with the truth."""
        self.end_troubles()
        while len(self.operators) > 1:
            self.kill(self.operators[-1])
        if not self.operators:
            self.start()
        for _ in range(ROUNDS):
            self.let_pass([3.0] * 4)
            if self.guard.status().terminal:
                break
            self.let_pods_end()
            self.end_troubles()
        self.guard.check_end()
        self._check_rest()

    def _check_rest(self) -> None:
        """What is left when a Job has ended: its history, and nobody who writes."""
        for _ in range(3):
            self.let_pass([3.0] * 4)
            self.let_pods_end()
        self.come_to_rest()
        if self.world.plan.results:
            self.guard.check_delivered()
        plan, tasks = self.world.plan, self.world.all("volumetasks")
        phases = [(task.get("status") or {}).get("phase") for task in tasks]
        assert set(phases) <= {"Succeeded", "Failed"}
        if self.guard.alone:
            assert phases.count("Succeeded") <= plan.keep_succeeded
            assert phases.count("Failed") <= plan.keep_failed
