"""A MariaDB in a folder and on a port of its own, with TLS; nothing else is like MySQL here."""

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pymysql  # type: ignore[import-untyped]  # it has no types

from tests.cluster.pki import Authority
from tests.support.ports import free_ports
from tests.support.waiting import until

ADMIN = "admin"
_SERVER = "mariadbd"  # of Debian's package mariadb-server-core, which starts nothing itself
_PATH = f"/usr/sbin:/usr/bin:{os.environ.get('PATH', '')}"
_TABLES = [
    Path("/usr/share/mysql") / name
    for name in ("mysql_system_tables.sql", "mysql_system_tables_data.sql")
]
_SMALL = ("--innodb-buffer-pool-size=8M", "--innodb-flush-log-at-trx-commit=0")


class MariaDb:
    """A server; ADMIN may come in from this machine."""

    def __init__(self, port: int, password: str, authority: Path) -> None:
        self.port = port
        self.password = password
        self.authority = authority  # who signs its certificate

    def url(self, user: str = ADMIN, password: str | None = None, more: str = "") -> str:
        """Return where its database `test` is, as it stands in a Secret."""
        known = self.password if password is None else password
        return f"mysql://{user}:{quote(known, '')}@127.0.0.1:{self.port}/test{more}"

    def run(self, *statements: str) -> None:
        """Run statements as ADMIN."""
        with self._admin() as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def lets_in(self) -> bool:
        """Whether ADMIN can come in already."""
        try:
            self._admin().close()
        except pymysql.Error:
            return False
        return True

    def _admin(self) -> Any:
        return pymysql.connect(
            host="127.0.0.1", port=self.port, user=ADMIN, password=self.password, autocommit=True
        )


@contextmanager
def running_mariadb() -> Iterator[MariaDb]:
    """Run a server, whose certificate `authority` has signed."""
    program = shutil.which(_SERVER, path=_PATH)
    assert program, f"{_SERVER} is not there; install Debian's package mariadb-server-core"
    with tempfile.TemporaryDirectory(prefix="mariadb-", ignore_cleanup_errors=True) as name:
        home, password = Path(name), secrets.token_hex(10)
        authority = Authority(home)
        pair = authority.issue("server", "mariadb", (), "127.0.0.1", "localhost")
        base = (program, "--no-defaults", f"--datadir={home / 'data'}", *_as_who())
        _create(home, base, password)
        database = MariaDb(free_ports(1)[0], password, authority.certificate)
        with (home / "log").open("ab") as log:
            # Should this process be killed, the server ends with it.
            server = subprocess.Popen(
                [
                    *("setpriv", "--pdeathsig=KILL", *base, *_SMALL),
                    *("--bind-address=127.0.0.1", f"--port={database.port}", "--skip-name-resolve"),
                    *(f"--socket={home / 'socket'}", f"--init-file={home / 'init.sql'}"),
                    *(f"--ssl-cert={pair.certificate}", f"--ssl-key={pair.key}"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # an interrupt of the tests is not meant for it
            )
        try:
            until(database.lets_in, f"MariaDB lets somebody in; see {home / 'log'}", timeout=60)
            yield database
        finally:
            server.kill()  # nothing of it is to be kept
            server.wait()


def _create(home: Path, base: tuple[str, ...], password: str) -> None:
    """Make what it keeps: its own tables, and who may come in."""
    (home / "data").mkdir()
    (home / "init.sql").write_text(
        f"CREATE DATABASE IF NOT EXISTS test;\n"
        f"CREATE USER {ADMIN}@'127.0.0.1' IDENTIFIED BY '{password}';\n"
        f"GRANT ALL ON *.* TO {ADMIN}@'127.0.0.1' WITH GRANT OPTION;\n"
    )
    tables = b"".join(file.read_bytes() for file in _TABLES)
    made = subprocess.run(
        [*base, *_SMALL, "--bootstrap"],
        input=b"CREATE DATABASE mysql;\nUSE mysql;\n" + tables,
        capture_output=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr[-2000:]


def _as_who() -> tuple[str, ...]:
    """Return the option without which it refuses to be root's, where it is."""
    return ("--user=root",) if os.geteuid() == 0 else ()
