"""One query to one connection: which kind of database it is, how long it has, and its troubles."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Any

from bec_operator.act.connections.databases.database import Database, Fault, Guard, Opened, Told
from bec_operator.act.connections.databases.intake import AT_ONCE, Intake
from bec_operator.act.connections.databases.mysql import MySql
from bec_operator.act.connections.databases.postgres import Postgres
from bec_operator.act.connections.databases.sqlite import Sqlite
from bec_operator.act.connections.databases.urls import UrlError, masked, scheme_of
from bec_operator.act.ground.connections import (
    QUERY_REFUSED,
    UNAVAILABLE,
    Connection,
    ConnectionTrouble,
)
from bec_ops.contract.volume import MAX_ID_CHARACTERS

Row = tuple[object, ...]
_KINDS: Mapping[str, Database] = {
    **dict.fromkeys(("postgresql", "postgres"), Postgres()),
    **dict.fromkeys(("mysql", "mariadb"), MySql()),
    "sqlite": Sqlite(),
}


class Asking:
    """Opens the database, hands out the rows, and turns what goes wrong into ConnectionTrouble."""

    def __init__(self, connection: Connection, seconds: float) -> None:
        self._connection = connection
        self._seconds = seconds
        self._url = connection.needed("url", "uri")
        self._end = float("inf")
        self.guard: Guard | None = None
        self.intake: Intake | None = None
        self.database = self._kind()

    def _kind(self) -> Database:
        try:
            found = _KINDS.get(scheme_of(self._url))
        except UrlError as error:
            raise self._bad_url(str(error)) from None
        if found is None:
            raise self._bad_url(f"it has to begin with one of {', '.join(_KINDS)} and ://")
        return found

    def _bad_url(self, said: str) -> ConnectionTrouble:
        return ConnectionTrouble(
            UNAVAILABLE,
            f"connection {self._connection.name}: the url in its Secret cannot be used: {said}; "
            "the administrator has to correct it",
        )

    def opened(self) -> Opened:
        """Connect; from then on the time runs."""
        try:
            opened = self.database.open(self._url, self._connection.path("ca.crt"))
        except UrlError as error:
            raise self._bad_url(str(error)) from None
        except Exception as error:  # noqa: BLE001 - a server that is none can cause any
            raise self._no_way_in(self.database.not_opened(error)) from None
        self._end = monotonic() + self._seconds
        return opened

    def columns(self, cursor: Any) -> Sequence[str]:
        """Return the names of the columns."""
        if cursor.description is None:  # MySQL's INTO OUTFILE
            raise ConnectionTrouble(
                QUERY_REFUSED,
                f"connection {self._connection.name}: the query gives no rows; correct the query",
            )
        return [str(column[0]) for column in cursor.description]

    def rows(self, cursor: Any) -> Iterator[Row]:
        """Yield the rows: few at first, as what is large or wrong is so from the beginning."""
        size = 1
        while True:
            with self.told():
                part = cursor.fetchmany(size)
            if self.intake is not None:
                self.intake.take()
            if monotonic() > self._end:
                raise self._late()
            if not part:
                return
            yield from map(tuple, part)
            size = min(size * 10, self.database.rows_at_once)

    @contextmanager
    def told(self) -> Iterator[None]:
        """Turn whatever the driver raises into ConnectionTrouble."""
        try:
            yield
        except ConnectionTrouble:
            raise
        except Exception as error:  # noqa: BLE001 - drivers raise all kinds for what they read
            raise self._trouble(error) from None

    def _trouble(self, error: Exception) -> ConnectionTrouble:
        if self.intake is not None and self.intake.has_cut:
            return self._too_much()
        if self.guard is not None and self.guard.has_cut:
            return self._late()
        told = self.database.told(error)
        said, name = masked(told.said, self._url), f"connection {self._connection.name}"
        # Somebody may have ended the query by hand, too.
        if told.fault is Fault.LATE and monotonic() >= self._end - 1:
            return self._late()
        if told.fault is Fault.QUERY:
            advice = told.advice or "correct the query"
            return ConnectionTrouble(
                QUERY_REFUSED, f"{name}: the query is refused: {said}; {advice}"
            )
        if told.fault is Fault.LOCKED:
            said += "; somebody else has locked what the query reads, and should let go of it"
        return ConnectionTrouble(
            UNAVAILABLE, f"{name}: the database did not answer the query: {said}; it is asked again"
        )

    def _no_way_in(self, told: Told) -> ConnectionTrouble:
        advice = told.advice or "the administrator should look at it, and at the url in its Secret"
        return ConnectionTrouble(
            UNAVAILABLE,
            f"connection {self._connection.name}: there is no way into the database: "
            f"{masked(told.said, self._url)}; {advice}",
        )

    def _late(self) -> ConnectionTrouble:
        return ConnectionTrouble(
            UNAVAILABLE,
            f"connection {self._connection.name}: the query took longer than {self._seconds:g} s "
            "with its rows; let it read less, or an index help it, or have querySeconds of the "
            "operator's chart raised",
        )

    def _too_much(self) -> ConnectionTrouble:
        return ConnectionTrouble(
            QUERY_REFUSED,
            f"connection {self._connection.name}: the query is refused: its rows bring more than "
            f"{AT_ONCE // 1024**2} MiB at once, and a volume has ids of at most "
            f"{MAX_ID_CHARACTERS} characters; correct the query, so that each column gives an id "
            "and nothing else",
        )
