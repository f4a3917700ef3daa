"""What every set of tables has in common that results are written to."""

from collections.abc import Sequence
from typing import Any, Protocol

from bec_operator.decide.volumes.results import JobTold, Result, Snapshot

Cursor = Any  # of psycopg, which is imported when a database is opened and not before


class Tables(Protocol):
    """One set of tables. All is written in the transaction of the cursor that is given.

    Each write can come again, after a crash in between: it changes nothing then. What cannot be
    written of one volume (an id that is too long for the table, say) holds up no other: it is left
    out, and a sentence returned that names it, what is wrong, and what to do about it.
    """

    def check(self, cursor: Cursor) -> str:
        """Return why these tables cannot be written to, and what to do; empty if they can."""

    def write(self, cursor: Cursor, job: JobTold, results: Sequence[Result]) -> Sequence[str]:
        """Write what became of volumes, in this order; of one volume there may be several."""

    def show(self, cursor: Cursor, job: JobTold, snapshot: Snapshot) -> Sequence[str]:
        """Write how the job stands, what runs now, and who works.

        What was shown as running and is not in the snapshot has ended, or is gone; how, a result
        will say, or has said. Of a Job that is deleted this is the last that is told.
        """
