"""Rows of a real MariaDB, which speaks as MySQL does, and of SQLite."""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from bec_operator.act.connections import sql
from bec_operator.act.connections.databases import mysql
from bec_operator.act.connections.sql import read_rows
from bec_operator.act.ground.connections import QUERY_REFUSED, UNAVAILABLE, Connection
from bec_operator.sources.text_lines import ListError
from tests.support.databases import Row, listening, refusal, rows_of, secret, unanswered
from tests.support.mariadb import MariaDb, running_mariadb

ALL = "SELECT w_id, i_id FROM volumes"
MANY = 1_000_000  # too many for the buffers between a server and us
VOLUMES = [("W1", "I1"), ("W2", "I2")]
FOREVER = "WITH RECURSIVE s AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM s) SELECT count(*) FROM s"


@pytest.fixture(scope="module")
def mariadb() -> Iterator[MariaDb]:
    with running_mariadb() as mariadb:
        mariadb.run(
            "USE test",
            "CREATE TABLE volumes (w_id varchar(20), i_id varchar(20))",
            "INSERT INTO volumes SELECT concat('W', seq), concat('I', seq) FROM seq_1_to_1000000",
            "CREATE TABLE secrets (w_id varchar(20))",
            "CREATE FUNCTION written() RETURNS int MODIFIES SQL DATA "
            "BEGIN DELETE FROM volumes; RETURN 1; END",
            "CREATE USER reader@'127.0.0.1' IDENTIFIED BY 'may read'",
            "GRANT SELECT ON test.volumes TO reader@'127.0.0.1'",
        )
        yield mariadb


@pytest.fixture
def reader(mariadb: MariaDb, tmp_path: Path) -> Connection:
    return secret(tmp_path, mariadb.url("reader", "may read"), mariadb.authority)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of SQLite, whose name has what means something in a URL."""
    file = tmp_path / "cata log?.db"
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("CREATE TABLE volumes (w_id text, i_id text)")
        database.executemany("INSERT INTO volumes VALUES (?, ?)", VOLUMES)
    return file


@pytest.fixture
def sqlite(file: Path, tmp_path: Path) -> Connection:
    return secret(tmp_path, f"sqlite:///{file}".replace(" ", "%20").replace("?", "%3F"))


def test_rows_of_mariadb(reader: Connection) -> None:
    assert len(rows_of(reader, f"{ALL} LIMIT 50000")) == 50_000
    query = (
        f"{ALL} WHERE (w_id, i_id) IN :volumes AND w_id LIKE 'W%' AND i_id <> ':x' ORDER BY w_id"
    )
    others = [("W1", "I2"), ("W'--", "I1"), ("W%s", "I:n")]
    assert rows_of(reader, query, {"volumes": VOLUMES + others}) == VOLUMES


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT FROM FROM", "error in your SQL syntax"),
        ("SELECT w FROM volumes", "Unknown column 'w'"),
        ("SELECT * FROM secrets", "SELECT command denied to user 'reader'@'127.0.0.1'"),
        ("SELECT 1; SELECT 2", "error in your SQL syntax"),
    ],
)
def test_a_wrong_query_to_mariadb(reader: Connection, query: str, said: str) -> None:
    trouble = refusal(reader, query)
    assert trouble.reason == QUERY_REFUSED
    assert said in str(trouble)


def test_a_query_to_mariadb_cannot_write(mariadb: MariaDb, tmp_path: Path) -> None:
    admin = secret(tmp_path, mariadb.url(), mariadb.authority)
    assert "a query here can only read" in str(refusal(admin, "SELECT written()"))
    assert rows_of(admin, "SELECT count(*) FROM volumes") == [(MANY,)]


def test_no_way_into_mariadb(mariadb: MariaDb, tmp_path: Path) -> None:
    wrong = secret(tmp_path / "1", mariadb.url("reader", "wrong-pass#word"), mariadb.authority)
    assert "Access denied for user 'reader'@'127.0.0.1'" in unanswered(wrong, ALL)
    said = unanswered(secret(tmp_path / "2", mariadb.url("reader", "may read")), ALL)
    assert "put the certificate of who signed the server's into the Secret as ca.crt" in said
    said = unanswered(secret(tmp_path / "3", mariadb.url(more="?ssl=0")), ALL)
    assert "its only parameter can be ssl-mode" in said


def test_a_port_of_mysql_that_never_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mysql, "CONNECT_SECONDS", 0.5)
    with listening() as port:
        said = unanswered(secret(tmp_path, f"mysql://u:word@127.0.0.1:{port}/d"), ALL)
    assert "there is no way into the database: Lost connection" in said


def test_a_mysql_of_something_else(tmp_path: Path) -> None:
    with listening(b"HTTP/1.1 400 Bad Request\r\n\r\n" + bytes(70_000)) as port:
        said = unanswered(secret(tmp_path, f"mysql://u:word@127.0.0.1:{port}/d"), ALL)
    assert "there is no way into the database" in said


def test_mariadb_in_plain_text_where_the_url_says_so(mariadb: MariaDb, tmp_path: Path) -> None:
    asked = "SELECT variable_value FROM information_schema.session_status "
    asked += "WHERE variable_name = 'ssl_version'"
    url = mariadb.url("reader", "may read")
    assert rows_of(secret(tmp_path, url, mariadb.authority), asked) == [("TLSv1.3",)]
    assert rows_of(secret(tmp_path, f"{url}?ssl-mode=DISABLED"), asked) == [("",)]


@pytest.mark.parametrize("query", ["SELECT sleep(20)", "SELECT sleep(0.01), w_id FROM volumes"])
def test_a_query_to_mariadb_that_takes_too_long(reader: Connection, query: str) -> None:
    begun = time.monotonic()
    assert "the query took longer than 1 s" in unanswered(reader, query, seconds=1)
    assert time.monotonic() - begun < 5


def test_mariadb_ends_the_session_between_two_rows(mariadb: MariaDb, reader: Connection) -> None:
    def take(columns: Sequence[str], rows: Iterator[Row]) -> None:
        del columns
        mariadb.run(f"KILL {next(rows)[0]}")
        list(rows)

    trouble = refusal(reader, "SELECT connection_id(), w_id FROM volumes", take=take)
    assert trouble.reason == UNAVAILABLE
    assert "Lost connection to MySQL server during query" in str(trouble)


def test_what_mariadb_s_rows_are_refused_for_goes_through(reader: Connection) -> None:
    def take(columns: Sequence[str], rows: Iterator[Row]) -> None:
        del columns
        next(rows)
        raise ListError("not these")

    with pytest.raises(ListError, match="not these"):
        read_rows(reader, ALL, {}, take, seconds=20)


def test_rows_of_sqlite(sqlite: Connection) -> None:
    assert rows_of(sqlite, ALL) == VOLUMES
    query = f"{ALL} WHERE (w_id, i_id) IN :volumes AND w_id <> :other"
    values = {"volumes": [VOLUMES[1], ("W1", "I2")], "other": "W7"}
    assert rows_of(sqlite, query, values) == VOLUMES[1:]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT w FROM volumes", "no such column: w"),
        ("SELECT w_id FROM volume", "no such table: volume"),
        ("WITH x AS (SELECT 1) DELETE FROM volumes", "attempt to write a readonly database"),
        ("SELECT 1; DELETE FROM volumes", "one statement at a time"),
        ("SELECT CAST(x'57e9' AS text) AS w_id", "Could not decode to UTF-8 column"),
        ("SELECT :n", "too large"),
    ],
)
def test_a_wrong_query_to_sqlite(sqlite: Connection, query: str, said: str) -> None:
    trouble = refusal(sqlite, query, {"n": 10**30})
    assert trouble.reason == QUERY_REFUSED
    assert said in str(trouble)
    assert rows_of(sqlite, ALL) == VOLUMES


def test_a_query_to_sqlite_that_takes_too_long(
    sqlite: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql, "_GRACE", 0.0)
    begun = time.monotonic()
    assert "the query took longer than 0.5 s" in unanswered(sqlite, FOREVER, seconds=0.5)
    assert time.monotonic() - begun < 5


def test_no_way_into_sqlite(tmp_path: Path) -> None:
    said = unanswered(secret(tmp_path, f"sqlite:///{tmp_path}/none.db"), ALL)
    assert "unable to open database file" in said
    assert not (tmp_path / "none.db").exists()
    assert "it names no file" in unanswered(secret(tmp_path, "sqlite://"), ALL)
    said = unanswered(secret(tmp_path, f"sqlite:///{tmp_path}/url"), ALL)
    assert "file is not a database" in said


def test_another_kind_of_database(tmp_path: Path) -> None:
    said = unanswered(secret(tmp_path, "mssql://u:secret@h/d"), ALL)
    assert "it has to begin with one of postgresql, postgres, mysql, mariadb, sqlite" in said
