"""The tables of a BEC installation, and what its own tools read of them.

Both are written anew, after what is known of them: the columns, their types, checks and keys; and
for each command what it needs to know.
"""

from collections.abc import Iterable
from typing import Any, LiteralString

import psycopg
from psycopg.rows import namedtuple_row

TABLES: tuple[LiteralString, ...] = (
    "CREATE TYPE task_status AS ENUM ('running', 'done', 'retryable_failed', 'terminal_failed')",
    """CREATE TABLE jobs (
        id serial PRIMARY KEY, name varchar(50) UNIQUE NOT NULL, config text,
        queue_url text NOT NULL, dlq_url text,
        created_at timestamptz DEFAULT now() NOT NULL, updated_at timestamptz DEFAULT now() NOT NULL
    )""",
    """CREATE TABLE volumes (
        id serial PRIMARY KEY, bdrc_w_id varchar(32) NOT NULL, bdrc_i_id varchar(32) NOT NULL,
        last_s3_etag bytea NOT NULL CHECK (length(last_s3_etag) = 16),
        last_modified_at timestamptz,
        nb_images smallint NOT NULL, nb_images_intro smallint NOT NULL,
        UNIQUE (bdrc_w_id, bdrc_i_id)
    )""",
    """CREATE TABLE workers (
        worker_id serial PRIMARY KEY, worker_name text, hostname text, tags jsonb,
        started_at timestamptz DEFAULT now() NOT NULL,
        last_heartbeat_at timestamptz DEFAULT now() NOT NULL, stopped_at timestamptz
    )""",
    """CREATE TABLE task_executions (
        id bigserial PRIMARY KEY, job_id bigint NOT NULL REFERENCES jobs ON DELETE CASCADE,
        volume_id integer NOT NULL REFERENCES volumes,
        s3_etag bytea NOT NULL CHECK (length(s3_etag) = 16),
        status task_status NOT NULL, attempt integer DEFAULT 0 NOT NULL,
        worker_id integer REFERENCES workers, started_at timestamptz, done_at timestamptz,
        total_images smallint, nb_errors smallint,
        total_duration_ms real, avg_duration_per_page_ms real,
        UNIQUE (job_id, volume_id, s3_etag)
    )""",
    "CREATE INDEX ON task_executions (job_id, status)",
    "CREATE INDEX ON task_executions (volume_id)",
    "CREATE INDEX ON workers (worker_name)",
)
NAMES = ("jobs", "volumes", "workers", "task_executions")
GRANTS: tuple[LiteralString, ...] = (
    "GRANT SELECT, INSERT ON jobs TO operator",
    "GRANT SELECT, INSERT, UPDATE ON volumes, workers, task_executions TO operator",
    """GRANT USAGE ON SEQUENCE jobs_id_seq, volumes_id_seq, workers_worker_id_seq,
        task_executions_id_seq TO operator""",
)
Row = Any


class BecTools:
    """What the commands of an installation learn from its tables."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._cursor = connection.cursor(row_factory=namedtuple_row)

    def ask(self, query: LiteralString, **values: object) -> list[Row]:
        """Return the rows of a query."""
        return self._cursor.execute(query, values).fetchall()

    def stats(self, job: str) -> dict[str, Row]:
        """Return what `jobs stats` sums up for each status."""
        rows = self.ask(
            """SELECT status::text, count(*) AS tasks, avg(total_duration_ms) AS took,
                sum(total_images) AS images, sum(nb_errors) AS errors,
                avg(avg_duration_per_page_ms) AS page
            FROM task_executions JOIN jobs ON jobs.id = job_id WHERE name = %(job)s
            GROUP BY status""",
            job=job,
        )
        return {row.status: row for row in rows}

    def slowest(self, job: str) -> str:
        """Return the volume that `jobs stats` names as the slowest by page."""
        rows = self.ask(
            """SELECT bdrc_w_id || '/' || bdrc_i_id AS volume
            FROM task_executions t JOIN volumes v ON v.id = volume_id JOIN jobs j ON j.id = job_id
            WHERE j.name = %(job)s AND status = 'done' AND avg_duration_per_page_ms IS NOT NULL
            ORDER BY avg_duration_per_page_ms DESC LIMIT 1""",
            job=job,
        )
        return str(rows[0].volume)

    def tasks(self, job: str, status: str | None = None) -> list[Row]:
        """Return what `jobs tasks` lists, the newest first."""
        return self.ask(
            """SELECT t.id, bdrc_w_id || '/' || bdrc_i_id AS volume, status::text, attempt,
                encode(s3_etag, 'hex') AS etag, worker_name AS worker, t.started_at AS started,
                done_at AS done, total_images AS images, nb_errors AS errors,
                total_duration_ms AS took, avg_duration_per_page_ms AS page
            FROM task_executions t JOIN volumes v ON v.id = volume_id JOIN jobs j ON j.id = job_id
            LEFT JOIN workers w ON w.worker_id = t.worker_id
            WHERE j.name = %(job)s AND (%(status)s::text IS NULL OR status::text = %(status)s)
            ORDER BY t.id DESC""",
            job=job,
            status=status,
        )

    def workers(self) -> dict[str, Row]:
        """Return what `workers list` shows, by name."""
        rows = self.ask(
            """SELECT worker_name AS name, hostname AS host, tags, CASE
                    WHEN stopped_at IS NOT NULL THEN 'stopped'
                    WHEN last_heartbeat_at > now() - interval '60 s' THEN 'active'
                    WHEN last_heartbeat_at > now() - interval '600 s' THEN 'idle'
                    ELSE 'inactive' END AS state,
                (SELECT bdrc_w_id || '/' || bdrc_i_id FROM task_executions t
                    JOIN volumes v ON v.id = volume_id WHERE t.worker_id = w.worker_id
                    ORDER BY t.id DESC LIMIT 1) AS last,
                (SELECT count(*) FROM task_executions t WHERE t.worker_id = w.worker_id) AS tasks,
                (SELECT count(*) FROM task_executions t
                    WHERE t.worker_id = w.worker_id AND status = 'done') AS done,
                (SELECT count(*) FROM task_executions t WHERE t.worker_id = w.worker_id
                    AND status IN ('retryable_failed', 'terminal_failed')) AS failed
            FROM workers w ORDER BY worker_id"""
        )
        return {row.name: row for row in rows}

    def errors(self, kind: str = "all") -> list[str]:
        """Return what `errors list` shows, the latest first."""
        rows = self.ask(
            """SELECT bdrc_w_id || '/' || bdrc_i_id || ' ' || status AS said
            FROM task_executions JOIN volumes v ON v.id = volume_id
            WHERE %(kind)s <> 'image-errors' AND status IN ('retryable_failed', 'terminal_failed')
                OR %(kind)s <> 'task-failed' AND status = 'done' AND nb_errors > 0
            ORDER BY coalesce(done_at, started_at) DESC""",
            kind=kind,
        )
        return [row.said for row in rows]

    def errors_key(self, job: str, w_id: str, i_id: str) -> str:
        """Return the key in S3 at which `errors show` looks."""
        newest = next(row for row in self.tasks(job) if row.volume == f"{w_id}/{i_id}")
        version = newest.etag[:6]
        return f"{job}/{w_id}/{i_id}/{version}/{w_id}-{i_id}-{version}-errors.jsonl"

    def enqueued(self, job: str, volumes: Iterable[str]) -> list[str]:
        """Return of these volumes those that `queue enqueue` does not leave out."""
        done = self.ask(
            """SELECT bdrc_w_id || '/' || bdrc_i_id AS volume
            FROM task_executions t JOIN volumes v ON v.id = volume_id JOIN jobs j ON j.id = job_id
            WHERE j.name = %(job)s AND status = 'done' AND s3_etag = last_s3_etag""",
            job=job,
        )
        left_out = {row.volume for row in done}
        return [volume for volume in volumes if volume not in left_out]

    def volume(self, w_id: str, i_id: str) -> Row:
        """Return the row of a volume."""
        [row] = self.ask(
            """SELECT encode(last_s3_etag, 'hex') AS etag, last_modified_at AS modified,
                nb_images AS images, nb_images_intro AS intro
            FROM volumes WHERE bdrc_w_id = %(w)s AND bdrc_i_id = %(i)s""",
            w=w_id,
            i=i_id,
        )
        return row

    def everything(self) -> list[Row]:
        """Return all that stands in all tables, as it is."""
        return [
            self._cursor.execute(f"SELECT * FROM {name} ORDER BY 1").fetchall()  # noqa: S608
            for name in NAMES
        ]
