"""Rows of a database, read for a Job with a query that somebody wrote into it.

The query is foreign, and so may the server be: it runs as one statement, in a transaction that only
reads, for a bounded time, its rows come a thousand at a time, and these may be so large and no
larger. What goes wrong is told in a sentence, which never has the URL or what stands in it.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from bec_operator.act.connections.asking import Asking, Row
from bec_operator.act.connections.databases.database import Database, Guard, Opened
from bec_operator.act.connections.databases.intake import Intake
from bec_operator.act.ground.connections import Connection

if TYPE_CHECKING:
    from sqlalchemy import BindParameter, CursorResult, TextClause
    from sqlalchemy import Connection as Session

T = TypeVar("T")

_COLON = re.compile(r"'(?:[^']|'')*'|\\:|(?<![:\w\\]):([A-Za-z_]\w*)|:")
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
            session = stack.enter_context(_session(asking.database, opened))
            stack.callback(opened.leave)  # the first row is read before there is a result
            for statement in asking.database.begin(seconds):
                session.exec_driver_sql(statement)
            result = session.execute(
                _statement(query, values),
                dict(values),
                execution_options={"stream_results": True},
            )
            stack.enter_context(_closing(result, opened))
            columns = asking.columns(result)
        return take(columns, asking.rows(result))


@contextmanager
def _session(database: Database, opened: Opened) -> Iterator["Session"]:
    """Have SQLAlchemy's connection over one that is open."""
    from sqlalchemy import NullPool, create_engine  # noqa: PLC0415 - large, and not always needed

    engine = create_engine(
        f"{database.dialect}://",
        creator=lambda: opened.raw,
        poolclass=NullPool,
        **database.options,
    )
    with engine.connect() as session:
        try:
            yield session
        finally:
            session.invalidate()  # there is nothing to commit, and no answer to wait for


@contextmanager
def _closing(result: "CursorResult[Any]", opened: Opened) -> Iterator[None]:
    """Close a result, and leave to the server whatever rows are not read."""
    try:
        yield
    finally:
        opened.leave()
        result.close()


def _statement(query: str, values: Mapping[str, object]) -> "TextClause":
    """Return the query with its values in their places, and nothing else taken for a place."""
    from sqlalchemy import bindparam, text  # noqa: PLC0415

    def kept(found: re.Match[str]) -> str:
        if found[1] in values or found[0] == r"\:":
            return found[0]
        return found[0].replace(":", r"\:")  # ::text, or a colon in a text

    lists: list[BindParameter[object]] = [
        bindparam(k, expanding=True) for k, v in values.items() if isinstance(v, list)
    ]
    return text(_COLON.sub(kept, query)).bindparams(*lists)
