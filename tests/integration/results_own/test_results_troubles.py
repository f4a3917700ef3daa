"""What keeps results from a real PostgreSQL: each is told in a sentence, and nothing is lost."""

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import LiteralString

import pytest

from bec_operator.act.connections.results import session
from bec_operator.act.ground.connections import UNAVAILABLE, Connection
from tests.support.databases import secret
from tests.support.no_answer import way_without_answer
from tests.support.own_tables import (
    WRITER,
    attempt,
    delivered,
    result,
    rows,
)
from tests.support.postgres import Postgres
from tests.support.refused_results import refusal, unanswered
from tests.support.waiting import until

DONE = "SELECT w_id FROM results ORDER BY w_id"


def test_a_session_that_is_ended_in_the_middle(postgres: Postgres, writer: Connection) -> None:
    def end(pid: int) -> None:
        with postgres.admin() as admin:
            admin.execute("SELECT pg_terminate_backend(%s)", [pid])

    said = unanswered(writer, meanwhile=end)
    assert "terminating connection due to administrator command; it is tried again" in said
    assert rows(postgres, DONE) == []


def test_a_server_that_is_gone_in_the_middle(postgres: Postgres, writer: Connection) -> None:
    try:
        said = unanswered(writer, meanwhile=lambda _: postgres.stop())
    finally:
        postgres.start()
    assert "the database did not take what was to be written: " in said
    assert delivered(writer, result(1)) == []


def test_a_server_that_hangs(
    postgres: Postgres, writer: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "_GRACE", 0.5)
    stopped: list[int] = []

    def stop(pid: int) -> None:
        os.kill(pid, signal.SIGSTOP)
        stopped.append(pid)

    begun = time.monotonic()
    try:
        said = unanswered(writer, meanwhile=stop, seconds=1)
    finally:
        os.kill(stopped[0], signal.SIGCONT)
    assert "it did not answer within 1 s; it is tried again" in said
    assert time.monotonic() - begun < 5
    assert rows(postgres, DONE) == []


def test_an_answer_to_commit_that_is_lost(
    postgres: Postgres, writer: Connection, tmp_path: Path
) -> None:
    """Nobody knows whether it was done, so it is done again, and is there once."""
    with way_without_answer(postgres.port, b"COMMIT\0") as port:
        url = postgres.url(WRITER, "may write", sslmode="disable")
        far = secret(tmp_path, url.replace(f":{postgres.port}/", f":{port}/"))
        said = unanswered(far)
    assert "whether it has kept the results, nobody knows; it is tried again" in said
    until(lambda: rows(postgres, DONE) == [("W1",)], "it was committed")
    delivered(writer, result(1))
    assert rows(postgres, DONE) == [("W1",)]


def test_a_commit_that_is_refused(postgres: Postgres, writer: Connection) -> None:
    postgres.run(
        "CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS "
        "$$BEGIN RAISE EXCEPTION USING ERRCODE = '40001', MESSAGE = 'too late'; END$$",
        "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON bec_operator.results "
        "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION late()",
    )
    try:
        assert "too late; it is tried again" in unanswered(writer)
    finally:
        postgres.run("DROP FUNCTION late CASCADE")
    assert rows(postgres, DONE) == []


def test_tables_that_somebody_has_locked(postgres: Postgres, writer: Connection) -> None:
    with postgres.admin() as admin, admin.transaction():
        admin.execute("LOCK TABLE bec_operator.attempts IN ACCESS EXCLUSIVE MODE")
        trying = result(1, attempts=[attempt()])
        trouble = refusal(writer, trying, seconds=2)
    assert trouble.reason == UNAVAILABLE
    assert "lock timeout; somebody else has locked a table, and should let go" in str(trouble)
    assert rows(postgres, DONE) == []


def test_a_statement_that_is_ended_by_hand(postgres: Postgres, writer: Connection) -> None:
    def end() -> None:
        asked = (
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity "
            "WHERE query LIKE '%INSERT INTO bec_operator.results%' AND wait_event_type = 'Lock' "
            "AND pid <> pg_backend_pid()"
        )
        with postgres.admin() as admin:
            until(lambda: admin.execute(asked).fetchall(), "it waits")

    with postgres.admin() as admin, admin.transaction():
        admin.execute("LOCK TABLE bec_operator.results IN SHARE MODE")
        ending = threading.Thread(target=end)
        ending.start()
        assert "canceling statement due to user request" in unanswered(writer)
        ending.join()


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("53100", "could not extend file"),
        ("53300", "could not extend file"),
        ("40P01", "could not extend file"),
        ("25006", "could not extend file; name the server that takes writes in the url"),
    ],
)
def test_a_server_that_can_take_nothing_now(
    postgres: Postgres,
    writer: Connection,
    odd: Callable[[LiteralString, LiteralString], None],
    state: LiteralString,
    said: str,
) -> None:
    odd("true", f"RAISE EXCEPTION USING ERRCODE = '{state}', MESSAGE = 'could not extend file'")
    assert said in unanswered(writer)
    assert rows(postgres, DONE) == []


def test_a_server_that_lets_nothing_be_written(postgres: Postgres, writer: Connection) -> None:
    """As a standby, or one whose disk is about to be full."""
    postgres.run("ALTER ROLE bec_writer SET default_transaction_read_only = on")
    try:
        said = unanswered(writer)
    finally:
        postgres.run("ALTER ROLE bec_writer RESET default_transaction_read_only")
    assert "in a read-only transaction; name the server that takes writes" in said
