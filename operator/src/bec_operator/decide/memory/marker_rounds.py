"""How far it is known which volumes are done already: sweeps, and looks at markers."""

from dataclasses import dataclass, field

from bec_operator.decide.sight.seen import Fact
from bec_operator.decide.volumes.marker_retry_times import PutOff, Unread

MOST_UNREAD = 1000  # volumes without a task of which it is kept why their marker is unknown
READ_AGAIN, READ_AT_LAST = 2.5, 60.0  # seconds between rounds in which S3 tells of no marker


@dataclass(slots=True)
class Markers:
    """What S3 did not tell, and where the looks at markers of volumes without a task are.

    They go round: each look begins behind the last one, so that what cannot be read hides nothing.
    """

    swept: int = 0  # volumes, from the first on, whose output folders were listed
    released: set[int] = field(default_factory=set)  # volumes whose task went before a sweep
    unread: dict[int, Unread] = field(default_factory=dict)  # that S3 did not tell about
    archived: PutOff = field(default_factory=PutOff)  # those that have to be restored
    read_from: int = 0  # where the next look begins
    not_before: float = 0.0  # when a round may begin: S3 has told of none in the one before
    rounds_unanswered: int = 0  # such rounds, one after the other
    answered: int = 0  # markers of which S3 has told in this round, and
    unanswered: int = 0  # those of which it has not

    def may_read(self, index: int, now: float) -> bool:
        """Whether a marker may be looked at: S3 has not failed to tell about it just now."""
        return index not in self.unread or self.unread[index].is_due(now)

    def note_answer(self, index: int, trouble: Fact | None, *, active: bool) -> None:
        """Take in why S3 did not tell of a marker, None if it did; `active`: of a task's."""
        if trouble is None:
            self.unread.pop(index, None)
        elif active or len(self.unread) < MOST_UNREAD:
            known = self.unread.get(index)
            self.unread[index] = known.again(trouble) if known is not None else Unread(trouble)
        if not active:
            self.answered += trouble is None
            self.unanswered += trouble is not None

    def turn(self, read_from: int, now: float, *, over: bool) -> None:
        """Take in where the next look begins, and whether all had their turn.

        If S3 has told of none of them, the next round comes later, each time twice as late.
        """
        self.read_from = read_from
        if not over:
            return
        if self.answered:
            self.rounds_unanswered = 0
        elif self.unanswered:
            self.rounds_unanswered += 1
            wait = min(READ_AGAIN * 2.0 ** min(self.rounds_unanswered, 10), READ_AT_LAST)
            self.not_before = now + wait
        self.answered = self.unanswered = 0

    def note_released(self, index: int, volumes: int) -> None:
        """Take in that a volume's task is gone: a sweep that is under way may not have seen it."""
        if self.swept < volumes:
            self.released.add(index)
