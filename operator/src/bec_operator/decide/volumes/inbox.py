"""Messages of a queue that are ours for a while: each is deleted once its volume is stored."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from bec_operator.decide.sight.seen import Fact
from bec_ops.contract.volume import Volume

MOST = 1000  # messages that are held at once
DELETE_AGAIN = 10.0  # seconds
AGAIN, AGAIN_AT_MOST = 2.5, 60.0  # seconds until a queue is asked again that gave no good answer


@dataclass(slots=True)
class Inbox:
    """What was received and is not deleted yet: receipts by the messages' ids.

    Of a message that was received again the later receipt counts: servers differ in what the
    earlier one is good for.
    """

    waiting: dict[Volume, dict[str, str]] = field(default_factory=dict)  # for their volume
    stored: dict[str, str] = field(default_factory=dict)  # to be deleted
    refused: int = 0  # how many named no volume, since this process runs
    trouble: Fact | None = None  # why the queue gives no message
    undeleted: Fact | None = None  # why it does not delete one
    in_vain: int = 0  # how often in a row it gave none
    not_before: float = 0.0
    delete_not_before: float = 0.0
    empty_since: float | None = None  # since when it is seen empty, each time
    settled: int = -1  # volumes, when it was last seen so, and that was believed

    @property
    def held(self) -> int:
        """How many messages are ours now."""
        return len(self.stored) + sum(map(len, self.waiting.values()))

    def note_received(
        self, new: Mapping[Volume, Mapping[str, str]], known: Mapping[str, str]
    ) -> None:
        """Take in messages whose volumes are new, and those whose volumes are stored already."""
        for volume, receipts in new.items():
            self.waiting.setdefault(volume, {}).update(receipts)
        self.stored.update(known)
        self.trouble, self.in_vain = None, 0
        if new or known:
            self.empty_since = None

    def note_any(self) -> None:
        """Take in that the queue held something just now."""
        self.empty_since = None

    def note_stored(self, volumes: Iterable[Volume]) -> None:
        """Take in that volumes stand in the stored manifest: their messages are of no more use."""
        if self.waiting:
            for volume in volumes:
                self.stored.update(self.waiting.pop(volume, {}))

    def note_deleted(self, receipts: Mapping[str, str], gone: Iterable[str]) -> None:
        """Take in which messages are gone; one that came again meanwhile has another receipt."""
        self.undeleted = None
        for name in gone:
            if self.stored.get(name) == receipts[name]:
                del self.stored[name]

    def note_undeleted(self, fact: Fact) -> None:
        """Take in that the queue does not delete: it is asked again in a while."""
        self.undeleted, self.delete_not_before = fact, fact.at + DELETE_AGAIN

    def note_full(self, fact: Fact) -> None:
        """Take in that the job can have no more volumes, for as long as this process runs."""
        self.trouble, self.not_before = fact, math.inf

    def note_refused(self, number: int) -> None:
        """Take in that messages named no volume, and that this is on record."""
        self.refused += number

    def note_trouble(self, fact: Fact) -> None:
        """Take in that the queue gives no good answer: it is asked again, ever more rarely."""
        self.in_vain += 1
        wait = AGAIN * 2.0 ** min(self.in_vain, 10)
        self.trouble, self.not_before = fact, fact.at + min(wait, AGAIN_AT_MOST)

    def note_empty(self, now: float, settled: int, believed_after: float, *, empty: bool) -> None:
        """Take in whether the queue says that it holds nothing, for others neither.

        Its numbers are approximate, so it is believed only if it says so for a while, in seconds.
        """
        if not empty:
            self.empty_since = None
            return
        if self.empty_since is None:
            self.empty_since = now
        if now - self.empty_since >= believed_after:
            self.settled = settled

    def is_empty(self, settled: int) -> bool:
        """Whether it is, and was when so many volumes were settled already."""
        return self.empty_since is not None and self.settled == settled
