"""PostgreSQL, through psycopg."""

import ssl
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bec_operator.act.connections.databases.database import (
    CONNECT_SECONDS,
    Fault,
    Opened,
    Told,
    lock_seconds,
    of_python,
    one_line,
    over_socket,
)
from bec_operator.act.connections.databases.places import by_percent
from bec_operator.act.connections.databases.urls import UrlError

_DEFAULTS: dict[str, Any] = {"application_name": "bec-operator", "sslmode": "verify-full"}
# A server that vanishes is noticed within a minute, whether we wait for it or send.
_ALWAYS: dict[str, Any] = {
    "connect_timeout": CONNECT_SECONDS,
    "client_encoding": "UTF8",
    "keepalives": 1,
    "keepalives_idle": 20,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 45_000,
}
_DEBIAN = Path("/etc/ssl/certs/ca-certificates.crt")
_VERIFIED = ("verify-full", "verify-ca")

_LATE, _LOCKED = "57014", "55P03"
# Of the server's states, these are about itself; 40001 is a standby's, whose rows go meanwhile.
_AWAY_CLASSES = ("08", "28", "40", "53", "57", "58", "XX")
_AWAY_STATES = ("25P03", "25P04")  # it does not wait for us any longer
_RIGHTS, _WRITES = "42501", "25006"
_TYPES = ("42883", "42804", "22P02", "22007", "22008", "22003")

# By default a query goes on, and holds its locks, though nobody is there any more. Servers before
# version 14 do not know the setting, and to name it there would be an error.
_NOTICE = (
    "SELECT set_config(name, '5s', true) FROM pg_catalog.pg_settings "
    "WHERE name = 'client_connection_check_interval'"
)


class Postgres:
    """Opened with a verified certificate, where its URL does not say otherwise."""

    rows_at_once = 1000
    place = staticmethod(by_percent)

    def open(self, url: str, authority: Path | None) -> Opened:
        """Connect; what the URL says goes before the defaults."""
        opened = self.open_to_write(url, authority)
        opened.raw.read_only = True  # each transaction begins with it
        # Else the end of its cursor were asked for, and waited for.
        return replace(opened, leave=opened.raw.close)

    def open_to_write(self, url: str, authority: Path | None) -> Opened:
        """Connect as `open` does, and leave to the server whether something may be written.

        To say so would overrule a server that wants nothing written now, and a standby takes it
        for a mistake.
        """
        import psycopg  # noqa: PLC0415 - who asks no database does not pay for it
        from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415

        try:
            given = conninfo_to_dict(url)
        except psycopg.Error:
            raise UrlError("it has parameters that are none of PostgreSQL's") from None
        settings = _DEFAULTS | given | _ALWAYS
        if authority is not None:
            settings.setdefault("sslrootcert", str(authority))
        elif settings["sslmode"] in _VERIFIED and settings.get("sslrootcert", "system") == "system":
            settings["sslrootcert"] = _system_authorities()
        # No prepared statements: poolers in between hand the next one to another server process.
        raw = psycopg.connect(**settings, prepare_threshold=None)
        return over_socket(raw, raw.fileno())

    def cursor(self, raw: Any) -> Any:
        """Return a cursor of the server's own."""
        return raw.cursor(name="volumes")

    def begin(self, seconds: float) -> Sequence[str]:
        """Limit the query, in its transaction alone: a pooler gives the session to others.

        For the same reason nothing is said when connecting: PgBouncer refuses `options`.
        """
        return (
            f"SET LOCAL statement_timeout = {_milliseconds(seconds)}",
            f"SET LOCAL lock_timeout = {_milliseconds(lock_seconds(seconds))}",
            # All rows are read; by default a cursor is planned for the first tenth of them.
            "SET LOCAL cursor_tuple_fraction = 1",
            _NOTICE,
        )

    def begin_to_write(self, seconds: float) -> Sequence[str]:
        """Limit each statement of a transaction that writes, and what it may hold up others.

        Whatever the role's default is, what others have committed meanwhile is seen.
        """
        return (
            "SET TRANSACTION ISOLATION LEVEL READ COMMITTED",
            f"SET LOCAL statement_timeout = {_milliseconds(seconds)}",
            f"SET LOCAL lock_timeout = {_milliseconds(lock_seconds(seconds))}",
            f"SET LOCAL idle_in_transaction_session_timeout = {_milliseconds(seconds)}",
            _NOTICE,
        )

    def not_opened(self, error: Exception) -> Told:
        """Say why it could not be opened: psycopg has no state for that, only words."""
        said = one_line(str(error).removeprefix("connection failed: "))
        return Told(Fault.AWAY, said, _opening_advice(said))

    def told(self, error: Exception) -> Told:
        """Say what an error means that came later, by the server's state."""
        import psycopg  # noqa: PLC0415

        if not isinstance(error, psycopg.Error):
            return of_python(error)
        state = error.sqlstate or ""
        said = one_line(error.diag.message_primary or str(error))
        is_lost = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
        fault = _fault(state) if state or not is_lost else Fault.AWAY
        return Told(fault, said, _query_advice(state))


def _fault(state: str) -> Fault:
    if state == _LATE:
        return Fault.LATE
    if state == _LOCKED:
        return Fault.LOCKED
    is_away = state.startswith(_AWAY_CLASSES) or state in _AWAY_STATES
    return Fault.AWAY if is_away else Fault.QUERY


def _system_authorities() -> str:
    """Return the file of the authorities that this machine trusts.

    libpq's own word for it, `system`, is none in psycopg's wheels: their OpenSSL looks where only
    the machine that they were built on has any.
    """
    known = ssl.get_default_verify_paths().cafile
    if known is None and _DEBIAN.is_file():
        return str(_DEBIAN)
    return known or "system"


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))  # 0 were no limit


def _opening_advice(said: str) -> str:
    if "certificate" in said:
        return (
            "put the certificate of who signed the server's into the Secret as ca.crt, and see "
            "that the url has the name that stands in the server's certificate"
        )
    if "does not support SSL" in said:
        return (
            "have the server speak TLS, or write sslmode=disable into the url if nobody else can "
            "listen on the way there"
        )
    return ""


def _query_advice(state: str) -> str:
    if state == _RIGHTS:
        return "have the administrator of the database let the connection's role read it"
    if state == _WRITES:
        return "a query here can only read"
    if state in _TYPES:
        return "write CAST(:name AS …) or CAST(column AS …) where types differ"
    return ""
