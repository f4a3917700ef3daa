"""Rows of a real PostgreSQL: what is read of it, and that a query can do nothing else."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bec_operator.act.connections.sql import read_rows
from bec_operator.act.ground.connections import QUERY_REFUSED, Connection
from bec_operator.sources.text_lines import ListError
from tests.support.databases import every_row, refusal, rows_of, secret
from tests.support.postgres import Postgres, running_postgres

MANY = 500_000
LIMIT = 30  # MiB for many rows as a list of volumes, beside what a query of one row takes
SCHEMA = (
    "CREATE TABLE volumes (w_id text, i_id text, n int)",
    "INSERT INTO volumes SELECT 'W' || n, 'I' || n, n FROM generate_series(1, 3000) n",
    "CREATE TABLE secrets (w_id text, i_id text)",
    "CREATE ROLE reader LOGIN PASSWORD 'may read'",
    "GRANT SELECT ON volumes TO reader",
    "CREATE FUNCTION written() RETURNS int LANGUAGE sql AS 'DELETE FROM volumes RETURNING n'",
)

READ = r"""
import pathlib, re, sys
from bec_operator.act.ground.connections import Connection
from bec_operator.act.connections.sql import read_rows
from bec_operator.sources.query_rows import volumes_of_rows

def volumes(total):
    query = "SELECT 'W' || n AS w_id, 'I' || n AS i_id FROM generate_series(1, :total) n"
    take = lambda columns, rows: volumes_of_rows(columns, rows, "query", total)
    connection = Connection("catalogue", pathlib.Path(sys.argv[1]))
    found = read_rows(connection, query, {"total": total}, take, seconds=60)
    return found, int(re.search(r"VmHWM:\s+(\d+)", open("/proc/self/status").read())[1])

few, before = volumes(1)
many, after = volumes(int(sys.argv[2]))
print(len(many), (after - before) // 1024)
"""


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as postgres:
        postgres.run(*SCHEMA)
        yield postgres


@pytest.fixture
def reader(postgres: Postgres, tmp_path: Path) -> Connection:
    """A connection as an administrator should make it: its role can read one table."""
    return secret(tmp_path, postgres.url("reader", "may read", sslmode="disable"))


@pytest.fixture
def admin(postgres: Postgres, tmp_path: Path) -> Connection:
    """A connection whose role could do everything."""
    return secret(tmp_path / "admin", postgres.url(sslmode="disable"))


def test_columns_and_all_rows_come_in_their_order(reader: Connection) -> None:
    query = 'SELECT w_id, i_id AS "I_Id", n FROM volumes ORDER BY n DESC'
    columns, rows = read_rows(reader, query, {}, every_row, seconds=20)
    assert columns == ["w_id", "I_Id", "n"]
    assert rows == [(f"W{n}", f"I{n}", n) for n in range(3000, 0, -1)]


def test_values_stand_where_they_are_named_and_nowhere_else(reader: Connection) -> None:
    query = (
        "SELECT w_id::text, ':n', '100% \\:n', 'it''s :n', '12:30' FROM volumes "
        "WHERE n = :n::int OR w_id LIKE :like AND n < :n ORDER BY n -- nor:here: :nowhere"
    )
    found = rows_of(reader, query, {"n": 7, "like": "W%2"})
    assert found == [(w, ":n", "100% \\:n", "it's :n", "12:30") for w in ("W2", "W7")]


def test_a_value_is_never_part_of_the_query(reader: Connection) -> None:
    query = "SELECT w_id FROM volumes WHERE w_id = :w"
    assert rows_of(reader, query, {"w": "' OR ''='"}) == []
    assert rows_of(reader, query, {"w": "W1"}) == [("W1",)]


def test_a_text_does_for_a_number(reader: Connection) -> None:
    assert rows_of(reader, "SELECT w_id FROM volumes WHERE n = :n", {"n": "5"}) == [("W5",)]


def test_many_volumes_are_asked_for_at_once(reader: Connection) -> None:
    query = "SELECT w_id, i_id FROM volumes WHERE (w_id, i_id) IN :volumes ORDER BY n"
    wanted = [(f"W{n}", f"I{n}") for n in range(1, 2001)]
    others = [("W1", "I2"), ("W'--", "I1"), ("W%s", "I:n")]
    assert rows_of(reader, query, {"volumes": wanted + others}) == wanted
    assert rows_of(reader, query, {"volumes": others}) == []


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT FROM FROM", 'syntax error at or near "FROM"; correct the query'),
        ("SELECT w_id FROM volume", 'relation "volume" does not exist'),
        ("SELECT w FROM volumes", 'column "w" does not exist'),
        ("SELECT * FROM secrets", "permission denied for table secrets; have the administrator"),
        ("SELECT w_id FROM volumes WHERE w_id = 5", "text = integer; write CAST"),
        ("SELECT CAST(w_id AS int) FROM volumes", 'for type integer: "W1"; write CAST'),
        ("SELECT 1 / (n - 2500) FROM volumes ORDER BY n", "division by zero"),
        ("SELECT w_id FROM volumes WHERE n = :n", 'syntax error at or near ":"'),
        ("SELECT repeat('x', 2000)::int", f'"{"x" * 200}'),
        ("SELECT 'infinity'::date", "date too large"),
    ],
)
def test_a_query_that_is_wrong_is_told_as_such(reader: Connection, query: str, said: str) -> None:
    trouble = refusal(reader, query)
    assert trouble.reason == QUERY_REFUSED
    assert not trouble.unknown
    assert said in str(trouble)


@pytest.mark.parametrize(
    "query",
    [
        "WITH gone AS (DELETE FROM volumes RETURNING w_id) SELECT * FROM gone",
        "SELECT w_id INTO more FROM volumes",
        "SELECT w_id FROM volumes FOR UPDATE",
        "SELECT written()",
        "SELECT set_config('transaction_read_only', 'off', false), written()",
        "SELECT 1; DELETE FROM volumes",
        "SELECT 1; COMMIT; DELETE FROM volumes",
    ],
)
def test_a_query_cannot_write(admin: Connection, query: str) -> None:
    assert refusal(admin, query).reason == QUERY_REFUSED
    assert rows_of(admin, "SELECT count(*) FROM volumes") == [(3000,)]
    assert rows_of(admin, "SELECT to_regclass('more')::text") == [(None,)]


def test_bytes_that_are_no_text_are_told(postgres: Postgres, tmp_path: Path) -> None:
    """An old database may have said that its texts are of no known encoding."""
    postgres.run("CREATE DATABASE old ENCODING 'SQL_ASCII' TEMPLATE template0 LOCALE 'C'")
    with postgres.admin("old") as old:
        old.execute("CREATE TABLE volumes AS SELECT E'W\\xe9' AS w_id")
    connection = secret(tmp_path, postgres.url(database="old", sslmode="disable"))
    trouble = refusal(connection, "SELECT w_id FROM volumes")
    assert trouble.reason == QUERY_REFUSED
    assert "invalid byte sequence" in str(trouble)


def test_what_the_rows_are_refused_for_goes_through(reader: Connection) -> None:
    def take(columns: object, rows: Iterator[tuple[object, ...]]) -> None:
        del columns
        next(rows)
        raise ListError("not these")

    with pytest.raises(ListError, match="not these"):
        read_rows(reader, "SELECT w_id FROM volumes", {}, take, seconds=20)


def test_many_rows_are_read_in_little_memory(postgres: Postgres, tmp_path: Path) -> None:
    secret(tmp_path, postgres.url("reader", "may read", sslmode="disable"))
    command = [sys.executable, "-c", READ, str(tmp_path), str(MANY)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    total, grown = map(int, done.stdout.split())
    assert total == MANY
    assert grown < LIMIT
