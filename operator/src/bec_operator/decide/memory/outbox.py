"""What is to be told to databases and queues, and how far that has come.

Results stand in S3, in parts, before the ledger has them, and until all have got them. So neither a
crash nor a database that is away for a day loses one, and nothing waits for it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal, get_args

from bec_operator.api.results import Results
from bec_operator.decide.sight.notices import Notice
from bec_operator.decide.sight.seen import Fact, MarkerSeen
from bec_operator.decide.volumes.part import Part

Receiver = Literal["sql", "queue"]

AGAIN, AGAIN_AT_MOST = 2.5, 60.0  # seconds until one is tried again that did not take it
NAMES = 20_000  # parts whose names are kept in memory; what is more is listed again


@dataclass(slots=True)
class Delivery:
    """How it stands with one receiver."""

    had: str = ""  # the last part that it has got whole
    trouble: Fact | None = None
    in_vain: int = 0  # how often in a row
    not_before: float = 0.0
    taken_at: float = 0.0  # when it has taken something last
    shown: object = None  # how the job stood when it was told of that last, and
    shown_at: float = 0.0
    left_out: int = 0  # results that it will never take, since this process runs
    left_out_said: str = ""  # why, of the first one

    def note_taken(self, last: str, now: float) -> None:
        """Take in that it has taken all up to the part `last`; none: no further one."""
        self.trouble, self.in_vain, self.not_before = None, 0, 0.0
        self.taken_at = now
        self.had = last or self.had

    def note_trouble(self, fact: Fact) -> None:
        """Take in that it did not take what it was given: it is tried again, ever more rarely."""
        self.in_vain += 1
        wait = AGAIN * 2.0 ** min(self.in_vain, 10)
        self.trouble, self.not_before = fact, fact.at + min(wait, AGAIN_AT_MOST)

    def note_shown(self, stand: object, now: float) -> None:
        """Take in that it was told how the job stands."""
        self.shown, self.shown_at = stand, now

    def note_left_out(self, said: Iterable[str]) -> None:
        """Take in what it will never take, in sentences."""
        for sentence in said:
            self.left_out += 1
            self.left_out_said = self.left_out_said or sentence


@dataclass(slots=True)
class Outbox:
    """The results of a job that stand in S3, and who has not got them yet.

    `parts` are the keys of the parts that somebody waits for, in order, and when they were first
    seen; None while nobody has looked. Where there are `more`, they are listed once these are gone.
    `part` is the one that this process adds to: nobody delivers it before it is closed.
    """

    wanted: Results | None = None
    part: Part = field(default_factory=Part)
    parts: dict[str, float] | None = None
    more: bool = False
    readings: dict[int, MarkerSeen] = field(default_factory=dict)  # of volumes without a task
    notice: Notice | None = None  # that no task is left, until the queue has it
    deliveries: dict[Receiver, Delivery] = field(default_factory=dict)
    undeletable: Fact | None = None  # why what all have got stays in S3

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

    def note_reading(self, index: int, reading: MarkerSeen) -> None:
        """Take in what the marker of a volume says that needed no task, until that is written."""
        if self.wanted is not None:
            self.readings[index] = reading

    def note_notice(self, notice: Notice) -> None:
        """Take in that no task is left: the queue is to have a message of it."""
        if self.wanted is not None and self.wanted.queue is not None:
            self.notice = notice

    def note_notice_sent(self, notice: Notice | None) -> None:
        """Take in that the queue has that message."""
        if self.notice is notice:
            self.notice = None

    def note_written(self, part: Part, key: str, now: float) -> None:
        """Take in that a part stands in S3, as whole as it is now."""
        self.part = part
        if self.parts is None or self.more or key in self.parts:
            return
        if len(self.parts) < NAMES:
            self.parts[key] = now
        else:
            self.more = True

    def note_read(self, indices: Iterable[int]) -> None:
        """Take in that what the markers of these volumes say is written."""
        for index in indices:
            self.readings.pop(index, None)

    def note_listed(self, keys: Iterable[str], now: float) -> None:
        """Take in which parts there are, in order."""
        found = list(islice(keys, NAMES + 1))
        self.parts, self.more = dict.fromkeys(found[:NAMES], now), len(found) > NAMES

    def look_again(self) -> None:
        """Have the parts listed anew: another process may have written some."""
        self.parts, self.more = None, False

    def close_part(self) -> None:
        """Add nothing more to the part that this process writes, or may have written."""
        self.part = Part(self.part.number)

    def others_wait(self, to: Receiver) -> bool:
        """Whether others than this receiver take nothing now: parts pile up for them."""
        return any(self.delivery(other).trouble for other in self.receivers if other != to)

    def _got(self, to: Receiver) -> int:
        """Return how many of the parts a receiver has got."""
        had = self.delivery(to).had
        return list(self.parts).index(had) + 1 if self.parts and had in self.parts else 0

    def waiting_for(self, to: Receiver) -> list[str]:
        """Return the parts that a receiver has not got, in order."""
        return list(self.parts or ())[self._got(to) :]

    @property
    def spent(self) -> list[str]:
        """The parts that all have got."""
        return list(self.parts or ())[: min(map(self._got, self.receivers), default=0)]

    def note_gone(self, keys: Iterable[str], undeletable: Fact | None) -> None:
        """Take in that parts that all have got are deleted, or why they cannot be."""
        self.undeletable = undeletable
        for key in keys:
            if self.parts:
                self.parts.pop(key, None)
        if not self.parts and self.more:
            self.parts = None  # the rest is listed

    @property
    def since(self) -> float | None:
        """When the oldest part was written that somebody waits for, as far as this process knows.

        None if nobody waits.
        """
        return next(iter(self.parts.values()), None) if self.parts else None
