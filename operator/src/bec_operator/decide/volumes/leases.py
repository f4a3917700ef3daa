"""Messages that are held until their volumes are done: each is ours for a while, and extended."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from bec_operator.decide.sight.seen import Fact
from bec_ops.contract.volume import Volume

TEND_AGAIN = 10.0  # seconds until a queue is asked again that has not answered


@dataclass(slots=True)
class Lease:
    """One message that is ours until a moment; `since` is when it was received.

    `index` is that of its volume, and None until that stands in the stored manifest. `asks`: it
    came when its volume had failed already, so that is to be tried again.
    """

    volume: Volume
    receipt: str
    since: float
    until: float
    index: int | None = None
    asks: bool = False
    worn: bool = False  # it was extended for as long as that is possible


@dataclass(slots=True)
class Leases:
    """The messages that are held, by their ids. Of one that comes again the later receipt counts.

    A lease that is over stays as long as its volume is worked on: its message is deleted then, if
    the server still takes the receipt.
    """

    held: dict[str, Lease] = field(default_factory=dict)
    reopened: dict[int, float] = field(default_factory=dict)  # volumes, and when they were
    trouble: Fact | None = None  # why the queue does not extend, or take back
    not_before: float = 0.0

    def receipts(self, names: Iterable[str]) -> dict[str, str]:
        """Return the receipts of messages, as far as they are held still."""
        return {name: self.held[name].receipt for name in names if name in self.held}

    def note_received(self, leases: Mapping[str, Lease]) -> None:
        """Take in messages that are to be held."""
        self.held.update(leases)

    def note_placed(self, added: Iterable[Volume], begin: int) -> None:
        """Take in that volumes stand in the stored manifest, from the place `begin` on."""
        bare = [lease for lease in self.held.values() if lease.index is None]
        if bare:
            places = {volume: index for index, volume in enumerate(added, begin)}
            for lease in bare:
                lease.index = places.get(lease.volume)

    def note_kept(self, receipts: Mapping[str, str], until: float) -> None:
        """Take in that nobody else gets these before `until`."""
        for name in self._still(receipts):
            self.held[name].until = until

    def note_gone(self, receipts: Mapping[str, str]) -> None:
        """Take in that these are ours no more; one that came again meanwhile is."""
        for name in self._still(receipts):
            del self.held[name]

    def note_worn(self, names: Iterable[str]) -> None:
        """Take in that these cannot be extended any more: they come to somebody again."""
        for name in names:
            if name in self.held:
                self.held[name].worn = True

    def note_answer(self, trouble: Fact | None) -> None:
        """Take in why the queue gives no good answer, None if it did: it is asked again later."""
        self.trouble = trouble
        if trouble is not None:
            self.not_before = trouble.at + TEND_AGAIN

    def note_reopened(self, index: int, now: float) -> None:
        """Take in that a volume is opened again: what ended before says nothing of it any more."""
        self.reopened[index] = now
        for lease in self.held.values():
            if lease.index == index:
                lease.asks = False

    def count_worn(self) -> int:
        """Return how many messages cannot be extended any more while their volumes go on."""
        return sum(lease.worn for lease in self.held.values())

    def _still(self, receipts: Mapping[str, str]) -> list[str]:
        held = self.held
        return [n for n, receipt in receipts.items() if n in held and held[n].receipt == receipt]
