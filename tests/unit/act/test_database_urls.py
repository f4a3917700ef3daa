"""URLs of databases: those that could be read in two ways are refused, and nothing is repeated."""

import subprocess
import sys

import pytest

from bec_operator.act.connections.databases.urls import UrlError, masked, scheme_of


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:word@host/database",
        "postgresql://user:p%40ss%2Fw%3Ard@host:5432/database?sslmode=require&application_name=x",
        "postgresql://user:a:b@host",
        "postgresql://host,host:5433/database",
        "postgresql://user:word@[::1]:5432/database",
        "postgresql:///database?host=/run/postgresql",
        "postgresql://",
    ],
)
def test_what_can_be_read_in_one_way(url: str) -> None:
    assert scheme_of(url) == "postgresql"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:p@ss@host/database",
        "postgresql://user:p/ss@host/database",
        "postgresql://user:p?ss@host/database",
        "postgresql://user:p#ss@host/database",
        "postgresql://user:p%ss@host/database",
        "postgresql://user:p ss@host/database",
        "postgresql://user:pass",
        "postgresql://user:word@host:port/database",
        "postgresql+psycopg://user:word@host/database",
        "host=host user=user password=pass",
        "pass",
        "",
    ],
)
def test_what_cannot_is_not_repeated(url: str) -> None:
    with pytest.raises(UrlError, match="write scheme://user:password@host") as caught:
        scheme_of(url)
    assert "ss" not in str(caught.value).replace("password", "")


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("postgresql://u:p%40ss@h/d", "p@ss"),
        ("postgresql://u:p%40ss@h/d", "p%40ss"),
        ("postgresql://u:a:b@h/d", "a:b"),
        ("postgresql://h/d?user=u&password=se-cret&sslmode=require", "se-cret"),
        ("postgresql://u@h/d?sslpassword=se-cret", "se-cret"),
    ],
)
def test_a_password_that_a_server_repeats_is_taken_out(url: str, word: str) -> None:
    assert masked(f"no user has {word!r} here", url) == "no user has '…' here"


def test_a_sentence_without_it_stays() -> None:
    assert masked("FATAL: no", "postgresql://u:@h/d") == "FATAL: no"
    assert masked("FATAL: no", "postgresql://u:o@h/d") == "FATAL: no"


def test_who_asks_no_database_does_not_load_what_that_takes() -> None:
    script = "import sys, bec_operator.act.connections.sql; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    loaded = set(done.stdout.split())
    assert "bec_operator.act.connections.databases.postgres" in loaded
    assert not loaded & {"sqlalchemy", "psycopg", "pymysql", "sqlite3"}
