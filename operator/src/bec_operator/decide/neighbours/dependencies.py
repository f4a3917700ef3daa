"""What a Job waits for, judged beside the other Jobs of its namespace: shut gates, cycles, gaps."""

from collections.abc import Mapping, Sequence

from bec_operator.api.dependency import Dependency
from bec_operator.api.job import JobPhase
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.seen import Fact
from bec_operator.decide.volumes.gate import Gate, Outcomes, Place, answers
from bec_operator.decide.volumes.gates import Gates


def find_cycle(start: str, needs: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the Jobs of a shortest cycle through `start`, which begins and ends it; empty if none.

    `needs` has the names of the Jobs that each Job depends on.
    """
    came_from = {start: ""}
    row = [start]
    for name in row:  # it grows meanwhile
        for needed in needs.get(name, ()):
            if needed == start:
                return [*_path(name, came_from), start]
            if needed not in came_from:
                came_from[needed] = name
                row.append(needed)
    return []


def _path(name: str, came_from: Mapping[str, str]) -> list[str]:
    path = [name]
    while came_from[path[-1]]:
        path.append(came_from[path[-1]])
    return path[::-1]


def has_gates(memory: Memory) -> bool:
    """Whether a job depends on others, or did when it was last looked at."""
    spec = memory.job.spec
    return bool(memory.books.gates) or (spec is not None and bool(spec.depends_on))


def judge_gates(memory: Memory, others: Mapping[str, Memory], now: float) -> list[str]:
    """Derive the gates of a job from what is known of the others of its namespace, by name.

    Returns those that have ended and whose ledger has to be read first.
    """
    spec = memory.job.spec
    if spec is None:
        return []
    if not has_gates(memory):
        memory.learn("gates", Fact(now))
        return []
    if not memory.books.gates.fit(spec.depends_on, memory.books.volumes):
        memory.books.gates = Gates(spec.depends_on, memory.books.volumes)
    cycle = find_cycle(memory.job.name, {name: _needs(other) for name, other in others.items()})
    unread = []
    for gate in memory.books.gates:
        if cycle:
            gate.shut()
        elif not _follow(gate, others, now):
            unread.append(gate.dependency.job or "")
    if memory.ledger is not None:
        memory.books.gates.apply(memory.books.frontier)
    memory.learn("gates", _fact(memory.books.gates, cycle, others, now))
    return unread


def _needs(memory: Memory) -> list[str]:
    dependencies: Sequence[Dependency] = memory.job.spec.depends_on if memory.job.spec else ()
    return [dependency.job for dependency in dependencies if dependency.job is not None]


def depend_on(memory: Memory, name: str) -> bool:
    """Whether a job depends on the Job of a name, and may still wait for it."""
    ended = memory.ledger is None and memory.job.status.terminal
    return not ended and name in _needs(memory)


def _follow(gate: Gate, others: Mapping[str, Memory], now: float) -> bool:
    """Derive one gate; return False if its job has ended, and its ledger has to be read first."""
    dependency = gate.dependency
    if dependency.job is None:
        assert dependency.job_id is not None
        assert dependency.output is not None
        at = dependency.output
        gate.locate(Place(dependency.job_id, at.bucket, at.prefix))
        gate.follow_artefacts()
        return True
    other = others.get(dependency.job)
    if other is None or other.job.spec is None:
        gate.shut()
        return True
    ended = other.ledger is None and other.job.status.terminal
    gate.unreadable = other.ends.unreadable if ended else None
    record = other.ends.outcomes if ended else None
    if other.ledger is not None:
        record = Outcomes(other.books.volumes, other.ledger)
    if record is None:
        gate.shut()
        return not ended
    output, ledger, spec = other.job.spec.output, record.ledger, other.job.spec
    gate.locate(Place(other.job.job_id, output.bucket, output.prefix, ledger.redone.moment))
    if ledger.redone.due(spec.redo_at, now) is not None:
        gate.shut()  # whatever it says is about to be done again
        return True
    stand = not other.job.deleting and ledger.retried.due(spec.retry_failed_at, now) is None
    given_up = ended and other.job.status.phase is JobPhase.FAILED
    ways = answers(dependency.on_failure, failures_stand=stand, ended=given_up)
    gate.follow(record, ways)
    return True


def _fact(gates: Gates, cycle: list[str], others: Mapping[str, Memory], now: float) -> Fact | None:
    """Say what of the dependencies keeps the job from launching anything at all.

    None: it is not yet known where all of them write, which its workers are told.
    """
    if cycle:
        return Fact(
            now,
            "DependencyCycle",
            f"spec.dependsOn: {' → '.join(cycle)}: none of these Jobs could ever start; take one "
            "of them out of another's dependsOn",
        )
    for name in [gate.dependency.job for gate in gates if gate.dependency.job is not None]:
        if name not in others:
            return Fact(
                now,
                "DependencyMissing",
                f"Job {name} is not there; apply it, or name its artefacts with jobId and output",
            )
        if others[name].job.spec is None:
            return Fact(now, "DependencyMissing", f"Job {name}: {others[name].job.problem}")
    return Fact(now) if len(gates.places) == len(gates) else None
