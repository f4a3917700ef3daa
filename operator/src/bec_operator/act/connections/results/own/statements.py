# ruff: noqa: S608 - all names in the statements are ours
"""The statements that write to our tables: each takes a job's UID, and all rows as one JSON text.

PostgreSQL takes that apart, which costs the operator a third of what as many parameters would.
Rows are written in the order of their keys: two jobs that write the same ones wait for each other,
and not in a circle.
"""

from collections.abc import Iterable, Mapping

_KEY = {"w_id": "text", "i_id": "text", "i_version": "text"}
_JOB = {
    **dict.fromkeys(("job_uid", "namespace", "name", "job_id"), "text"),
    "created": "timestamptz",
    **dict.fromkeys(("source", "phase", "rate", "eta"), "text"),
    **dict.fromkeys(("percent", "total", "waiting", "queued", "running", "retrying"), "bigint"),
    **dict.fromkeys(("succeeded", "failed", "skipped", "already_done"), "bigint"),
    **dict.fromkeys(("started", "completed"), "timestamptz"),
}
_TASK = {"place": "bigint", **dict.fromkeys(("output", "task", "task_uid"), "text")}
_OUTCOME = {
    **_TASK,
    **dict.fromkeys(("outcome", "failure", "message", "etag"), "text"),
    **dict.fromkeys(("items", "errors", "artefacts", "artefact_bytes"), "bigint"),
    "duration_ms": "double precision",
    "written": "timestamptz",
    "result": "jsonb",
    "told": "timestamptz",
}
_TRY = {"task_uid": "text", "number": "bigint"}
_ATTEMPT = {
    **dict.fromkeys(("state", "failure", "message", "pod", "pod_uid", "node", "log"), "text"),
    **dict.fromkeys(("repeats", "exit_code"), "bigint"),
    **dict.fromkeys(("started", "ended"), "timestamptz"),
}
_PROGRESS = {"progress_done": "bigint", "progress_total": "bigint", "progress_unit": "text"}
_WORKER = {
    **dict.fromkeys(("pod", "node"), "text"),
    "in_pool": "boolean",
    "started": "timestamptz",
}


def _rows(columns: Mapping[str, str]) -> str:
    named = ", ".join(f"{name} {kind}" for name, kind in columns.items())
    return f"pg_catalog.jsonb_to_recordset(%(rows)s::jsonb) AS new ({named})"


def _list(columns: Iterable[str], table: str = "") -> str:
    return ", ".join(f"{table}.{name}" if table else name for name in columns)


def _set(columns: Iterable[str]) -> str:
    return ", ".join(f"{name} = excluded.{name}" for name in columns)


def _differs(columns: Iterable[str]) -> str:
    """Return the condition that something changes: a row that stays as it is is not written."""
    return f"({_list(columns, 'had')}) IS DISTINCT FROM ({_list(columns, 'excluded')})"


JOB = f"""
INSERT INTO bec_operator.jobs AS had ({_list(_JOB)}, parameters, told)
SELECT {_list(_JOB)}, parameters::json, now() FROM {_rows({**_JOB, "parameters": "text"})}
ON CONFLICT (job_uid) DO UPDATE SET {_set([*_JOB, "parameters", "told"][1:])}
"""

RESULTS = f"""
INSERT INTO bec_operator.results AS had (job_uid, {_list([*_KEY, *_OUTCOME])}, seen)
SELECT %(job)s, {_list([*_KEY, *_OUTCOME])}, seen
FROM {_rows({**_KEY, **_OUTCOME, "seen": "timestamptz"})} ORDER BY {_list(_KEY)}
ON CONFLICT (job_uid, {_list(_KEY)}) DO UPDATE SET {_set(_OUTCOME)}
WHERE (had.told IS NULL OR had.told <= excluded.told) AND {_differs(_OUTCOME)}
"""

# A volume that failed without a version, and was opened again, has one now: it stays one row.
NAMED = f"""
UPDATE bec_operator.results had SET i_version = new.i_version
FROM {_rows({"place": "bigint", **_KEY})}
WHERE had.job_uid = %(job)s AND (had.w_id, had.i_id, had.i_version) = (new.w_id, new.i_id, '')
    AND had.place = new.place AND new.i_version <> ''
    AND (had.outcome = 'waiting' OR had.failure = 'VersionMissing')
    AND NOT EXISTS (SELECT FROM bec_operator.results known
        WHERE known.job_uid = %(job)s AND ({_list(_KEY, "known")}) = ({_list(_KEY, "new")}))
"""

# What a snapshot shows has no result yet; those that have one stay as they are.
WAITING = f"""
INSERT INTO bec_operator.results
    (job_uid, {_list([*_KEY, *_TASK])}, outcome, failure, message, seen)
SELECT %(job)s, {_list([*_KEY, *_TASK])}, 'waiting', '', '', now()
FROM {_rows({**_KEY, **_TASK})} ORDER BY {_list(_KEY)}
ON CONFLICT (job_uid, {_list(_KEY)}) DO NOTHING
RETURNING w_id, i_id
"""

VOLUMES = f"""
INSERT INTO bec_operator.volumes AS had (w_id, i_id, newest_version, newest_since)
SELECT DISTINCT ON (w_id, i_id) w_id, i_id, i_version, min(seen) AS since
FROM bec_operator.results
JOIN (SELECT DISTINCT w_id, i_id FROM {_rows({"w_id": "text", "i_id": "text"})}) told
    USING (w_id, i_id)
GROUP BY {_list(_KEY)} ORDER BY w_id, i_id, since DESC, i_version DESC
ON CONFLICT (w_id, i_id) DO UPDATE
SET newest_version = excluded.newest_version, newest_since = excluded.newest_since
WHERE (had.newest_since, had.newest_version) < (excluded.newest_since, excluded.newest_version)
"""

_OF_RESULT = f"""
JOIN bec_operator.results of
    ON of.job_uid = %(job)s AND ({_list(_KEY, "of")}) = ({_list(_KEY, "new")})
"""
_ENDED = [*_ATTEMPT, "told"]
ATTEMPTS = f"""
INSERT INTO bec_operator.attempts AS had (result_id, {_list([*_TRY, *_ENDED])})
SELECT of.result_id, {_list([*_TRY, *_ENDED], "new")}
FROM {_rows({**_KEY, **_TRY, **_ATTEMPT, "told": "timestamptz"})} {_OF_RESULT}
ORDER BY of.result_id, new.task_uid, new.number
ON CONFLICT (result_id, {_list(_TRY)}) DO UPDATE SET {_set(_ENDED)}
WHERE (had.told IS NULL OR had.told <= excluded.told) AND {_differs(_ENDED)}
"""

# A snapshot changes nothing of what a result has told, and no attempt that has ended runs again.
_SEEN = [*_ATTEMPT, *_PROGRESS, "heartbeat"]
UNDER_WAY = f"""
INSERT INTO bec_operator.attempts AS had (result_id, {_list([*_TRY, *_SEEN])})
SELECT of.result_id, {_list([*_TRY, *_SEEN], "new")}
FROM {_rows({**_KEY, **_TRY, **_ATTEMPT, **_PROGRESS, "heartbeat": "timestamptz"})} {_OF_RESULT}
ORDER BY of.result_id, new.task_uid, new.number
ON CONFLICT (result_id, {_list(_TRY)}) DO UPDATE SET {_set(_ATTEMPT)},
    {", ".join(f"{name} = coalesce(excluded.{name}, had.{name})" for name in _PROGRESS)},
    heartbeat = greatest(had.heartbeat, excluded.heartbeat)
WHERE had.told IS NULL AND (had.state = 'running' OR excluded.state <> 'running')
    AND {_differs(_SEEN)}
"""

# PostgreSQL takes so many rows of JSON for a hundred: what is compared with them here is found by
# one look for each attempt that runs (OFFSET keeps it so), and never by one for each pair.
GONE = f"""
DELETE FROM bec_operator.attempts WHERE (result_id, {_list(_TRY)}) IN (
    SELECT gone.result_id, {_list(_TRY, "gone")}
    FROM bec_operator.attempts gone
    CROSS JOIN LATERAL (
        SELECT * FROM bec_operator.results WHERE result_id = gone.result_id OFFSET 0) of
    WHERE gone.state = 'running' AND of.job_uid = %(job)s
        AND ({_list(_KEY, "of")}, {_list(_TRY, "gone")})
            NOT IN (SELECT {_list([*_KEY, *_TRY])} FROM {_rows({**_KEY, **_TRY})}))
"""

WORKERS = f"""
INSERT INTO bec_operator.workers AS had (job_uid, pod_uid, {_list(_WORKER)}, heartbeat)
SELECT %(job)s, pod_uid, {_list(_WORKER)}, heartbeat
FROM {_rows({"pod_uid": "text", **_WORKER, "heartbeat": "timestamptz"})} ORDER BY pod_uid
ON CONFLICT (job_uid, pod_uid) DO UPDATE
SET {_set(_WORKER)}, heartbeat = greatest(had.heartbeat, excluded.heartbeat), stopped = NULL
"""

STOPPED = f"""
UPDATE bec_operator.workers SET stopped = now()
WHERE job_uid = %(job)s AND stopped IS NULL
    AND pod_uid NOT IN (SELECT pod_uid FROM {_rows({"pod_uid": "text"})})
"""
