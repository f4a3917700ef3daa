"""What can be done about the volumes of a job: their list, their markers, what became of them."""

from dataclasses import dataclass

from bec_operator.decide.sight.action import Action
from bec_operator.decide.sight.seen import Rival
from bec_operator.decide.volumes.gate import Place
from bec_operator.decide.volumes.inbox import MOST


@dataclass(frozen=True, slots=True)
class CheckStorage(Action):
    """See whether the bucket is there, and may be listed and read."""


@dataclass(frozen=True, slots=True)
class LoadManifest(Action):
    """Read the volumes: the frozen manifest and its ledger, or else the source, and freeze it."""


@dataclass(frozen=True, slots=True)
class LookAtList(Action):
    """See whether the source of volumes has changed, and what is new in it."""


@dataclass(frozen=True, slots=True)
class TakeMessages(Action):
    """Receive so many messages of the queue that the volumes come from; this may wait for one."""

    most: int = MOST


@dataclass(frozen=True, slots=True)
class DeleteMessages(Action):
    """Delete the messages whose volumes are stored, and these, whose volumes are done."""

    done: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TendMessages(Action):
    """See to messages that are held, by their ids.

    Keep some from others; let others have some `back` after so many seconds; `leave` some to their
    time; and note of some that they are `worn`: nothing can be done for them any more.
    """

    keep: tuple[str, ...] = ()
    back: tuple[tuple[str, int], ...] = ()
    leave: tuple[str, ...] = ()
    worn: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OpenAgain(Action):
    """Open a volume again that has failed: its message has come again. In memory."""

    ABOUT = ("index",)

    index: int


@dataclass(frozen=True, slots=True)
class FindVersions(Action):
    """Look for the versions of the volumes at `indices`, which came without one.

    `over`: with these, all have had their turn.
    """

    indices: tuple[int, ...]
    over: bool


@dataclass(frozen=True, slots=True)
class CompareOutputs(Action):
    """See whether the job writes where older ones do, whose outputs are in the same folder."""

    rivals: tuple[Rival, ...]


@dataclass(frozen=True, slots=True)
class Sweep(Action):
    """List which volumes have an output folder: the others need no look at a marker."""


@dataclass(frozen=True, slots=True)
class ReadMarker(Action):
    """Look at the marker of the volume at `index`."""

    ABOUT = ("index",)

    index: int


@dataclass(frozen=True, slots=True)
class TurnRound(Action):
    """Note where the next look at markers begins, and whether all had their turn. In memory."""

    read_from: int
    over: bool = False


@dataclass(frozen=True, slots=True)
class SweepGate(Action):
    """Look which of the volumes that wait for it have a marker at the place of a dependency.

    `number` is the place of the dependency in the Job's spec.
    """

    ABOUT = ("number",)

    number: int
    place: Place


@dataclass(frozen=True, slots=True)
class LoadEnded(Action):
    """Read what became of the volumes of this job, which has ended: others depend on it."""


@dataclass(frozen=True, slots=True)
class SaveLedger(Action):
    """Store the failure report, then the ledger, with what is new in the list of volumes."""


@dataclass(frozen=True, slots=True)
class CompileReport(Action):
    """Make `report.csv` of the volumes that failed or were skipped by the ledger as it is."""
