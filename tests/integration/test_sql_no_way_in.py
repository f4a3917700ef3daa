"""Ways into a PostgreSQL that are none: wrong keys, certificates that nobody knows, no server."""

import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bec_operator.act.connections.databases import postgres as opening
from bec_operator.act.ground.connections import Connection
from tests.support.databases import listening, rows_of, secret, unanswered
from tests.support.ports import free_ports
from tests.support.postgres import Postgres, running_postgres

ONE = "SELECT 1"
WRONG = "wrong-pass#word"


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as postgres:
        postgres.run("CREATE ROLE nobody LOGIN PASSWORD 'nobody' CONNECTION LIMIT 0")
        yield postgres


@pytest.fixture(scope="module")
def encrypted() -> Iterator[Postgres]:
    with running_postgres(tls=True) as postgres:
        yield postgres


def test_a_wrong_password(postgres: Postgres, tmp_path: Path) -> None:
    said = unanswered(secret(tmp_path, postgres.url(password=WRONG, sslmode="disable")), ONE)
    assert 'password authentication failed for user "admin"; the administrator should' in said
    assert WRONG not in said


def test_a_database_that_is_not_there(postgres: Postgres, tmp_path: Path) -> None:
    said = unanswered(secret(tmp_path, postgres.url(database="catalog", sslmode="disable")), ONE)
    assert 'database "catalog" does not exist' in said


def test_more_connections_than_there_may_be(postgres: Postgres, tmp_path: Path) -> None:
    said = unanswered(secret(tmp_path, postgres.url("nobody", "nobody", sslmode="disable")), ONE)
    assert "too many connections for role" in said


def test_a_secret_that_is_not_there(tmp_path: Path) -> None:
    assert "no key url or uri" in unanswered(Connection("catalogue", tmp_path / "none"), ONE)


def test_a_certificate_that_nobody_here_has_signed(encrypted: Postgres, tmp_path: Path) -> None:
    said = unanswered(secret(tmp_path, encrypted.url()), ONE)
    assert "certificate verify failed; put the certificate of who signed" in said


@pytest.mark.parametrize("parameters", [{}, {"sslmode": "verify-ca"}, {"sslmode": "require"}])
def test_a_certificate_that_the_secret_s_authority_has_signed(
    encrypted: Postgres, tmp_path: Path, parameters: dict[str, str]
) -> None:
    connection = secret(tmp_path, encrypted.url(**parameters), encrypted.authority)
    asked = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    assert rows_of(connection, asked) == [(True,)]


def test_a_certificate_that_the_machine_s_authorities_have_signed(
    encrypted: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = ssl.get_default_verify_paths()._replace(cafile=str(encrypted.authority))
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: found)
    for given in ({}, {"sslmode": "verify-full", "sslrootcert": "system"}):
        assert rows_of(secret(tmp_path, encrypted.url(**given)), "SELECT 1") == [(1,)]


def test_a_certificate_for_another_name(encrypted: Postgres, tmp_path: Path) -> None:
    url = encrypted.url().replace("127.0.0.1", "127.0.0.2")
    said = unanswered(secret(tmp_path, url.replace("?", ""), encrypted.authority), ONE)
    assert "127.0.0.2" in said


def test_a_server_that_speaks_no_tls(postgres: Postgres, tmp_path: Path) -> None:
    said = unanswered(secret(tmp_path, postgres.url()), ONE)
    assert "server does not support SSL" in said
    assert "write sslmode=disable into the url if nobody else can listen" in said


def test_nobody_at_the_port(tmp_path: Path) -> None:
    port = free_ports(1)[0]
    said = unanswered(secret(tmp_path, f"postgresql://u:{WRONG[:5]}@127.0.0.1:{port}/d"), ONE)
    assert "Connection refused" in said


def test_a_port_that_never_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert opening._ALWAYS["connect_timeout"] == 10
    monkeypatch.setitem(opening._ALWAYS, "connect_timeout", 2)
    with listening() as port:
        begun = time.monotonic()
        said = unanswered(secret(tmp_path, f"postgresql://u:p@127.0.0.1:{port}/d"), ONE)
    assert "connection timeout expired" in said
    assert time.monotonic() - begun < 5


def test_a_server_of_something_else(tmp_path: Path) -> None:
    with listening(b"HTTP/1.1 400 Bad Request\r\n\r\n" + bytes(70_000)) as port:
        for mode in ("", "?sslmode=disable"):
            said = unanswered(secret(tmp_path, f"postgresql://u:p@127.0.0.1:{port}/d{mode}"), ONE)
            assert "there is no way into the database" in said
