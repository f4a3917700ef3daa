"""Deliveries of results that end badly, and what is said of it."""

from collections.abc import Callable, Sequence

import pytest

from bec_operator.act.connections.databases.urls import masked
from bec_operator.act.connections.results.own.tables import OwnTables
from bec_operator.act.connections.results.session import RESULTS_REFUSED
from bec_operator.act.connections.results.tables import Cursor
from bec_operator.act.connections.results.writing import deliver
from bec_operator.act.ground.connections import UNAVAILABLE, Connection, ConnectionTrouble
from bec_operator.decide.volumes.results import JobTold, Result, Snapshot
from tests.support.own_tables import JOB, result


class Meanwhile(OwnTables):
    """Our tables, and something that happens in the middle of the transaction."""

    def __init__(self, happens: Callable[[int], object]) -> None:
        self._happens = happens

    def write(self, cursor: Cursor, job: JobTold, results: Sequence[Result]) -> Sequence[str]:
        said = super().write(cursor, job, results)
        self._happens(cursor.connection.info.backend_pid)
        return said

    def show(self, cursor: Cursor, job: JobTold, snapshot: Snapshot) -> Sequence[str]:
        return super().show(cursor, job, snapshot)


def refusal(
    connection: Connection,
    *results: Result,
    meanwhile: Callable[[int], object] = lambda _: None,
    seconds: float = 20,
) -> ConnectionTrouble:
    """Return what keeps results (one, if none is given) from being written: one line."""
    with pytest.raises(ConnectionTrouble) as caught:
        deliver(
            connection,
            Meanwhile(meanwhile),
            JOB,
            results or [result(1)],
            Snapshot(),
            seconds=seconds,
        )
    said = str(caught.value)
    assert said.startswith("connection catalogue: ")
    assert said.isprintable(), said
    assert len(said) < 700, said
    assert masked(said, connection.entry("url")) == said
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    return caught.value


def unanswered(connection: Connection, **more: object) -> str:
    trouble = refusal(connection, **more)  # type: ignore[arg-type]
    assert trouble.reason == UNAVAILABLE, trouble
    return str(trouble)


def refused(connection: Connection, *results: Result) -> str:
    trouble = refusal(connection, *results)
    assert trouble.reason == RESULTS_REFUSED, trouble
    return str(trouble)
