"""Whether the tables are those of a BEC installation, and may be written to."""

from collections.abc import Mapping, Sequence

import orjson

from bec_operator.act.connections.results.tables import Cursor

_WRITTEN: Mapping[str, Sequence[str]] = {
    "jobs": ("id", "name", "config", "queue_url"),
    "volumes": (
        *("id", "bdrc_w_id", "bdrc_i_id", "last_s3_etag", "last_modified_at"),
        *("nb_images", "nb_images_intro"),
    ),
    "workers": (
        *("worker_id", "worker_name", "hostname", "tags"),
        *("started_at", "last_heartbeat_at", "stopped_at"),
    ),
    "task_executions": (
        *("id", "job_id", "volume_id", "s3_etag", "status", "attempt", "worker_id", "started_at"),
        *("done_at", "total_images", "nb_errors", "total_duration_ms", "avg_duration_per_page_ms"),
    ),
}
_KEYS: Mapping[str, Sequence[str]] = {
    "jobs": ("name",),
    "volumes": ("bdrc_w_id", "bdrc_i_id"),
    "task_executions": ("job_id", "volume_id", "s3_etag"),
}
_STATES = ("running", "done", "retryable_failed", "terminal_failed")
_UPDATED = ("volumes", "workers", "task_executions")
_ADVICE = (
    "see that the connection's url names the database of the BEC installation, and the role's "
    "search_path the schema of its tables"
)

# Where each table is found, without a schema in front, as BEC's own tools do.
_COLUMNS = """
SELECT t.name, array_agg(a.attname::text) FILTER (WHERE a.attname IS NOT NULL)
FROM jsonb_array_elements_text(%(tables)s::jsonb) AS t(name)
LEFT JOIN pg_catalog.pg_attribute a
    ON a.attrelid = to_regclass(t.name) AND a.attnum > 0 AND NOT a.attisdropped
WHERE to_regclass(t.name) IS NOT NULL
GROUP BY t.name"""
_UNIQUE = """
SELECT t.name, array_agg(a.attname::text ORDER BY a.attname)
FROM jsonb_array_elements_text(%(tables)s::jsonb) AS t(name)
JOIN pg_catalog.pg_index x
    ON x.indrelid = to_regclass(t.name) AND x.indisunique AND x.indpred IS NULL
JOIN pg_catalog.pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = ANY (x.indkey)
GROUP BY t.name, x.indexrelid"""
_LABELS = """
SELECT e.enumlabel::text FROM pg_catalog.pg_enum e WHERE e.enumtypid = to_regtype('task_status')"""
_RIGHTS = """
SELECT t.name, p.name FROM jsonb_array_elements_text(%(tables)s::jsonb) AS t(name)
CROSS JOIN (VALUES ('SELECT'), ('INSERT'), ('UPDATE')) AS p(name)
WHERE NOT has_any_column_privilege(to_regclass(t.name), p.name)
ORDER BY t.name, p.name"""
_SEQUENCES = """
SELECT s.name FROM jsonb_each_text(%(ids)s::jsonb) AS t(name, id)
CROSS JOIN LATERAL pg_get_serial_sequence(t.name, t.id) AS s(name)
WHERE s.name IS NOT NULL AND NOT has_sequence_privilege(s.name, 'USAGE')"""


def what_is_missing(cursor: Cursor) -> str:
    """Return a sentence that says why the tables cannot be written to; empty if they can."""
    tables = {"tables": orjson.dumps(list(_WRITTEN)).decode()}
    found: dict[str, list[str]] = {
        name: columns or [] for name, columns in cursor.execute(_COLUMNS, tables)
    }
    if missing := [name for name in _WRITTEN if name not in found]:
        return f"there is no table {', '.join(missing)} here; {_ADVICE}"
    for name, columns in _WRITTEN.items():
        if missing := [column for column in columns if column not in found[name]]:
            return f"the table {name} has no column {', '.join(missing)}; {_ADVICE}"
    unique = {(name, *columns) for name, columns in cursor.execute(_UNIQUE, tables)}
    for name, key in _KEYS.items():
        if (name, *sorted(key)) not in unique:
            return (
                f"the table {name} has no unique index on {', '.join(key)}, as that of a BEC "
                f"installation has; {_ADVICE}"
            )
    labels = {label for (label,) in cursor.execute(_LABELS)}
    if missing := [state for state in _STATES if state not in labels]:
        return f"the type task_status has no {', '.join(missing)}; {_ADVICE}"
    return _missing_rights(cursor, tables)


def _missing_rights(cursor: Cursor, tables: Mapping[str, str]) -> str:
    for name, right in cursor.execute(_RIGHTS, tables).fetchall():
        if right != "UPDATE" or name in _UPDATED:
            return f"the role may not {right} in the table {name}; {_granted(right, name)}"
    ids = {name: "worker_id" if name == "workers" else "id" for name in _WRITTEN}
    for (name,) in cursor.execute(_SEQUENCES, {"ids": orjson.dumps(ids).decode()}).fetchall():
        return f"the role may not take numbers of {name}; {_granted('USAGE', f'SEQUENCE {name}')}"
    return ""


def _granted(right: str, on: str) -> str:
    return f"have the administrator of the database run GRANT {right} ON {on} TO the role"
