"""Results, tables and rights that a real PostgreSQL refuses: a sentence, and none is lost."""

from collections.abc import Callable
from pathlib import Path
from typing import LiteralString

import pytest

from bec_operator.act.connections.results.own.migrating import migrate
from bec_operator.act.ground.connections import Connection
from bec_operator.decide.volumes.results import Snapshot
from tests.support.databases import listening, secret
from tests.support.own_tables import (
    WRITER,
    attempt,
    delivered,
    result,
    rows,
    under_way,
)
from tests.support.ports import free_ports
from tests.support.postgres import Postgres, running_postgres
from tests.support.refused_results import refused, unanswered

ASK = "have the administrator of the database see what refuses it there"
DONE = "SELECT w_id FROM results ORDER BY w_id"


def test_no_way_in(postgres: Postgres, tmp_path: Path) -> None:
    wrong = secret(tmp_path / "a", postgres.url(WRITER, "guessed wrongly", sslmode="disable"))
    assert "password authentication failed" in unanswered(wrong)
    nobody = secret(tmp_path / "b", f"postgresql://a:bcdefg@127.0.0.1:{free_ports(1)[0]}/d")
    assert "there is no way into the database" in unanswered(nobody)
    assert "the url in its Secret cannot be used" in unanswered(secret(tmp_path / "c", "a:b@c"))
    assert "has no key url" in unanswered(Connection("catalogue", tmp_path / "none"))
    mysql = secret(tmp_path / "d", "mysql://a:bcdefg@127.0.0.1/d")
    assert "results go to PostgreSQL only, and its url begins with mysql://" in refused(mysql)


def test_a_server_that_repeats_the_password(
    writer: Connection, odd: Callable[[LiteralString, LiteralString], None], tmp_path: Path
) -> None:
    fields = b"SFATAL\0VFATAL\0C28000\0Mnobody who says may write comes in\0\0"
    with listening(b"E" + (len(fields) + 4).to_bytes(4, "big") + fields) as port:
        url = f"postgresql://{WRITER}:may%20write@127.0.0.1:{port}/postgres?sslmode=disable"
        assert "nobody who says … comes in" in unanswered(secret(tmp_path, url))
    odd("true", "RAISE EXCEPTION 'you may write no W1'")
    assert "you … no W1" in refused(writer)
    odd_one = "IF NEW.w_id = 'W1' THEN RAISE EXCEPTION 'you may write no W1'; END IF"
    odd("true", odd_one)
    (said,) = delivered(writer, result(1))
    assert said.endswith(f"volume W1 I1 is left out of the tables: you … no W1; {ASK}")


def test_a_volume_that_is_refused_holds_up_no_other(
    postgres: Postgres, writer: Connection, odd: Callable[[LiteralString, LiteralString], None]
) -> None:
    odd("NEW.w_id IN ('W3', 'W77')", "RAISE EXCEPTION USING ERRCODE = '23514', MESSAGE = 'not W'")
    batch = [result(n, f"W{n}", attempts=[attempt()]) for n in range(100)]
    assert delivered(writer, *batch, snapshot=Snapshot((under_way("W101"),))) == [
        f"connection catalogue: volume W3 I1 is left out of the tables: not W; {ASK}",
        f"connection catalogue: volume W77 I1 is left out of the tables: not W; {ASK}",
    ]
    assert len(rows(postgres, DONE)) == 99
    assert delivered(writer, batch[3]) == [
        f"connection catalogue: volume W3 I1 is left out of the tables: not W; {ASK}"
    ]


def test_tables_that_refuse_everything_of_a_kind(postgres: Postgres, writer: Connection) -> None:
    """Somebody has added a rule: nothing is left out, it waits until that is mended."""
    postgres.run("ALTER TABLE bec_operator.results ADD CHECK (outcome <> 'failed')")
    failed = result(1, "W2", outcome="failed")
    try:
        many = [result(1, f"W{n}", outcome="failed") for n in range(10, 2000)]
        said = refused(writer, result(1), failed, result(1, "W3"), *many)
        assert 'violates check constraint "results_outcome_check"' in said
        assert rows(postgres, DONE) == []
        assert delivered(writer, result(1)) == []
    finally:
        postgres.run("ALTER TABLE bec_operator.results DROP CONSTRAINT results_outcome_check")
    assert delivered(writer, failed) == []


def test_a_snapshot_that_is_refused_holds_up_no_result(
    postgres: Postgres, writer: Connection, odd: Callable[[LiteralString, LiteralString], None]
) -> None:
    odd("NEW.w_id = 'W2'", "RAISE EXCEPTION 'no W2'")
    said = delivered(writer, result(1), snapshot=Snapshot((under_way("W2"),)))
    assert said == ["connection catalogue: what runs now is not shown: no W2"]
    assert rows(postgres, DONE) == [("W1",)]


@pytest.mark.parametrize(
    ("statement", "back", "said"),
    [
        (
            "REVOKE INSERT, UPDATE ON ALL TABLES IN SCHEMA bec_operator FROM bec_writer",
            "GRANT INSERT, UPDATE ON ALL TABLES IN SCHEMA bec_operator TO bec_writer",
            "the role has no INSERT on bec_operator.attempts, no UPDATE on bec_operator.at",
        ),
        (
            "REVOKE USAGE ON SCHEMA bec_operator FROM bec_writer",
            "GRANT USAGE ON SCHEMA bec_operator TO bec_writer",
            "the role has no USAGE on the schema bec_operator; have the administrator",
        ),
        (
            "REVOKE SELECT ON bec_operator.migrations FROM bec_writer",
            "GRANT SELECT ON bec_operator.migrations TO bec_writer",
            "the role has no SELECT on bec_operator.migrations; have the administrator",
        ),
        (
            "REVOKE DELETE ON bec_operator.attempts FROM bec_writer",
            "GRANT DELETE ON bec_operator.attempts TO bec_writer",
            "the role has no DELETE on bec_operator.attempts; have the administrator",
        ),
        (
            "UPDATE bec_operator.migrations SET version_num = '9999'",
            "UPDATE bec_operator.migrations SET version_num = '0003'",
            "are those of migration '9999', which this operator does not know",
        ),
        (
            "ALTER TABLE bec_operator.results ALTER etag TYPE bigint USING NULL",
            "ALTER TABLE bec_operator.results ALTER etag TYPE text",
            'column "etag" is of type bigint but expression is of type text; have the admin',
        ),
    ],
)
def test_tables_and_rights_that_will_not_do(
    postgres: Postgres,
    writer: Connection,
    statement: LiteralString,
    back: LiteralString,
    said: str,
) -> None:
    postgres.run(statement)
    try:
        assert said in refused(writer)
    finally:
        postgres.run(back)
    assert delivered(writer, result(1)) == []


def test_tables_that_are_not_there_or_older(tmp_path: Path) -> None:
    with running_postgres() as empty:
        place = secret(tmp_path, empty.url(sslmode="disable"))
        missing = "the tables of the schema bec_operator are not there; run `bec-operator migrate`"
        assert missing in refused(place)
        empty.run("CREATE SCHEMA bec_operator")
        assert missing in refused(place)
        migrate(place, "0001")
        assert "are those of migration 0001, older than this operator's 0003; run" in refused(place)
        assert list(migrate(place)) == ["0002", "0003"]
        assert delivered(place, result(1)) == []
        empty.run("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
        latin = secret(tmp_path / "latin", empty.url(database="latin", sslmode="disable"))
        assert "the database is encoded as LATIN1, which cannot hold every id" in refused(latin)
