"""What ends a query of a real PostgreSQL: each is told in a sentence, and in time."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from bec_operator.act.connections import sql
from bec_operator.act.connections.sql import read_rows
from bec_operator.act.ground.connections import UNAVAILABLE, Connection
from tests.support.databases import Row, refusal, rows_of, secret, unanswered
from tests.support.postgres import Postgres, running_postgres
from tests.support.waiting import until

ALL = "SELECT w_id, pg_backend_pid() FROM volumes"
TOTAL = 3000


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as postgres:
        postgres.run(
            "CREATE TABLE volumes AS SELECT 'W' || n AS w_id, n FROM generate_series(0, 2999) n"
        )
        yield postgres


@pytest.fixture
def database(postgres: Postgres, tmp_path: Path) -> Connection:
    return secret(tmp_path, postgres.url(sslmode="disable"))


def broken_off(connection: Connection, cause: Callable[[int], object], seconds: float = 20) -> str:
    """Return what is told where something happens to a session once the first row is there."""

    def take(columns: Sequence[str], rows: Iterator[Row]) -> None:
        del columns
        cause(int(str(next(rows)[1])))
        assert sum(1 for _ in rows) == TOTAL - 1

    trouble = refusal(connection, ALL, seconds=seconds, take=take)
    assert trouble.reason == UNAVAILABLE
    return str(trouble)


def test_a_session_that_is_ended_between_two_rows(postgres: Postgres, database: Connection) -> None:
    def end(pid: int) -> None:
        with postgres.admin() as admin:
            admin.execute("SELECT pg_terminate_backend(%s)", [pid])

    said = broken_off(database, end)
    assert "terminating connection due to administrator command; it is asked again" in said


def test_a_server_that_is_gone_between_two_rows(postgres: Postgres, database: Connection) -> None:
    try:
        said = broken_off(database, lambda _: postgres.stop())
    finally:
        postgres.start()
    assert "the database did not answer the query: " in said
    assert len(rows_of(database, ALL)) == TOTAL


def test_a_server_that_is_gone_once_all_rows_are_there(
    postgres: Postgres, database: Connection
) -> None:
    def take(columns: Sequence[str], rows: Iterator[Row]) -> int:
        del columns
        count = len(list(rows))
        postgres.stop()
        return count

    try:
        assert read_rows(database, ALL, {}, take, seconds=20) == TOTAL
    finally:
        postgres.start()


def test_a_server_that_hangs_between_two_rows(
    database: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql, "_GRACE", 0.5)
    stopped: list[int] = []

    def stop(pid: int) -> None:
        os.kill(pid, signal.SIGSTOP)
        stopped.append(pid)

    begun = time.monotonic()
    try:
        said = broken_off(database, stop, seconds=1)
    finally:
        os.kill(stopped[0], signal.SIGCONT)
    assert "the query took longer than 1 s" in said
    assert time.monotonic() - begun < 5


def test_a_query_that_is_ended_by_hand(postgres: Postgres, database: Connection) -> None:
    """It did not take too long, so nobody is told to make it quicker."""

    def end() -> None:
        with postgres.admin() as admin:
            asked = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'FETCH%'"
            until(lambda: admin.execute(asked).fetchall(), "the query runs")

    ending = threading.Thread(target=end)
    ending.start()
    said = unanswered(database, "SELECT pg_sleep(20)")
    ending.join()
    assert "canceling statement due to user request; it is asked again" in said


def test_a_server_that_is_about_to_end(postgres: Postgres, database: Connection) -> None:
    assert postgres._server is not None
    with postgres.admin():  # for whom it waits
        postgres._server.send_signal(signal.SIGTERM)
        until(lambda: "is shutting down" in unanswered(database, ALL), "it lets nobody in")
    postgres.stop(signal.SIGINT)
    postgres.start()


@pytest.mark.parametrize(
    "query",
    [
        "SELECT pg_sleep(20)",
        "SELECT pg_sleep(0.2) FROM volumes",
        "SELECT set_config('statement_timeout', '0', false), pg_sleep(n * 5) FROM volumes",
    ],
)
def test_a_query_that_takes_too_long(
    database: Connection, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql, "_GRACE", 0.5)
    begun = time.monotonic()
    said = unanswered(database, query, seconds=1)
    assert "the query took longer than 1 s with its rows; let it read less" in said
    assert time.monotonic() - begun < 5


def test_a_query_that_is_given_up_ends(
    postgres: Postgres, database: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds locks, and is asked again before long."""
    monkeypatch.setattr(sql, "_GRACE", 0.5)
    asked = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'bec-operator'"
    query = "SELECT set_config('statement_timeout', '0', false), pg_sleep(n * 50) FROM volumes"
    unanswered(database, query, seconds=1)
    with postgres.admin() as admin:
        assert admin.execute(asked).fetchall()
        until(lambda: not admin.execute(asked).fetchall(), "the session has ended")


def test_a_table_that_somebody_has_locked(postgres: Postgres, database: Connection) -> None:
    with postgres.admin() as admin, admin.transaction():
        admin.execute("LOCK TABLE volumes IN ACCESS EXCLUSIVE MODE")
        said = unanswered(database, ALL, seconds=2)
    assert "lock timeout; somebody else has locked what the query reads" in said
    assert len(rows_of(database, ALL)) == TOTAL
