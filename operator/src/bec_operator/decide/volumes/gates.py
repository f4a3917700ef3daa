"""The gates of a job, laid over each other: which volumes wait, and which will never start."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bec_operator.api.dependency import Dependency
from bec_operator.decide.sight.seen import Fact
from bec_operator.decide.volumes.frontier import SHUT_BIT, Frontier, VolumeState
from bec_operator.decide.volumes.gate import Gate, Place, Way
from bec_operator.decide.volumes.ledger import Outcome
from bec_ops.contract.volume import Volume

_TO_SHUT = bytes([0] + [SHUT_BIT] * 255)
_ENDS = bytes(Way.FAIL if way & Way.FAIL else way & Way.SKIP for way in range(256))
_IS_GIVEN_UP = bytes(bool(way & Way.GIVEN_UP) for way in range(256))
_OUTCOME_OF = {Way.SKIP: Outcome.SKIPPED, Way.FAIL: Outcome.FAILED}


@dataclass(frozen=True, slots=True)
class WaitingFor:
    """How many volumes wait for a dependency; `given_up` of them for one that has given them up."""

    name: str
    volumes: int
    given_up: int


class Gates:
    """All gates of a job: a volume may start when each of them is open for it."""

    def __init__(
        self, dependencies: Sequence[Dependency] = (), volumes: Sequence[Volume] = ()
    ) -> None:
        self.dependencies = tuple(dependencies)
        self.gates = [Gate(dependency, volumes) for dependency in dependencies]
        self._total = len(volumes)
        self._ways = bytes(self._total)  # of all gates, laid over each other
        self._ending = False

    def __len__(self) -> int:
        return len(self.gates)

    def __iter__(self) -> Iterator[Gate]:
        return iter(self.gates)

    def fit(self, dependencies: Sequence[Dependency], volumes: Sequence[Volume]) -> bool:
        """Whether these are the gates of a job of these dependencies and so many volumes."""
        return self.dependencies == tuple(dependencies) and self._total == len(volumes)

    def trouble(self, frontier: Frontier) -> Fact | None:
        """Return why S3 does not tell what volumes wait for, if it does not."""
        for gate in self.gates:
            if gate.unreadable is not None:
                return gate.unreadable
            if gate.trouble is not None and gate.seeks(frontier):
                return gate.trouble
            if gate.held.fact is not None and (gate.holds(frontier) or gate.seeks(frontier)):
                return gate.held.fact
        return None

    @property
    def places(self) -> list[Place]:
        """Where the dependencies' artefacts are, of those of which that is known."""
        return [gate.place for gate in self.gates if gate.place is not None]

    def at(self, number: int, place: Place) -> Gate | None:
        """Return the gate of a dependency, if that is still at this place."""
        gate = self.gates[number] if number < len(self.gates) else None
        return gate if gate is not None and gate.place == place else None

    def apply(self, frontier: Frontier) -> None:
        """Let those volumes wait whose gates are shut, and those go whose gates are open."""
        joined = 0
        for gate in self.gates:
            joined |= int.from_bytes(gate.states)
        self._ways = joined.to_bytes(self._total)
        self._ending = any(_ENDS[way] for way in set(self._ways))
        frontier.regate(self._ways.translate(_TO_SHUT))

    def ends(self, frontier: Frontier, most: int) -> Iterator[tuple[int, Outcome]]:
        """Yield up to `most` volumes that will never start, and what becomes of them instead."""
        if not self._ending:
            return
        found = frontier.among(VolumeState.GATED, self._ways.translate(_ENDS))
        for way, outcome in _OUTCOME_OF.items():
            at = -1
            while most > 0 and (at := found.find(way, at + 1)) >= 0:
                yield at, outcome
                most -= 1

    def blamed(self, index: int, outcome: Outcome) -> list[str]:
        """Return the dependencies for which a volume comes to such an end."""
        return [g.name for g in self.gates if _OUTCOME_OF.get(Way(g.states[index])) is outcome]

    def waiting(self, frontier: Frontier) -> list[WaitingFor]:
        """Return how many volumes wait for each dependency, where any do."""
        found = []
        for gate in self.gates:
            states = frontier.among(VolumeState.GATED, gate.states)
            volumes = self._total - states.count(Way.OPEN)
            if volumes:
                found.append(WaitingFor(gate.name, volumes, states.count(Way.GIVEN_UP)))
        return found

    def given_up(self, frontier: Frontier) -> int:
        """Return how many volumes wait for a dependency that has given them up."""
        return frontier.among(VolumeState.GATED, self._ways.translate(_IS_GIVEN_UP)).count(1)
