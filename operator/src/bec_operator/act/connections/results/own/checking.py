# ruff: noqa: S608 - all names in the statements are ours
"""Whether our tables are there, as this operator needs them, and may be written to."""

from typing import Any

from bec_operator.act.connections.results.own.head import HEAD, KNOWN, SCHEMA, VERSIONS

_MIGRATE = "run `bec-operator migrate` for this connection"
_LET = "have the administrator of the database grant it to the connection's role"

# By the catalogue, which everybody may read: to name a table that one may not see is an error.
_FOUND = f"""
SELECT pg_catalog.getdatabaseencoding(), n.oid IS NOT NULL,
    coalesce(pg_catalog.has_schema_privilege(n.oid, 'USAGE'), false),
    c.oid IS NOT NULL,
    coalesce(pg_catalog.has_table_privilege(c.oid, 'SELECT'), false)
FROM (SELECT 1) one
LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = '{SCHEMA}'
LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = '{VERSIONS}'
"""
_VERSION = f"SELECT version_num FROM {SCHEMA}.{VERSIONS}"
_WRITES = ("SELECT", "INSERT", "UPDATE")
_NEEDED = ", ".join(
    f"('{table}', '{right}')"
    for table in ("jobs", "volumes", "results", "attempts", "workers")
    for right in (*_WRITES, *(("DELETE",) if table == "attempts" else ()))
)
_MISSING = f"""
SELECT needed.name, needed.right
FROM (VALUES {_NEEDED}) AS needed (name, "right")
LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = '{SCHEMA}'
LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = needed.name
WHERE NOT coalesce(pg_catalog.has_table_privilege(c.oid, needed.right), false)
ORDER BY needed.name, needed.right
"""


def trouble_with_tables(cursor: Any) -> str:
    """Return why our tables cannot be written to, and what to do; empty if they can."""
    encoding, schema, usage, versions, readable = cursor.execute(_FOUND).fetchone()
    if encoding != "UTF8":
        return f"the database is encoded as {encoding}, which cannot hold every id; use one of UTF8"
    if schema and not usage:
        return f"the role has no USAGE on the schema {SCHEMA}; {_LET}"
    if not versions:
        return f"the tables of the schema {SCHEMA} are not there; {_MIGRATE}"
    if not readable:
        return f"the role has no SELECT on {SCHEMA}.{VERSIONS}; {_LET}"
    found = [str(version) for (version,) in cursor.execute(_VERSION).fetchmany(2)]
    return trouble_with_version(found) or _rights(cursor)


def trouble_with_version(found: list[str]) -> str:
    """Return what is to be done about tables whose last migrations are these."""
    if found == [HEAD]:
        return ""
    if not found:
        return f"the tables of the schema {SCHEMA} are not there; {_MIGRATE}"
    if len(found) == 1 and found[0] in KNOWN:
        return (
            f"the tables of the schema {SCHEMA} are those of migration {found[0]}, older than this "
            f"operator's {HEAD}; {_MIGRATE}"
        )
    return (
        f"the tables of the schema {SCHEMA} are those of migration {found[0][:40]!r}, which this "
        f"operator does not know: it writes to those of {HEAD}; update the operator"
    )


def _rights(cursor: Any) -> str:
    missing = [f"{right} on {SCHEMA}.{name}" for name, right in cursor.execute(_MISSING)]
    return f"the role has no {', no '.join(missing[:4])}; {_LET}" if missing else ""
