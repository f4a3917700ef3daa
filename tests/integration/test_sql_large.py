"""Values of a query that are larger than any id: they are refused before they fill the memory."""

import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bec_operator.act.connections.databases.intake import bytes_read
from bec_operator.act.ground.connections import QUERY_REFUSED, Connection
from tests.support.databases import refusal, rows_of, secret
from tests.support.mariadb import MariaDb, running_mariadb
from tests.support.postgres import Postgres, running_postgres
from tests.support.waiting import until

SIZE = 300  # MiB of one value
LIMIT = 100  # MiB by which the memory may grow; half of it is the driver's, which takes twice
TOO_MUCH = "its rows bring more than 16 MiB at once, and a volume has ids of at most 128 characters"

READ = r"""
import pathlib, re, sys
from bec_operator.act.ground.connections import Connection, ConnectionTrouble
from bec_operator.act.connections.sql import read_rows

def grown(query):
    connection = Connection("catalogue", pathlib.Path(sys.argv[1]))
    try:
        read_rows(connection, query, {}, lambda columns, rows: list(rows), seconds=60)
    except ConnectionTrouble as trouble:
        print(trouble)
    return int(re.search(r"VmHWM:\s+(\d+)", open("/proc/self/status").read())[1])

before = grown("SELECT 'W1' AS w_id")
print((grown(sys.argv[2]) - before) // 1024)
"""


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with running_postgres(tls=True) as postgres:
        yield postgres


@pytest.fixture(scope="module")
def mariadb() -> Iterator[MariaDb]:
    with running_mariadb() as mariadb:
        mariadb.run("SET GLOBAL max_allowed_packet = 1073741824")
        yield mariadb


def read(folder: Path, query: str) -> tuple[str, int]:
    """Return what another process is told of a query, and by how many MiB it grows."""
    command = [sys.executable, "-c", READ, str(folder), query]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert not done.stderr
    said, grown = done.stdout.splitlines()
    return said, int(grown)


@pytest.mark.parametrize("tls", ["require", "disable"])
@pytest.mark.parametrize(
    "query",
    [
        f"SELECT repeat('x', {SIZE << 20}) AS w_id",
        f"SELECT repeat('x', {SIZE << 20})::int AS w_id",  # the server repeats it as it refuses it
        "SELECT repeat('x', 300000) AS w_id FROM generate_series(1, 1000)",
    ],
)
def test_postgresql(postgres: Postgres, tmp_path: Path, query: str, tls: str) -> None:
    secret(tmp_path, postgres.url(sslmode=tls))
    said, grown = read(tmp_path, query)
    assert TOO_MUCH in said
    assert grown < LIMIT


def test_mariadb(mariadb: MariaDb, tmp_path: Path) -> None:
    secret(tmp_path, mariadb.url(), mariadb.authority)
    said, grown = read(tmp_path, f"SELECT repeat('x', {SIZE << 20}) AS w_id")
    assert TOO_MUCH in said
    assert grown < LIMIT


@pytest.mark.parametrize("query", ["SELECT zeroblob(:most)", "SELECT hex(zeroblob(:most)) AS w_id"])
def test_sqlite(tmp_path: Path, query: str) -> None:
    with closing(sqlite3.connect(tmp_path / "catalogue.db")) as database, database:
        database.execute("CREATE TABLE volumes (w_id text)")
    connection = secret(tmp_path, f"sqlite:///{tmp_path}/catalogue.db")
    trouble = refusal(connection, query, {"most": SIZE << 20})
    assert trouble.reason == QUERY_REFUSED
    assert "string or blob too big" in str(trouble)
    assert read(tmp_path, query.replace(":most", str(SIZE << 20)))[1] < LIMIT


def test_much_in_many_rows_is_read(postgres: Postgres, tmp_path: Path) -> None:
    """What was taken counts no more: 40 MB, of which no thousand rows have more than two."""
    connection: Connection = secret(tmp_path, postgres.url(sslmode="disable"))
    query = "SELECT repeat('x', 2000) AS w_id FROM generate_series(1, 20000)"
    assert len(rows_of(connection, query)) == 20_000


def test_what_the_kernel_holds_does_not_count() -> None:
    """A server may be far ahead of who takes its rows."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname()) as ours, server.accept()[0] as theirs:
            theirs.sendall(bytes(50_000))
            until(lambda: len(ours.recv(50_000, socket.MSG_PEEK)) == 50_000, "all has come")
            assert bytes_read(ours) == 0
            ours.recv(20_000)
            assert bytes_read(ours) == 20_000
        assert bytes_read(ours) == 0
