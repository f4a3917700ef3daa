"""The stored ledger: which version of it is ours, and what is read of it once the job has ended."""

from dataclasses import dataclass

from bec_operator.decide.sight.seen import Fact
from bec_operator.decide.volumes.gate import Outcomes

LOST_AGAIN = 60.0  # seconds


@dataclass(slots=True)
class Saving:
    """The stored ledger, a ConfigMap: which version of it is ours, and who else writes it."""

    version: str = ""  # its resourceVersion
    at: float = 0.0  # when it was last stored, or read
    lost_at: float = 0.0  # when somebody else wrote it last, and
    losses: int = 0  # how often within a short time

    def note(self, version: str, now: float) -> None:
        """Take in that the ledger is stored as it is."""
        self.version, self.at = version, now

    def note_loss(self, now: float) -> None:
        """Take in that somebody else wrote it, or took it away."""
        self.losses = self.losses + 1 if now - self.lost_at < LOST_AGAIN else 0
        self.lost_at = now


@dataclass(slots=True)
class Ends:
    """What became of the volumes of a job that has ended: read while other jobs ask for it."""

    wanted: bool = False
    outcomes: Outcomes | None = None
    unreadable: Fact | None = None  # why it cannot be read

    def want(self) -> None:
        """Take in that a job asks for it."""
        self.wanted = True

    def note(self, outcomes: Outcomes | None, trouble: Fact | None = None) -> None:
        """Take in what was read, or why it could not be."""
        self.outcomes, self.unreadable = outcomes, trouble

    def let_go(self) -> None:
        """Take in that no job asks for it any more."""
        self.wanted = False
        self.note(None)
