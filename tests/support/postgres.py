"""A PostgreSQL in a folder and on a port of its own, for tests that read from a real one."""

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import LiteralString
from urllib.parse import quote, urlencode

import psycopg

from tests.cluster.pki import Authority
from tests.support.ports import free_ports
from tests.support.waiting import until

ADMIN = "admin"  # the role that may do everything
_DEBIAN = Path("/usr/lib/postgresql")  # it keeps the server's programs out of PATH, by version
_UNPRIVILEGED = "postgres"  # of Debian's package: the server refuses to be root's
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "20",
    "shared_buffers": "16MB",
    "autovacuum": "off",
}


class Postgres:
    """A server; who has the right password may come in from this machine."""

    def __init__(self, home: Path, port: int, *, tls: bool) -> None:
        self.port = port
        self.password = secrets.token_hex(10)  # of ADMIN
        self.authority: Path | None = None  # who signs its certificate, if it has one
        self._home = home
        self._server: subprocess.Popen[bytes] | None = None
        if tls:
            authority = Authority(home)
            authority.issue("server", "postgres", (), "127.0.0.1", "localhost")
            self.authority = authority.certificate

    def url(
        self,
        user: str = ADMIN,
        password: str | None = None,
        database: str = "postgres",
        **parameters: str,
    ) -> str:
        """Return where it is, as it stands in a Secret; of ADMIN the password is known."""
        known = self.password if password is None else password
        url = f"postgresql://{quote(user, '')}:{quote(known, '')}@127.0.0.1:{self.port}/{database}"
        return f"{url}?{urlencode(parameters)}" if parameters else url

    def admin(self, database: str = "postgres") -> psycopg.Connection:
        """Connect as ADMIN; each statement is a transaction."""
        return psycopg.connect(self.url(database=database), autocommit=True, connect_timeout=10)

    def run(self, *statements: LiteralString) -> None:
        """Run statements as ADMIN."""
        with self.admin() as connection:
            for statement in statements:
                connection.execute(statement)

    def create(self) -> None:
        """Make what it keeps; it is owned by whom it runs as."""
        (self._home / "password").write_text(self.password)
        if os.geteuid() == 0:
            for path in (self._home, *self._home.iterdir()):
                shutil.chown(path, _UNPRIVILEGED, _UNPRIVILEGED)
        made = subprocess.run(
            [
                *("setpriv", *_unprivileged(), _program("initdb")),
                *("--no-sync", f"--username={ADMIN}"),
                *(f"--pwfile={self._home / 'password'}", "--auth=scram-sha-256"),
                *("--encoding=UTF8", "--locale=C.UTF-8", f"--pgdata={self._home / 'data'}"),
            ],
            cwd=self._home,
            capture_output=True,
            text=True,
            check=False,
        )
        assert made.returncode == 0, made.stdout + made.stderr

    def start(self) -> None:
        """Start it, and wait until it lets somebody in."""
        settings = {**_SETTINGS, "port": str(self.port)}
        if self.authority is not None:
            pair = {"ssl_cert_file": "server.crt", "ssl_key_file": "server.key"}
            settings |= {"ssl": "on", **{k: str(self._home / v) for k, v in pair.items()}}
        with (self._home / "log").open("ab") as log:
            # Should this process be killed, the server ends with it.
            self._server = subprocess.Popen(
                [
                    *("setpriv", "--pdeathsig=KILL", *_unprivileged()),
                    *(_program("postgres"), f"-D{self._home / 'data'}"),
                    *(f"--{name}={value}" for name, value in settings.items()),
                ],
                cwd=self._home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # an interrupt of the tests is not meant for it
            )
        until(self._lets_in, f"PostgreSQL lets somebody in; see {self._home / 'log'}", timeout=60)

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """End it: at once and without a word (SIGQUIT), or first of all its clients (SIGINT)."""
        if self._server is not None:
            self._server.send_signal(how)
            self._server.wait(60)
            self._server = None

    def _lets_in(self) -> bool:
        assert self._server is not None
        if self._server.poll() is not None:
            raise AssertionError((self._home / "log").read_text()[-2000:])
        try:
            self.admin().close()
        except psycopg.OperationalError:
            return False
        return True


@contextmanager
def running_postgres(*, tls: bool = False) -> Iterator[Postgres]:
    """Run a server; with `tls`, one with a certificate that `authority` has signed."""
    # Not in pytest's folder: that is root's alone, and the server is not root's.
    with tempfile.TemporaryDirectory(prefix="postgres-", ignore_cleanup_errors=True) as name:
        postgres = Postgres(Path(name), free_ports(1)[0], tls=tls)
        postgres.create()
        try:
            postgres.start()
            yield postgres
        finally:
            postgres.stop()


def _program(name: str) -> str:
    """Return a program of the newest version that is installed."""
    found = [each for each in _DEBIAN.glob(f"*/bin/{name}") if each.parts[-3].isdigit()]
    assert found, f"{name} is not there; install Debian's package postgresql"
    return str(max(found, key=lambda each: int(each.parts[-3])))


def _unprivileged() -> tuple[str, ...]:
    """Return the options of setpriv with which a command does not run as root."""
    if os.geteuid() != 0:
        return ()
    return (f"--reuid={_UNPRIVILEGED}", f"--regid={_UNPRIVILEGED}", "--clear-groups")
