"""MySQL and MariaDB, through PyMySQL."""

import socket
import ssl
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from bec_operator.act.connections.databases.database import (
    CONNECT_SECONDS,
    Fault,
    Guard,
    Opened,
    Told,
    lock_seconds,
    of_python,
    one_line,
    over_socket,
)
from bec_operator.act.connections.databases.places import by_percent
from bec_operator.act.connections.databases.urls import UrlError, parsed

_PORT = 3306
_MODES = ("VERIFY_IDENTITY", "DISABLED")
_KEEPALIVE = {"TCP_KEEPIDLE": 20, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 45_000}
_LATE = {3024, 1969}  # max_execution_time of MySQL, max_statement_time of MariaDB
_LOCKED = {1205, 3572}
# The server's own troubles: too many connections, no memory, no disk, the end, killed, deadlock.
_AWAY = {
    *(1021, 1037, 1038, 1040, 1041, 1044, 1045, 1049, 1053, 1080, 1129, 1130, 1152, 1158, 1159),
    *(1160, 1161, 1203, 1213, 1226, 1317, 1927, 4031),
}
_OF_CLIENT = range(2000, 3000)  # the driver's: the connection is lost, or never was
_RIGHTS = {1142, 1143, 1370}
_WRITES = {1792, 1290, 1836}


class MySql:
    """Opened with a certificate verified by `authority`, without it by those the machine trusts.

    Nothing is sent in plain text but where the URL says `ssl-mode=DISABLED`. What only reads can
    still have the server write a file (INTO OUTFILE): the role must not have the right FILE.
    """

    rows_at_once = 1000
    place = staticmethod(by_percent)

    def open(self, url: str, authority: Path | None) -> Opened:
        """Connect; the only parameter of the URL is `ssl-mode`."""
        # It has no types; and who asks no database does not pay for it.
        import pymysql  # type: ignore[import-untyped]  # noqa: PLC0415

        given = parsed(url)
        if given.query.keys() - {"ssl-mode"}:
            raise UrlError("its only parameter can be ssl-mode")
        mode = given.query.get("ssl-mode", _MODES[0])
        if mode not in _MODES or given.host is None:
            raise UrlError(f"it needs a host, and ssl-mode can be {' or '.join(_MODES)}")
        raw = pymysql.Connection(
            host=given.host,
            user=given.username or "",
            password=given.password or "",
            database=given.database,
            charset="utf8mb4",
            init_command="SET SESSION TRANSACTION READ ONLY",
            ssl_disabled=mode == "DISABLED",
            ssl=None if mode == "DISABLED" else _context(authority),
            program_name="bec-operator",
            defer_connect=True,
        )
        line = socket.create_connection((given.host, given.port or _PORT), CONNECT_SECONDS)
        for name, value in _KEEPALIVE.items():
            line.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        opened = over_socket(raw, line.fileno())
        try:
            with Guard(CONNECT_SECONDS, opened.cut):
                raw.connect(line)
        except BaseException:
            opened.close()
            line.close()
            raise
        return replace(opened, leave=partial(_leave, raw))

    def cursor(self, raw: Any) -> Any:
        """Return a cursor that reads as it is fetched from."""
        from pymysql.cursors import SSCursor  # type: ignore[import-untyped]  # noqa: PLC0415

        return raw.cursor(SSCursor)

    def begin(self, seconds: float) -> Sequence[str]:
        """Limit the query; each of both servers takes the other's setting for a comment."""
        limit = max(1, round(seconds * 1000))
        locked = max(1, round(lock_seconds(seconds)))
        by_mysql = f"/*!50708 , max_execution_time = {limit} */"
        by_mariadb = f"/*M!100101 , max_statement_time = {limit / 1000} */"
        return (f"SET SESSION lock_wait_timeout = {locked} {by_mysql} {by_mariadb}",)

    def not_opened(self, error: Exception) -> Told:
        """Say why it could not be opened."""
        said = _said(error)
        return Told(Fault.AWAY, said, _opening_advice(said))

    def told(self, error: Exception) -> Told:
        """Say what an error means that came later, by its number."""
        number = error.args[0] if error.args else None
        if not isinstance(number, int):
            return of_python(error)
        return Told(_fault(number), _said(error), _query_advice(number))


def _leave(raw: Any) -> None:
    """Keep PyMySQL from reading all other rows, which it does even of a connection that is lost."""
    result = raw._result  # noqa: SLF001 - there is no other way
    if result is not None:
        result.unbuffered_active = False


def _said(error: Exception) -> str:
    return one_line(str(error.args[1]) if len(error.args) > 1 else str(error))


def _fault(number: int) -> Fault:
    if number in _LATE:
        return Fault.LATE
    if number in _LOCKED:
        return Fault.LOCKED
    is_away = number in _AWAY or number in _OF_CLIENT or number == 0
    return Fault.AWAY if is_away else Fault.QUERY


def _context(authority: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authority)
    # Certificates of a database are often self-made, and lack what only browsers ask for.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _opening_advice(said: str) -> str:
    if "certificate" in said.lower():
        return (
            "put the certificate of who signed the server's into the Secret as ca.crt, and see "
            "that the url has the name that stands in the server's certificate"
        )
    if "SSL is required" in said:
        return (
            "have the server speak TLS, or write ssl-mode=DISABLED into the url if nobody else "
            "can listen on the way there"
        )
    return ""


def _query_advice(number: int) -> str:
    if number in _RIGHTS:
        return "have the administrator of the database let the connection's role read it"
    return "a query here can only read" if number in _WRITES else ""
