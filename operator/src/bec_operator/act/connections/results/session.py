"""A PostgreSQL that is written to: opened, cut off when it hangs, and its troubles in sentences."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from bec_operator.act.connections.databases.database import Fault, Guard, Opened, Told
from bec_operator.act.connections.databases.postgres import Postgres
from bec_operator.act.connections.databases.urls import UrlError, masked, scheme_of
from bec_operator.act.ground.connections import UNAVAILABLE, Connection, ConnectionTrouble

RESULTS_REFUSED = "ResultsRefused"  # the server has understood, and will say so again
_SCHEMES = ("postgresql", "postgres")
_READ_ONLY = "25006"
_NO_STATE = "08000"  # of what the driver says itself: it has lost the server
# Where a commit ends in one of these, it may have been made: who waits for a standby, say.
_UNDECIDED = ("08", "57", "58", "XX")
_WRITABLE = (
    "name the server that takes writes in the url; with several hosts in it, "
    "target_session_attrs=read-write finds that one"
)
_GRACE = 5  # seconds for the server to end a statement itself, before the connection is cut off


class Session:
    """One connection for one transaction; whatever goes wrong becomes ConnectionTrouble."""

    def __init__(self, connection: Connection, seconds: float) -> None:
        self.name = f"connection {connection.name}"
        self.raw: Any = None  # of psycopg, once it is open
        self.database = Postgres()
        self._connection = connection
        self._seconds = seconds
        self._url = connection.needed("url", "uri")
        self._guard: Guard | None = None
        self._commits = False

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Have it open; all that is done meanwhile may take so many seconds."""
        with ExitStack() as stack:
            opened = self._open()
            stack.callback(opened.close)
            self._guard = stack.enter_context(Guard(self._seconds + _GRACE, opened.cut))
            self.raw = opened.raw
            with self._told():
                yield

    def begin(self) -> Any:
        """Begin the transaction, and return a cursor in it."""
        cursor = self.raw.cursor()
        for statement in self.database.begin_to_write(self._seconds):
            cursor.execute(statement)
        return cursor

    def commit(self) -> None:
        """Commit; what goes wrong from here on leaves it open whether it was."""
        self._commits = True
        self.raw.commit()

    def refused(self, said: str) -> ConnectionTrouble:
        """Return what to raise where nothing can be written until somebody does something."""
        return ConnectionTrouble(RESULTS_REFUSED, f"{self.name}: {said}")

    def told(self, error: Exception) -> Told:
        """Say what an error means, without a password of ours."""
        cause = getattr(error, "orig", None)  # SQLAlchemy's errors repeat statements
        found = self.database.told(cause if isinstance(cause, Exception) else error)
        if _state(error) == _READ_ONLY:
            found = Told(Fault.AWAY, found.said, _WRITABLE)
        return Told(found.fault, masked(found.said, self._url), found.advice)

    def _open(self) -> Opened:
        authority = self._connection.path("ca.crt")
        try:
            scheme = scheme_of(self._url)
            if scheme in _SCHEMES:
                return self.database.open_to_write(self._url, authority)
        except UrlError as error:
            said = f"the url in its Secret cannot be used: {error}"
            advice = "the administrator has to correct it"
        except Exception as error:  # noqa: BLE001 - a server that is none can cause any
            told = self.database.not_opened(error)
            said = f"there is no way into the database: {masked(told.said, self._url)}"
            advice = told.advice or "the administrator should look at it, and at the url"
        else:
            raise self.refused(
                f"results go to PostgreSQL only, and its url begins with {scheme}://; name a "
                "connection of a PostgreSQL"
            )
        raise ConnectionTrouble(UNAVAILABLE, f"{self.name}: {said}; {advice}")

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except ConnectionTrouble:
            raise
        except Exception as error:  # noqa: BLE001 - drivers raise all kinds
            raise self._trouble(error) from None

    def _trouble(self, error: Exception) -> ConnectionTrouble:
        told = self.told(error)
        if self._guard is not None and self._guard.has_cut:
            said = f"it did not answer within {self._seconds:g} s"
        elif told.fault is Fault.QUERY:
            return self.refused(
                f"the database refuses what is to be written: {told.said}; have the administrator "
                "of the database see that tables and rights are as the operator's docs have them"
            )
        elif told.fault is Fault.LATE:
            said = f"{told.said} (after {self._seconds:g} s, or by somebody's hand)"
        elif told.fault is Fault.LOCKED:
            said = f"{told.said}; somebody else has locked a table, and should let go of it"
        else:
            said = "; ".join(filter(None, (told.said, told.advice)))
        if self._commits and _state(error).startswith(_UNDECIDED):
            said += "; whether it has kept the results, nobody knows"
        return ConnectionTrouble(
            UNAVAILABLE,
            f"{self.name}: the database did not take what was to be written: {said}; it is tried "
            "again, and what is there already stays as it is",
        )


def _state(error: Exception) -> str:
    """Return the server's state of an error."""
    found = getattr(getattr(error, "orig", error), "sqlstate", None)
    return str(found or _NO_STATE)
