"""Several Jobs that depend on each other, decided by the real code, with a world of a few dicts.

What a task does is told by the test; there are no pods. `machine` tests one Job with all that may
happen to it; here it is only about who may start when.
"""

import json
from dataclasses import dataclass, field, replace
from typing import Any

from bec_operator.api.job import JobSpec
from bec_operator.api.names import task_name
from bec_operator.api.volume_task import Attempt
from bec_operator.decide.actions import (
    Action,
    CheckStorage,
    CheckTemplate,
    CompileReport,
    CreateTask,
    LoadEnded,
    LoadManifest,
    LookAtList,
    ReadMarker,
    SaveLedger,
    SettleUntried,
    Sweep,
    SweepGate,
    WriteStatus,
)
from bec_operator.decide.dependencies import depend_on, judge_gates
from bec_operator.decide.failures import FailureClass
from bec_operator.decide.gates import Record
from bec_operator.decide.growth import settled
from bec_operator.decide.job import Seen, decide
from bec_operator.decide.ledger import Honoured, Ledger, Outcome
from bec_operator.decide.memory import Memory
from bec_operator.decide.seen import Fact, JobSeen, ListSeen, MarkerSeen, MarkerState, TaskSeen
from bec_operator.decide.window import Standings
from bec_ops.volume import Volume

AWAY = "StorageUnavailable"
TORN = Attempt(number=1, pod="p", failure=FailureClass.TERMINAL.label, message="torn")


def spec(*depends_on: dict[str, Any], **more: Any) -> JobSpec:
    """Return the spec of a Job; its volumes are the farm's affair."""
    return JobSpec.model_validate(
        {
            "volumes": {"manifest": {"uri": "s3://b/list.csv"}},
            "worker": {"template": {"spec": {"containers": [{"name": "worker"}]}}},
            "output": {"bucket": "b"},
            "maxFailed": "100%",
            "dependsOn": list(depends_on),
            **more,
        }
    )


@dataclass
class Farm:
    """The Jobs, and what is true of them. `markers` are of a job's id and a volume."""

    jobs: dict[str, JobSeen] = field(default_factory=dict)
    memories: dict[str, Memory] = field(default_factory=dict)
    markers: set[tuple[str, Volume]] = field(default_factory=set)
    tasks: dict[str, dict[int, TaskSeen]] = field(default_factory=dict)
    reports: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    s3_away: bool = False
    now: float = 1_800_000_000.0
    loads: int = 0  # of ledgers of Jobs that have ended
    sweeps: int = 0  # of places of dependencies
    _lists: dict[str, list[Volume]] = field(default_factory=dict)
    _stored: dict[str, tuple[bytes, int]] = field(default_factory=dict)
    _turns: dict[str, tuple[Honoured, Honoured]] = field(default_factory=dict)

    # --- people

    def apply(self, name: str, volumes: list[Volume], made: JobSpec) -> None:
        """Make a Job."""
        self._lists[name], self.tasks[name], self.reports[name] = volumes, {}, []
        self._stored.pop(name, None)
        self.jobs[name] = JobSeen("ns", name, f"uid-{name}", 1, 1, f"{self.now}", made)

    def edit(self, name: str, made: JobSpec) -> None:
        """Change the spec of a Job."""
        job = self.jobs[name]
        self.jobs[name] = replace(job, spec=made, generation=job.generation + 1)

    def lengthen(self, name: str, *volumes: Volume) -> None:
        """Add volumes to the list of a Job."""
        self._lists[name] = [*self._lists[name], *volumes]

    def delete(self, name: str) -> None:
        """Delete a Job; its artefacts stay."""
        del self.jobs[name], self.tasks[name]
        self.memories.pop(name, None)

    # --- the operator

    def restart(self) -> None:
        """Lose all that is only remembered."""
        self.memories.clear()

    def look(self, name: str) -> None:
        """Make one pass over a Job, and do what is decided."""
        self.now += 0.05
        memory = self.memories.get(name)
        if memory is None:
            memory = self.memories[name] = Memory(self.jobs[name])
        memory.observe_job(self.jobs[name])
        memory.turn_back(self.now)
        memory.observe(list(self.tasks[name].values()), {}, self.now)
        memory.facts.conflict = Fact(self.now)
        if not (memory.job.status.terminal and memory.ledger is None):
            for unread in judge_gates(memory, self.memories, self.now):
                self.memories[unread].ended_wanted = True
        for other in self.memories.values():
            asked = any(depend_on(each, other.job.name) for each in self.memories.values())
            if other.ended_wanted and not asked:
                other.let_record_go()
        standings = Standings.of(memory, {})
        for action in decide(Seen(memory, {}, self.now, standings=standings)):
            self._do(memory, action)

    def settle_down(self, seconds: float = 0.0) -> None:
        """Let the operator do all that it can, tasks apart."""
        self.now += seconds
        for _ in range(8):
            for name in list(self.jobs):
                self.look(name)
            self.now += 1.0

    def finish(self, name: str, index: int, *, well: bool = True) -> None:
        """Let a task end; what became of it is stored at once."""
        memory = self.memories[name]
        task = self.tasks[name].pop(index)
        if well:
            self.markers.add((name, self._lists[name][index]))
            memory.settle(task, Outcome.SUCCEEDED, None, self.now)
        else:
            failed = replace(task, attempts=(TORN,))
            memory.settle(failed, Outcome.FAILED, FailureClass.TERMINAL, self.now)
        self._save(memory)

    # --- what there is to be seen

    def volumes(self, name: str) -> list[Volume]:
        """Return the volumes of a Job."""
        return self._lists[name]

    def ledger(self, name: str) -> Ledger:
        """Return the stored ledger of a Job."""
        if name not in self._stored:
            total = len(self._lists[name])
            return Ledger.fresh(_digest(name, total), total)
        packed, total = self._stored[name]
        return Ledger.decode(_digest(name, total), packed, total, *self._turns[name])

    def outcomes(self, name: str) -> list[Outcome]:
        """Return what is stored of the volumes of a Job."""
        ledger = self.ledger(name)
        return [ledger.outcome(index) for index in range(len(ledger))]

    def says(self, name: str, kind: str = "Stalled") -> tuple[str, str]:
        """Return reason and message of a condition of a Job; both empty if it is false."""
        found = next((c for c in self.jobs[name].status.conditions if c.type == kind), None)
        true = found is not None and found.status == "True"
        return (found.reason, found.message) if found is not None and true else ("", "")

    # --- what actions do

    def _do(self, memory: Memory, action: Action) -> None:
        """Do what touches nothing but the API server, which always answers."""
        name = memory.job.name
        match action:
            case CheckTemplate():
                memory.facts.template = Fact(self.now)
            case CreateTask(index=index):
                self._create(memory, index)
            case SaveLedger():
                self._save(memory)
            case SettleUntried(index=index, outcome=outcome):
                memory.settle_untried(index, outcome)
            case WriteStatus(status=status):
                self.jobs[name] = replace(self.jobs[name], status=status)
                memory.written_at = self.now
                if status.terminal:
                    memory.forget()
            case _:
                trouble = Fact(self.now, AWAY, "S3 does not answer") if self.s3_away else None
                self._ask_s3(memory, action, trouble)

    def _ask_s3(self, memory: Memory, action: Action, trouble: Fact | None) -> None:
        name = memory.job.name
        match action:
            case CheckStorage():
                memory.facts.storage = trouble or Fact(self.now)
            case LoadManifest() if trouble is None:
                record = self._record(name)
                prefixes = [f"{volume}/" for volume in record.volumes]
                memory.load(record.volumes, prefixes, record.ledger, self.now)
            case Sweep() if trouble is None:
                done = (i for i, v in enumerate(memory.volumes) if (name, v) in self.markers)
                memory.note_swept(frozenset(done), len(memory.volumes), self.now)
            case ReadMarker(index=index):
                memory.note_reading_begun(index)
                memory.note_reading(index, self._read(memory, index), trouble)
            case CompileReport() if trouble is None and memory.ledger is not None:
                memory.report.compiled = memory.ledger.changes
            case LookAtList():
                self._look_at_list(memory, trouble)
            case SweepGate():
                self._sweep(memory, action, trouble)
            case LoadEnded():
                self.loads += 1
                memory.note_ended(None if trouble else self._record(name), trouble)

    def _record(self, name: str) -> Record:
        ledger = self.ledger(name)
        return Record(self._lists[name][: len(ledger)], ledger)

    def _read(self, memory: Memory, index: int) -> MarkerSeen:
        if self.s3_away:
            return MarkerSeen(MarkerState.UNKNOWN, self.now)
        stands = (memory.job.name, memory.volumes[index]) in self.markers
        return MarkerSeen(MarkerState.VALID if stands else MarkerState.ABSENT, self.now)

    def _create(self, memory: Memory, index: int) -> None:
        name, volume = memory.job.name, memory.volumes[index]
        assert memory.job.spec is not None
        for dependency in memory.job.spec.depends_on:
            marker = (dependency.name, volume)
            assert marker in self.markers, f"{name} starts {volume} before {dependency.name}"
        self.tasks[name][index] = TaskSeen(
            "ns", task_name(name, volume), f"{name}-{index}", 1, name, memory.job.uid, index
        )

    def _sweep(self, memory: Memory, action: SweepGate, trouble: Fact | None) -> None:
        self.sweeps += 1
        gate = memory.gates.at(action.number, action.place)
        assert gate is not None
        for index in gate.sought(memory.frontier) if trouble is None else ():
            if (action.place.job_id, memory.volumes[index]) in self.markers:
                gate.note_found(index)
        gate.note_sweep(trouble, cursor=0, again_at=self.now + 60.0)

    def _look_at_list(self, memory: Memory, trouble: Fact | None) -> None:
        """See what is new in a list; it is at its end."""
        assert memory.ledger is not None
        generation, done = memory.job.generation, settled(memory.ledger)
        memory.listed = ListSeen(self.now, generation, done, unknown=trouble is not None)
        if trouble is None:
            memory.added = self._lists[memory.job.name][len(memory.volumes) :]

    def _save(self, memory: Memory) -> None:
        assert memory.ledger is not None
        if memory.added:
            prefixes = [f"{volume}/" for volume in memory.added]
            total = len(memory.volumes) + len(prefixes)
            memory.lengthen(memory.added, prefixes, _digest(memory.job.name, total))
        self._stored[memory.job.name] = (memory.ledger.encode(), len(memory.ledger))
        self._turns[memory.job.name] = (memory.ledger.retried, memory.ledger.redone)
        self.reports[memory.job.name] += [
            json.loads(line.dump()) for line in memory.failures.values()
        ]
        memory.failures.clear()
        memory.ledger.unsaved.clear()
        memory.ledger.turned = False
        memory.saved_at = self.now


def _digest(name: str, total: int) -> str:
    return f"{name}-{total}"
