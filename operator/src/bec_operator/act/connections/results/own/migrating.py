"""Migrations of our tables: made by an administrator's command, all in one transaction."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bec_operator.act.connections.results.own.checking import trouble_with_version
from bec_operator.act.connections.results.own.head import HEAD, KNOWN, SCHEMA, VERSIONS
from bec_operator.act.connections.results.session import Session
from bec_operator.act.ground.connections import Connection

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection as SqlConnection

_SECONDS = 600  # for all of it, and for another that migrates
_LOCK = 0x626563  # of whoever migrates, for the length of the transaction
_THERE = "SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = %s"
_VERSIONED = (
    "SELECT 1 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
    "WHERE n.nspname = %s AND c.relname = %s"
)


def migrate(place: Connection, to: str = HEAD) -> Sequence[str]:
    """Bring the tables to a migration; return the names of those that were run, if any.

    Blocks; raises ConnectionTrouble. Of two at once the second waits, and finds nothing to do.
    """
    from alembic.command import upgrade  # noqa: PLC0415 - who migrates nothing does not pay for it

    session = Session(place, _SECONDS)
    with session.opened(), _of_sqlalchemy(session.raw) as connection:
        cursor = session.begin()
        # A lock of the transaction: one of the session may be somebody else's behind a pooler.
        cursor.execute("SET LOCAL lock_timeout = 0")
        cursor.execute("SELECT pg_catalog.pg_advisory_xact_lock(%s)", [_LOCK])
        before = _version(cursor)
        if before and before[0] not in KNOWN:
            raise session.refused(trouble_with_version(before))
        if not cursor.execute(_THERE, [SCHEMA]).fetchone():  # to make it takes more rights
            cursor.execute(f"CREATE SCHEMA {SCHEMA}")
            cursor.execute(f"COMMENT ON SCHEMA {SCHEMA} IS 'Results of Jobs of the BEC operator'")
        upgrade(_config(connection), to)
        after = _version(cursor)
        session.commit()
    done = KNOWN.index(before[0]) + 1 if before else 0
    return KNOWN[done : KNOWN.index(after[0]) + 1]


def as_sql() -> str:
    """Return all migrations as SQL, for whom only an administrator of databases may run it."""
    from alembic.command import upgrade  # noqa: PLC0415

    config = _config(None)
    config.output_buffer = StringIO()
    upgrade(config, HEAD, sql=True)
    return config.output_buffer.getvalue()


def _version(cursor: Any) -> list[str]:
    if not cursor.execute(_VERSIONED, [SCHEMA, VERSIONS]).fetchone():
        return []
    found = cursor.execute(f"SELECT version_num FROM {SCHEMA}.{VERSIONS}")  # noqa: S608
    return [str(version) for (version,) in found]


@contextmanager
def _of_sqlalchemy(raw: Any) -> Iterator["SqlConnection"]:
    """Have SQLAlchemy's connection over one that is open, for alembic.

    It comes before the transaction: it rolls back what is there once it knows the server.
    """
    from sqlalchemy import NullPool, create_engine  # noqa: PLC0415

    engine = create_engine(
        "postgresql+psycopg://",
        creator=lambda: raw,
        poolclass=NullPool,
        use_native_hstore=False,  # else it would be looked up
    )
    with engine.connect() as connection:
        try:
            connection.begin()
            yield connection
        finally:
            connection.invalidate()  # what is to stay is committed


def _config(connection: "SqlConnection | None") -> "Config":
    from alembic.config import Config  # noqa: PLC0415

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config
