"""Rows of a database, read for a Job with a query that somebody wrote into it.

The query is foreign, and so may the server be: it runs as one statement, in a transaction that only
reads, for a bounded time, its rows come a thousand at a time, and these may be so large and no
larger. What goes wrong is told in a sentence, which never has the URL or what stands in it.

It is the driver that is asked: SQLAlchemy would put names in their places, too, for 18 MB more.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, TypeVar

from bec_operator.act.connections.asking import Asking, Row
from bec_operator.act.connections.databases.database import Guard, Opened
from bec_operator.act.connections.databases.intake import Intake
from bec_operator.act.connections.databases.places import with_places
from bec_operator.act.ground.connections import Connection

T = TypeVar("T")

_GRACE = 5  # seconds for the server to end a query itself, before the connection is cut off


def read_rows(
    connection: Connection,
    query: str,
    values: Mapping[str, object],
    take: Callable[[Sequence[str], Iterator[Row]], T],
    *,
    seconds: float,
) -> T:
    """Return what `take` makes of the names of the columns and the rows; blocks.

    A value that is a list, of texts or tuples and not empty, stands for what follows IN. Query and
    rows together may take so many seconds. What `take` raises goes through; otherwise raises
    ConnectionTrouble.
    """
    asking = Asking(connection, seconds)
    with ExitStack() as stack:
        opened = asking.opened()
        stack.callback(opened.close)
        asking.guard = stack.enter_context(Guard(seconds + _GRACE, opened.cut))
        asking.intake = stack.enter_context(Intake(opened.received, opened.cut))
        with asking.told():
            stack.callback(opened.leave)  # the first row is read before there is a result
            _begin(opened.raw, asking.database.begin(seconds))
            cursor = stack.enter_context(_closing(asking.database.cursor(opened.raw), opened))
            cursor.execute(*with_places(query, values, asking.database.place))
            columns = asking.columns(cursor)
        return take(columns, asking.rows(cursor))


def _begin(raw: Any, statements: Sequence[str]) -> None:
    cursor = raw.cursor()
    for statement in statements:
        cursor.execute(statement)
    cursor.close()


@contextmanager
def _closing(cursor: Any, opened: Opened) -> Iterator[Any]:
    """Close a cursor, and leave to the server whatever rows are not read."""
    try:
        yield cursor
    finally:
        opened.leave()
        with suppress(Exception):  # its connection is lost, or left
            cursor.close()
