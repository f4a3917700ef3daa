"""Results are delivered to a PostgreSQL: all in one transaction, or nothing.

One volume whose results the database refuses must not hold up others for ever, so it is looked for
by halves, and left out. Where nothing at all can be written, nothing is left out: it will be, once
somebody has mended the tables.
"""

from collections.abc import Callable, Sequence

from bec_operator.act.connections.databases.database import one_line
from bec_operator.act.connections.results.session import Session
from bec_operator.act.connections.results.tables import Cursor, Tables
from bec_operator.act.ground.connections import Connection
from bec_operator.decide.volumes.results import JobTold, Result, Snapshot

# Of the server's states: values, constraints, views' checks, limits of a row, and triggers' words.
_GUILTY = ("22", "23", "44", "54", "P0")
_ASK = "have the administrator of the database see what refuses it there"


def deliver(
    connection: Connection,
    tables: Tables,
    job: JobTold,
    results: Sequence[Result],
    snapshot: Snapshot | None,
    *,
    seconds: float,
) -> Sequence[str]:
    """Write results in their order, and what runs; return what was left out, in sentences. Blocks.

    All is committed when it returns. Raises ConnectionTrouble: with `ConnectionUnavailable` it may
    be there or not, and can be delivered again; with `ResultsRefused` nothing is there, nor will be
    until somebody has done what the sentence says.
    """
    session = Session(connection, seconds)
    with session.opened():
        cursor = session.begin()
        if trouble := tables.check(cursor):
            raise session.refused(trouble)
        writing = _Writing(session, tables, cursor, job)
        left_out = writing.write(results)
        if snapshot is not None:
            left_out += writing.show(snapshot)
        session.commit()
    return left_out


class _Writing:
    """One transaction in which results of one job are written."""

    def __init__(self, session: Session, tables: Tables, cursor: Cursor, job: JobTold) -> None:
        self._session = session
        self._tables = tables
        self._cursor = cursor
        self._job = job
        self._proven: set[str] = set()  # outcomes which the tables take

    def write(self, results: Sequence[Result]) -> list[str]:
        """Write what can be written; return what cannot, in sentences."""
        if not results:
            return []
        said: list[str] = []
        refused: list[tuple[Result, Exception]] = []
        self._halves(results, said, refused)
        for result, error in refused:
            why = f"{self._session.told(error).said}; {_ASK}"
            said.append(f"volume {_named(result)} is left out of the tables: {why}")
        return [f"{self._session.name}: {each}" for each in dict.fromkeys(said)]

    def _halves(
        self, results: Sequence[Result], said: list[str], refused: list[tuple[Result, Exception]]
    ) -> None:
        """Write results; where that is refused for one of them, each half by itself."""
        try:
            found = self._apart(lambda: self._tables.write(self._cursor, self._job, results))
        except Exception as error:
            if not _is_of_data(error):
                raise
            if len(results) == 1:
                self._prove_innocence(results[0])
                refused.append((results[0], error))
                return
            middle = len(results) // 2
            self._halves(results[:middle], said, refused)
            self._halves(results[middle:], said, refused)
        else:
            said.extend(found)

    def _prove_innocence(self, like: Result) -> None:
        """See that the tables take such a result of a plain volume; raise what they say if not.

        Else somebody has added what refuses all that is like it, and all that would be lost. It is
        asked with the first one, not when each of thousands has been tried.
        """
        if like.outcome in self._proven:
            return
        plain = Result(
            job_uid=like.job_uid,
            index=0,
            w_id="W0",
            i_id="I0",
            outcome=like.outcome,
            failure=like.failure,
            told=like.told,
        )
        self._cursor.execute("SAVEPOINT plain")
        self._tables.write(self._cursor, self._job, [plain])
        self._cursor.execute("ROLLBACK TO SAVEPOINT plain")
        self._proven.add(like.outcome)

    def show(self, snapshot: Snapshot) -> list[str]:
        """Show what runs; it is only for now, and holds up no result."""
        try:
            said = self._apart(lambda: self._tables.show(self._cursor, self._job, snapshot))
        except Exception as error:
            if not _is_of_data(error):
                raise
            said = [f"what runs now is not shown: {self._session.told(error).said}"]
        return [f"{self._session.name}: {each}" for each in said]

    def _apart(self, work: Callable[[], Sequence[str]]) -> Sequence[str]:
        """Do `work`, and leave no trace of it where its values are refused."""
        self._cursor.execute("SAVEPOINT apart")
        try:
            found = work()
        except Exception as error:
            if _is_of_data(error):
                self._cursor.execute("ROLLBACK TO SAVEPOINT apart")
            raise
        self._cursor.execute("RELEASE SAVEPOINT apart")
        return found


def _is_of_data(error: Exception) -> bool:
    return str(getattr(error, "sqlstate", None) or "").startswith(_GUILTY)


def _named(result: Result) -> str:
    return one_line(" ".join(filter(None, (result.w_id, result.i_id, result.i_version))))
