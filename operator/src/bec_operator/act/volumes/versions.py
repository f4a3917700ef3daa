"""Finds the versions of volumes that came without one."""

from collections.abc import Mapping
from dataclasses import dataclass

from bec_operator.act.ground.context import Context
from bec_operator.act.volumes.version_ways import ask_for_versions
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.memory.version_findings import note_no_version, note_version
from bec_operator.decide.sight.seen import Fact
from bec_operator.decide.volumes.actions import FindVersions
from bec_operator.decide.volumes.ledger import Ledger
from bec_ops.contract.location import OutputTemplate
from bec_ops.contract.volume import Volume


@dataclass(slots=True)
class _Finding:
    """What becomes of one look for versions: it is noted bit by bit, so some begin soon."""

    memory: Memory
    ledger: Ledger | None
    volumes: Mapping[int, Volume]
    template: OutputTemplate
    generation: int
    trouble: Fact | None = None  # why some could not be found out

    def found(self, index: int, version: str) -> None:
        """Take in a version, if a place for the outputs can be made of it."""
        try:
            volume = self.volumes[index]._replace(i_version=version)
            self.template.prefix(self.memory.job.job_id, volume)
        except ValueError as error:
            self.missing(index, f"its version is of no use: {error}")
            return
        if self._counts:
            note_version(self.memory, index, version)

    def missing(self, index: int, why: str) -> None:
        """Take in that there is none, for good."""
        if self._counts:
            note_no_version(self.memory, index, why)

    @property
    def _counts(self) -> bool:
        """Whether the volumes are still those that were meant, and so is the way."""
        memory = self.memory
        return memory.ledger is self.ledger and memory.job.generation == self.generation


async def find_versions(ctx: Context, memory: Memory, action: FindVersions) -> None:
    """Find the versions of the volumes that `action` names."""
    spec, ledger = memory.job.spec, memory.ledger
    if spec is None or spec.volumes.versions is None or ledger is None:
        return
    volumes = {index: memory.books.volumes[index] for index in action.indices}
    way, template = spec.volumes.versions, OutputTemplate.parse(memory.output.prefix)
    finding = _Finding(memory, ledger, volumes, template, memory.job.generation)
    await ask_for_versions(ctx, way, finding)
    if memory.ledger is ledger:
        last = 0 if action.over else action.indices[-1] + 1
        memory.books.versions.note_looked(finding.trouble, last)
