"""The failure report: of the lines that were written for a volume the last one counts.

`report.csv` is compiled from them: one row for each volume that has failed or was skipped, by the
ledger as it is now.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from bec_operator.api.volume_task import Attempt
from bec_operator.decide.volumes.ledger import Ledger
from bec_operator.decide.volumes.part import Part
from bec_operator.decide.volumes.reasons import label_of, meaning_of
from bec_ops.contract.volume import Volume

HEADER = "w_id,i_id,i_version,class,attempts,message,log,ended,task,outcome"
CELL_AT_MOST = 4096  # characters: ours are shorter, but others may write into the reports, too
COMPILE_EVERY = 60.0  # seconds, at least, between two compilations while the job goes on

# What spreadsheets take for the beginning of a formula; the wide ones are typed in East Asia.
_FORMULA = tuple("=+-@＝＋－＠")


class Line(BaseModel):
    """One line of `failures-<n>-….jsonl`: how one volume failed."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    job_uid: str = Field(alias="jobUid")
    index: int = Field(ge=0)
    w_id: str = Field(alias="wId")
    i_id: str = Field(alias="iId")
    i_version: str = Field(default="", alias="iVersion")
    task: str = ""
    failure: str = Field(alias="class")
    message: str = ""
    attempts: list[Attempt] = Field(default_factory=list)

    @classmethod
    def of(
        cls,
        job_uid: str,
        index: int,
        volume: Volume,
        failure: str,
        message: str,
        task: str,
        attempts: Sequence[Attempt],
    ) -> Self:
        """Return the line about the volume at `index`, whose class is `failure`."""
        return cls(
            job_uid=job_uid,
            index=index,
            w_id=volume.w_id,
            i_id=volume.i_id,
            i_version=volume.i_version,
            task=task,
            failure=failure,
            message=message,
            attempts=list(attempts),
        )

    def dump(self) -> str:
        """Return the line as it is written, with its end."""
        return self.model_dump_json(by_alias=True, exclude_none=True) + "\n"

    @property
    def volume(self) -> Volume:
        """The volume that it is about."""
        return Volume(self.w_id, self.i_id, self.i_version)


_UNTRIED = "\0"  # begins what is kept of a volume that no attempt was made at


@dataclass(slots=True)
class FailureReport:
    """What is known of the report since the ledger was loaded.

    `rows` has the class and the cells of the last line of each volume; `compiled` is the state of
    the ledger (`Ledger.changes`) that `report.csv` shows.
    """

    unsaved: dict[int, Line] = field(default_factory=dict)  # not yet written, by the volume
    rows: dict[int, tuple[str, str]] = field(default_factory=dict)
    is_read: bool = False  # whether what was written before the load is in `rows`
    part: Part = field(default_factory=Part)
    compiled: int | None = None
    compiled_at: float = 0.0

    def note_unsaved(self, line: Line) -> None:
        """Take in how a volume has failed, which is to be written."""
        self.unsaved[line.index] = line

    def message_of(self, index: int) -> str:
        """Return why a volume has failed that no attempt was made at, or whose line is new."""
        if (line := self.unsaved.get(index)) is not None:
            return line.message
        _, cells = self.rows.get(index, ("", ""))
        return cells[1:] if cells[:1] == _UNTRIED else ""

    def note_saved(self, lines: Mapping[int, Line]) -> None:
        """Take in that these lines stand in the report."""
        self.note(lines.values())
        for index, line in lines.items():
            if self.unsaved.get(index) is line:
                del self.unsaved[index]

    def note(self, lines: Iterable[Line]) -> None:
        """Take in lines in the order in which they were written."""
        for line in lines:
            untried = not line.attempts and not line.task
            told = _untried(line.failure, line.message) if untried else None
            self.rows[line.index] = told or (line.failure, _cells_of(line))

    def note_older(self, older: "FailureReport") -> None:
        """Take in what was written before all that is known."""
        self.rows = {**older.rows, **self.rows}
        self.is_read = True

    def is_current(self, ledger: Ledger) -> bool:
        """Whether `report.csv` shows the ledger as it is."""
        return self.compiled == ledger.changes

    def is_due(self, ledger: Ledger, now: float, *, over: bool) -> bool:
        """Whether to compile it now; `over`: the job has come to its end, and waits for this."""
        return not self.is_current(ledger) and (over or now - self.compiled_at >= COMPILE_EVERY)


def table(rows: Mapping[int, tuple[str, str]], ledger: Ledger, volumes: Sequence[Volume]) -> bytes:
    """Return `report.csv`: the header, and a row for each failed or skipped volume.

    `rows` are those of a report. It takes seconds where there are hundreds of thousands.
    """
    lines = (
        f"{_row(rows, ledger, index, volumes[index])},{ledger.outcome(index).name.lower()}\n"
        for index in ledger.unsuccessful()
    )
    return b"".join(line.encode() for line in chain([HEADER, "\n"], lines))


def _row(rows: Mapping[int, tuple[str, str]], ledger: Ledger, index: int, volume: Volume) -> str:
    """Return the cells of a volume; without a line of its present class the ledger speaks."""
    label = label_of(ledger.code(index))
    said, cells = rows.get(index, ("", ""))
    if not cells or said != label:
        return _cells([*volume, label, "", meaning_of(ledger.code(index)), "", "", ""])
    return cells if cells[:1] != _UNTRIED else _cells([*volume, label, "0", cells[1:], "", "", ""])


@lru_cache(maxsize=64)
def _untried(failure: str, message: str) -> tuple[str, str]:
    """Return what is kept of volumes without an attempt: there may be very many, all alike."""
    return failure, _UNTRIED + message[:CELL_AT_MOST]


def _cells_of(line: Line) -> str:
    last = line.attempts[-1] if line.attempts else None
    return _cells(
        [
            *line.volume,
            line.failure[:CELL_AT_MOST],
            str(len(line.attempts)),
            line.message[:CELL_AT_MOST],
            last.log[:CELL_AT_MOST] if last is not None else "",
            (last.end_time or "")[:CELL_AT_MOST] if last is not None else "",
            line.task[:CELL_AT_MOST],
        ]
    )


def _cells(values: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow([_harmless(value) for value in values])
    return text.getvalue()


def _harmless(value: str) -> str:
    """Return a cell on one line that no spreadsheet runs: `'` before it says that it is text."""
    flat = " ".join(value.splitlines())
    return f"'{flat}" if flat.lstrip().startswith(_FORMULA) else flat
