"""New versions of volumes that have one: how a look for them goes on, and what it has found.

A look goes once through the manifest, so many volumes at a time. Those of which nobody tells are
asked about again, and hold up no others.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from bec_operator.decide.sight.seen import Fact

MOST = 16384  # volumes that are asked about at once, and new versions that wait to be stored
AGAIN, AGAIN_AT_MOST = 2.5, 60.0  # seconds until those are asked about again that nobody told of
PATIENCE = 3600.0  # seconds after which a look is over even if nobody tells of some volumes


@dataclass(slots=True)
class FollowedVersions:
    """How a look for new versions stands; how the last one went.

    `found` are those that do not stand in the manifest yet, each by the index of a volume with the
    same ids. A look is `over` at a moment, and has ended once what it found stands there.
    """

    found: dict[int, str] = field(default_factory=dict)
    begun: float | None = None  # when the look began that goes on; None: none does
    next: int = 0  # where it goes on, and
    end: int = 0  # where it ends: what came after it began has its version
    over: float | None = None
    silent: Sequence[int] = ()  # volumes of whose versions nobody has told, and
    trouble: Fact | None = None  # why
    in_vain: int = 0  # how often in a row
    not_before: float = 0.0
    missed: int = 0  # volumes without a version now that had one, in this look so far, and
    gone: int = 0  # in the whole of the last one
    left_out: int = 0  # new versions that cannot be taken, and
    left_out_said: str = ""  # why the first of them cannot

    def begin(self, now: float, total: int) -> None:
        """Take in that a look at so many volumes begins."""
        self.begun, self.over, self.next, self.end = now, None, 0, total
        self.silent, self.trouble, self.in_vain, self.not_before = (), None, 0, 0.0
        self.missed, self.left_out, self.left_out_said = 0, 0, ""

    def note_told(
        self, asked: Collection[int], silent: Sequence[int], trouble: Fact | None
    ) -> None:
        """Take in of which volumes somebody has told, and of which not, and why."""
        still = [index for index in self.silent if index not in asked]
        self.silent = sorted({*still, *silent})
        if silent and trouble is not None:
            self.in_vain += 1
            wait = AGAIN * 2.0 ** min(self.in_vain, 10)
            self.trouble, self.not_before = trouble, trouble.at + min(wait, AGAIN_AT_MOST)
        elif not self.silent:
            self.trouble, self.in_vain = None, 0

    def note_missed(self, number: int) -> None:
        """Take in that so many volumes have no version now."""
        self.missed += number
        if self.begun is None:
            self.gone = self.missed

    def note_left_out(self, number: int, why: str) -> None:
        """Take in that new versions cannot be taken."""
        self.left_out += number
        self.left_out_said = self.left_out_said or why

    def go_on(self, upto: int, now: float, seen_at: float) -> None:
        """Take in that all before `upto` were asked about; at the end the look is over.

        It counts as of `seen_at`.
        """
        self.next = max(self.next, upto)
        if self.begun is None or self.over is not None or self.next < self.end:
            return
        if not self.silent or now - self.begun >= PATIENCE:
            self.over = seen_at

    def finish(self) -> None:
        """Take in that a look that was over has ended: all that it found stands in the manifest."""
        self.begun, self.over, self.gone = None, None, self.missed

    def refuse_found(self, why: str) -> None:
        """Take in that what was found cannot be taken."""
        self.note_left_out(len(self.found), why)
        self.found.clear()

    def drop(self, versions: Mapping[int, str]) -> None:
        """Take in that these stand in the manifest."""
        for index, version in versions.items():
            if self.found.get(index) == version:
                del self.found[index]
