"""`bec-operator migrate` against a real PostgreSQL: once, twice, by two, and by whom it may not."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bec_operator.act.connections.results.own.head import HEAD, KNOWN
from bec_operator.act.connections.results.own.migrating import as_sql, migrate
from bec_operator.act.ground.connections import Connection, ConnectionTrouble
from bec_operator.commands import run
from tests.support.databases import NAME, secret
from tests.support.own_tables import delivered, result, rows
from tests.support.postgres import Postgres, running_postgres
from tests.support.waiting import until

TABLES = "SELECT count(*) FROM pg_class WHERE relnamespace = 'bec_operator'::regnamespace"
SHAPE = (
    "SELECT relname, attname, format_type(atttypid, atttypmod), attnotnull, "
    "col_description(oid, attnum) FROM pg_class JOIN pg_attribute ON attrelid = oid "
    "WHERE relnamespace = 'bec_operator'::regnamespace AND attnum > 0 ORDER BY 1, attnum"
)


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with running_postgres() as postgres:
        postgres.run("CREATE ROLE nobody LOGIN PASSWORD 'may nothing'")
        yield postgres


@pytest.fixture
def postgres(server: Postgres) -> Postgres:
    server.run("DROP SCHEMA IF EXISTS bec_operator CASCADE")
    return server


@pytest.fixture
def place(postgres: Postgres, tmp_path: Path) -> Connection:
    return secret(tmp_path / NAME, postgres.url(sslmode="disable"))


Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run `bec-operator` with arguments; return its exit code, and what it says where."""

    def ran(*arguments: str) -> tuple[int, str, str]:
        return run(arguments), *capsys.readouterr()

    return ran


def test_the_operator_itself_is_not_run_then() -> None:
    started = [sys.executable, "-c", "from bec_operator.app import main; main()", "demigrate"]
    ran = subprocess.run(started, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 2
    assert "invalid choice: 'demigrate' (choose from" in ran.stderr


def test_the_command_says_what_it_did(place: Connection, command: Command) -> None:
    arguments = ("migrate", "--connection", NAME, "--folder", str(place.folder.parent))
    code, said, _ = command(*arguments)
    assert code == 0
    assert said.splitlines() == [
        "connection catalogue: migration 0001 is done",
        "connection catalogue: migration 0002 is done",
        "connection catalogue: migration 0003 is done",
        "connection catalogue: the schema bec_operator is at 0003",
    ]
    again = "connection catalogue: the schema bec_operator was already at 0003\n"
    assert command(*arguments) == (0, again, "")


def test_the_command_says_what_is_wrong(
    postgres: Postgres, tmp_path: Path, command: Command
) -> None:
    secret(tmp_path / NAME, postgres.url("nobody", "may nothing", sslmode="disable"))
    code, out, said = command("migrate", "--connection", NAME, "--folder", str(tmp_path))
    assert (code, out) == (1, "")
    assert "bec-operator migrate: connection catalogue: the database refuses" in said
    assert "permission denied for database postgres; have the administrator" in said
    code, _, said = command("migrate", "--connection", "other", "--folder", str(tmp_path))
    assert code == 1
    assert "connection other: its Secret is not there" in said


@pytest.mark.parametrize("arguments", [["migrate"], ["demigrate"], ["migrate", "--everything"]])
def test_the_command_is_written_wrongly(arguments: list[str], command: Command) -> None:
    code, out, said = command(*arguments)
    assert (code, out) == (2, "")
    assert said.startswith("usage: bec-operator")


def test_sql_for_an_administrator_makes_the_same(
    postgres: Postgres, place: Connection, command: Command
) -> None:
    migrate(place)
    made = rows(postgres, SHAPE)
    postgres.run("DROP SCHEMA bec_operator CASCADE")
    code, sql, _ = command("migrate", "--sql")
    assert (code, sql.rstrip()) == (0, as_sql().rstrip())
    with postgres.admin() as admin:
        admin.execute(sql.encode())
    assert rows(postgres, SHAPE) == made
    assert not migrate(place)
    assert not delivered(place, result(1))


def test_a_schema_that_somebody_has_made(postgres: Postgres, tmp_path: Path) -> None:
    """Who migrates needs no rights but those on the schema."""
    postgres.run("CREATE SCHEMA bec_operator AUTHORIZATION nobody")
    place = secret(tmp_path, postgres.url("nobody", "may nothing", sslmode="disable"))
    assert migrate(place) == KNOWN
    assert not delivered(place, result(1))


def test_two_at_once(postgres: Postgres, place: Connection) -> None:
    """The second waits for the first, and has nothing to do then."""
    done: list[int] = []
    both = [threading.Thread(target=lambda: done.append(len(migrate(place)))) for _ in range(2)]
    waiting = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    with postgres.admin() as admin, admin.transaction():
        admin.execute("SELECT pg_advisory_xact_lock(%s)", [0x626563])
        for each in both:
            each.start()
        until(lambda: len(rows(postgres, waiting)) == 2, "both wait")
    for each in both:
        each.join()
    assert sorted(done) == [0, len(KNOWN)]
    assert rows(postgres, "SELECT version_num FROM migrations") == [(HEAD,)]


def test_one_that_fails_leaves_nothing(postgres: Postgres, place: Connection) -> None:
    migrate(place, "0001")
    postgres.run("CREATE VIEW bec_operator.working AS SELECT 1")
    before = rows(postgres, TABLES)
    with pytest.raises(ConnectionTrouble, match='relation "working" already exists'):
        migrate(place)
    assert rows(postgres, TABLES) == before
    assert rows(postgres, "SELECT version_num FROM migrations") == [("0001",)]


def test_tables_of_a_later_operator(postgres: Postgres, place: Connection) -> None:
    migrate(place)
    postgres.run("UPDATE bec_operator.migrations SET version_num = '9999'")
    with pytest.raises(ConnectionTrouble, match="this operator does not know"):
        migrate(place)
