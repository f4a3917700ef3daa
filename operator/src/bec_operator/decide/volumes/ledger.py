"""The ledger: one byte a volume, in manifest order, of what became of it."""

import zlib
from collections import Counter
from collections.abc import Set
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

MAX_TOTAL = 10_000_000
"""Volumes of a ledger: it is a byte each, and must fit into a ConfigMap when packed."""

ALREADY_DONE = 1  # class code of a success that stood before the job came to it


class Outcome(IntEnum):
    """What became of a volume; the lower three bits of its byte."""

    WAITING = 0  # nothing yet: it waits, or its VolumeTask says more
    SUCCEEDED = 1
    FAILED = 2
    SKIPPED = 3


_OUTCOMES: tuple[Outcome, ...] = (*Outcome,)  # by number: ten times as fast as Outcome(number)
_UNSUCCESSFUL = {Outcome.FAILED, Outcome.SKIPPED}


class LedgerError(ValueError):
    """The stored ledger cannot be what we wrote."""


@dataclass(frozen=True, slots=True)
class Honoured:
    """A moment in the Job's spec that was acted on: as it is written there, and in epoch seconds.

    `moment` is never in the future: what comes after it is not meant. `at` is when it was acted on.
    """

    wish: str = ""
    moment: int = 0
    at: float = 0.0

    def due(self, wish: str | None, now: float) -> "Honoured | None":
        """Return what is to be acted on now; None if `wish` is nothing new."""
        if wish is None or wish == self.wish:
            return None
        asked = datetime.fromisoformat(wish).timestamp()
        return Honoured(wish, int(min(asked, now)), now) if asked > self.moment else None


class Ledger:
    """What became of each volume, with the results that are not yet stored.

    The upper five bits of a byte hold a class: `ALREADY_DONE` for a success, the failure class
    for a failure.
    """

    def __init__(
        self,
        manifest: str,
        entries: bytearray,
        retried: Honoured = Honoured(),
        redone: Honoured = Honoured(),
    ) -> None:
        self.manifest = manifest
        self.retried = retried  # what failed until then was opened again
        self.redone = redone  # whatever ended until then was opened again
        self.turned = False  # since it was stored, one of these has changed
        self.followed = 0.0  # when the last look for new versions was over; 0: none ever was
        self.followed_stored = 0.0  # the same, as it is stored
        self._entries = entries
        self._tally = Counter(entries)
        self.unsaved: set[int] = set()
        self.revision = 0  # grows with each change
        self.changes = 0  # since it is in memory: how often a failure or a skip came or went

    @classmethod
    def fresh(cls, manifest: str, total: int) -> "Ledger":
        """Return the ledger of a job of which nothing has been done. `manifest` is its SHA-256."""
        return cls(manifest, bytearray(total))

    @classmethod
    def decode(
        cls,
        manifest: str,
        packed: bytes,
        total: int,
        retried: Honoured = Honoured(),
        redone: Honoured = Honoured(),
    ) -> "Ledger":
        """Read a stored ledger of `total` volumes, whatever somebody has made of it."""
        if not 0 <= total <= MAX_TOTAL:
            raise LedgerError(f"the stored ledger cannot be of {total} volumes")
        unpack = zlib.decompressobj()
        try:
            entries = bytearray(unpack.decompress(packed, total + 1))
        except zlib.error as error:
            raise LedgerError(f"the stored ledger cannot be unpacked: {error}") from error
        if len(entries) != total or not unpack.eof:
            has = str(len(entries)) if unpack.eof else "other"
            raise LedgerError(f"the stored ledger has {has} volumes, the manifest {total}")
        return cls(manifest, entries, retried, redone)

    def encode(self) -> bytes:
        """Return the form in which the ledger is stored."""
        return zlib.compress(bytes(self._entries), 6)

    def note_stored(self, stored: "Ledger", indices: Set[int]) -> None:
        """Take in that the ends of these volumes stand in a ledger that is stored.

        What has changed since that was copied is still to be stored.
        """
        self.unsaved -= {i for i in indices if self.entry(i) == stored.entry(i)}
        self.followed_stored = stored.followed
        turns = (self.retried, self.redone) == (stored.retried, stored.redone)
        if turns and not any(self.outcome(index) is Outcome.WAITING for index in self.unsaved):
            self.turned = False

    def copy(self) -> "Ledger":
        """Return a ledger that says the same, all of it stored."""
        ledger = Ledger(self.manifest, bytearray(self._entries), self.retried, self.redone)
        ledger.followed = ledger.followed_stored = self.followed
        return ledger

    def lengthen(self, manifest: str, more: int) -> None:
        """Go on with a manifest that has `more` volumes at its end, nothing done of them."""
        self.manifest = manifest
        self._entries.extend(bytes(more))
        self._tally[Outcome.WAITING] += more
        self.revision += 1

    def __len__(self) -> int:
        return len(self._entries)

    def entry(self, index: int) -> int:
        """Return the byte of the volume at `index`."""
        return self._entries[index]

    def outcome(self, index: int) -> Outcome:
        """Return what became of the volume at `index`."""
        return _OUTCOMES[self._entries[index] & 0b111]

    def code(self, index: int) -> int:
        """Return the class of the end of the volume at `index`; 0 where it has none."""
        return self._entries[index] >> 3

    def settle(self, index: int, outcome: Outcome, code: int = 0) -> None:
        """Note what became of the volume at `index`; stored with the next write."""
        if {self.outcome(index), outcome} & _UNSUCCESSFUL:
            self.changes += 1
        self._tally[self._entries[index]] -= 1
        self._entries[index] = outcome | code << 3
        self._tally[self._entries[index]] += 1
        self.unsaved.add(index)
        self.revision += 1

    def translated(self, table: bytes) -> bytes:
        """Return a byte a volume, for each entry what `table` has in its place."""
        return bytes(self._entries).translate(table)

    def reopen(self, outcomes: Set[Outcome]) -> list[int]:
        """Forget what became of all volumes that came to one of `outcomes`; return them."""
        opened = [i for i, entry in enumerate(self._entries) if entry & 0b111 in outcomes]
        for index in opened:
            self.settle(index, Outcome.WAITING)
        self.turned = True
        return opened

    @property
    def saved(self) -> bool:
        """Whether all that it says is stored."""
        return not self.unsaved and not self.turned and self.followed == self.followed_stored

    def is_stored(self, index: int) -> bool:
        """Return whether the end of the volume at `index` is safe in the stored ledger."""
        return self.outcome(index) is not Outcome.WAITING and index not in self.unsaved

    def count(self, outcome: Outcome, code: int | None = None) -> int:
        """Return how many volumes came to `outcome`, or to one class of it."""
        if code is not None:
            return self._tally[outcome | code << 3]
        return sum(n for entry, n in self._tally.items() if entry & 0b111 == outcome)

    @property
    def tried(self) -> int:
        """How many volumes are settled that were not done when the job came to them."""
        settled = (Outcome.SUCCEEDED, Outcome.FAILED, Outcome.SKIPPED)
        return sum(map(self.count, settled)) - self.count(Outcome.SUCCEEDED, ALREADY_DONE)

    def classes(self, outcome: Outcome) -> dict[int, int]:
        """Return how many volumes came to `outcome`, by their classes."""
        return {e >> 3: n for e, n in self._tally.items() if n and e & 0b111 == outcome}

    def unsuccessful(self) -> list[int]:
        """Return the indices of all volumes that failed or were skipped."""
        return [i for i, entry in enumerate(self._entries) if entry & 0b111 in _UNSUCCESSFUL]

    def settled(self) -> list[int]:
        """Return the indices of all volumes about which nothing more will be done."""
        return [i for i, entry in enumerate(self._entries) if entry]
