"""What is to be told to databases and queues, and how far that has come.

Results stand in S3, in parts, before the ledger has them, and until all have got them. So neither a
crash nor a database that is away for a day loses one, and nothing waits for it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from bec_operator.api.results import Results
from bec_operator.decide.sight.notices import Notice
from bec_operator.decide.sight.seen import Fact, MarkerSeen
from bec_operator.decide.volumes.part import Part

Receiver = Literal["sql", "queue"]

AGAIN, AGAIN_AT_MOST = 2.5, 60.0  # seconds until one is tried again that did not take it
NAMES = 20_000  # parts whose names are kept in memory; what is more is listed again
RETURNED_AT_MOST = 8_000_000  # characters that handlers have returned, of volumes without a task
MOST_LEFT_OUT = 1000  # sentences about what was left out that are told from new ones
DELETE_AGAIN = {"StorageForbidden": 600.0}  # seconds after which S3 is asked again to delete
SOON = 30.0  # the same, where it just did not


@dataclass(slots=True)
class Delivery:
    """How it stands with one receiver."""

    has: set[str] = field(default_factory=set)  # the parts that it has got whole
    trouble: Fact | None = None
    in_vain: int = 0  # how often in a row
    not_before: float = 0.0
    taken_at: float = 0.0  # when it has taken something last
    stand: object = None  # how the job stood when it heard of that last, and
    stand_at: float = 0.0
    left_out: dict[str, None] = field(default_factory=dict)  # sentences: what it will never take

    def note_taken(self, parts: Iterable[str], now: float) -> None:
        """Take in that it has taken these parts, or something else."""
        self.has.update(parts)
        self.trouble, self.in_vain, self.not_before = None, 0, 0.0
        self.taken_at = now

    def note_trouble(self, fact: Fact) -> None:
        """Take in that it did not take what it was given: it is tried again, ever more rarely."""
        self.in_vain += 1
        wait = AGAIN * 2.0 ** min(self.in_vain, 10)
        self.trouble, self.not_before = fact, fact.at + min(wait, AGAIN_AT_MOST)

    def note_stand(self, stand: object, now: float) -> None:
        """Take in that it was told how the job stands."""
        self.stand, self.stand_at = stand, now

    def note_left_out(self, said: Iterable[str]) -> int:
        """Take in what it will never take, in sentences; return how many of these are new."""
        known = len(self.left_out)
        for sentence in said:
            if len(self.left_out) < MOST_LEFT_OUT:
                self.left_out[sentence] = None
        return len(self.left_out) - known


@dataclass(slots=True)
class Outbox:
    """The results of a job that stand in S3, and who has not got them yet.

    `parts` are the keys of the parts that somebody may wait for, in order, and when they were first
    seen. They are all that there are if they are `listed`; where there are `more`, the rest is
    listed once these are gone. `part` is the one that this process adds to, at `open_key`: nobody
    delivers it before it is closed. Those that this process has `written` nobody else changes.
    """

    wanted: Results | None = None
    part: Part = field(default_factory=Part)
    open_key: str = ""
    parts: dict[str, float] = field(default_factory=dict)
    listed: bool = False
    more: bool = False
    looked_for: object = None  # how the job stood at its end when it was last looked for more
    written: set[str] = field(default_factory=set)
    undeletable: Fact | None = None  # why parts that all have got stay in S3
    readings: dict[int, MarkerSeen] = field(default_factory=dict)  # of volumes without a task
    returned: int = 0  # characters in these
    notice: Notice | None = None  # that no task is left, until the queue has it
    deliveries: dict[Receiver, Delivery] = field(default_factory=dict)

    def want(self, results: Results | None) -> None:
        """Take in where the results of the Job are to go."""
        self.wanted = results

    @property
    def receivers(self) -> Iterator[Receiver]:
        """Those who are to get results."""
        for name in get_args(Receiver) if self.wanted is not None else ():
            if getattr(self.wanted, name) is not None:
                yield name

    def delivery(self, to: Receiver) -> Delivery:
        """Return how it stands with a receiver."""
        return self.deliveries.setdefault(to, Delivery())

    def others_wait(self, to: Receiver) -> bool:
        """Whether others than this receiver take nothing now: parts pile up for them."""
        return any(self.delivery(other).trouble for other in self.receivers if other != to)

    # --- what is to be told

    def note_reading(self, index: int, reading: MarkerSeen) -> None:
        """Take in what the marker of a volume says that needed no task, until that is written."""
        if self.wanted is not None:
            self.note_read([index])
            self.readings[index] = reading
            self.returned += _returned(reading)

    def note_read(self, indices: Iterable[int]) -> None:
        """Take in that what the markers of these volumes say is written, or not wanted."""
        for index in indices:
            self.returned -= _returned(self.readings.pop(index, None))

    @property
    def is_full(self) -> bool:
        """Whether so much is to be written that no further marker is read before it is."""
        return self.returned >= RETURNED_AT_MOST

    def note_notice(self, notice: Notice) -> None:
        """Take in that no task is left: the queue is to have a message of it."""
        if self.wanted is not None and self.wanted.queue is not None:
            self.notice = notice

    def note_notice_sent(self, notice: Notice | None) -> None:
        """Take in that the queue has that message."""
        if self.notice is notice:
            self.notice = None

    # --- what stands in S3

    def note_written(self, part: Part, keys: Sequence[str], now: float) -> None:
        """Take in that parts stand in S3; `part` is the last of them, as whole as it is now.

        One that was listed before its answer came may be on its way to somebody: nothing is added.
        """
        last = keys[-1]
        doubtful = last != self.open_key and last in self.parts
        for key in keys:
            self._add(key, now)
            self.written.add(key)
        self.part, self.open_key = part, last
        if doubtful:
            self.close_part()

    def note_listed(self, keys: Iterable[str], now: float) -> None:
        """Take in which parts there are, beside those that were written meanwhile."""
        self.more = False
        for key in keys:
            self._add(key, now)
        self.parts = dict(sorted(self.parts.items()))
        self.listed = True

    def _add(self, key: str, now: float) -> None:
        if key in self.parts or len(self.parts) < NAMES:
            self.parts.setdefault(key, now)
        else:
            self.more = True

    def look_again(self, stand: object = None) -> None:
        """Have the parts listed anew: another process may have written some, or more to some.

        At the end of the Job, which stands as given, that is done once.
        """
        if stand is None:
            for delivery in self.deliveries.values():
                delivery.has &= self.written
        if stand is None or stand != self.looked_for:
            self.listed, self.looked_for = False, stand

    def note_age(self, key: str, at: float) -> None:
        """Take in when the first result of a part became known."""
        if key in self.parts and 0 < at < self.parts[key]:
            self.parts[key] = at

    def close_part(self) -> None:
        """Add nothing more to the part that this process writes, or may have written."""
        self.part, self.open_key = Part(self.part.number), ""

    def note_gone(self, keys: Iterable[str]) -> None:
        """Take in that parts are deleted that all have got."""
        self.undeletable = None
        for key in keys:
            self.parts.pop(key, None)
            self.written.discard(key)
            for delivery in self.deliveries.values():
                delivery.has.discard(key)
        if not self.parts and self.more:
            self.listed = False

    def note_undeletable(self, fact: Fact) -> None:
        """Take in why parts that all have got cannot be deleted."""
        self.undeletable = fact

    def may_delete(self, now: float) -> bool:
        """Whether S3 may be asked to delete parts: it has not refused lately."""
        why = self.undeletable
        return why is None or now - why.at >= DELETE_AGAIN.get(why.reason, SOON)

    @property
    def stays(self) -> bool:
        """Whether parts that all have got stay in S3 for want of a right."""
        return self.undeletable is not None and self.undeletable.reason in DELETE_AGAIN

    # --- who waits for what

    def waiting_for(self, to: Receiver) -> list[str]:
        """Return the parts that a receiver has not got, in order."""
        has = self.delivery(to).has
        return [key for key in self.parts if key not in has]

    @property
    def spent(self) -> list[str]:
        """The parts that all have got."""
        deliveries = [self.delivery(to) for to in self.receivers]
        if not deliveries:
            return []
        return [key for key in self.parts if all(key in each.has for each in deliveries)]

    @property
    def since(self) -> float | None:
        """Since when somebody waits for a result, as far as is known; None if nobody does."""
        deliveries = [self.delivery(to) for to in self.receivers]
        waited = (at for k, at in self.parts.items() if not all(k in d.has for d in deliveries))
        return min(waited, default=None) if deliveries else None


def _returned(reading: MarkerSeen | None) -> int:
    made = reading.made if reading is not None else None
    return len(made.result or "") if made is not None else 0
