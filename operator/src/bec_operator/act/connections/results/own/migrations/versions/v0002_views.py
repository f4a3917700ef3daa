"""Views for the questions that people ask."""

from alembic import op

revision = "0002"
down_revision = "0001"

# Each: its name, what it answers, and the query.
VIEWS = (
    (
        "progress",
        "How Jobs stand: those that have not ended come first",
        """
        SELECT namespace, name, job_id, phase, percent, total, waiting, queued, running, retrying,
               succeeded, already_done, failed, skipped, rate, eta, started, completed, told
        FROM bec_operator.jobs
        ORDER BY completed IS NOT NULL, coalesce(completed, created) DESC, namespace, name
        """,
    ),
    (
        "failures",
        "Volumes that have failed or were skipped, why, and where their last attempt was",
        """
        SELECT j.namespace, j.name, j.job_id, r.w_id, r.i_id, r.i_version, r.outcome, r.failure,
               r.message, coalesce(tries.number, 0) AS attempts, last.pod, last.node,
               last.exit_code, last.log, r.told
        FROM bec_operator.results r
        JOIN bec_operator.jobs j USING (job_uid)
        LEFT JOIN LATERAL (
            SELECT sum(1 + a.repeats)::bigint AS number
            FROM bec_operator.attempts a WHERE a.result_id = r.result_id
        ) tries ON true
        LEFT JOIN LATERAL (
            SELECT a.pod, a.node, a.exit_code, a.log
            FROM bec_operator.attempts a
            WHERE a.result_id = r.result_id AND a.task_uid = r.task_uid
            ORDER BY a.number DESC LIMIT 1
        ) last ON true
        WHERE r.outcome IN ('failed', 'skipped')
        """,
    ),
    (
        "failures_by_class",
        "How many volumes have failed or were skipped by class, with the latest of each",
        """
        SELECT j.namespace, j.name, j.job_id, r.outcome, r.failure, count(*) AS volumes,
               (array_agg(concat_ws('/', r.w_id, r.i_id, nullif(r.i_version, ''))
                ORDER BY r.told DESC, r.place DESC))[1] AS example,
               (array_agg(r.message ORDER BY r.told DESC, r.place DESC))[1] AS message,
               max(r.told) AS told
        FROM bec_operator.results r
        JOIN bec_operator.jobs j USING (job_uid)
        WHERE r.outcome IN ('failed', 'skipped')
        GROUP BY j.job_uid, r.outcome, r.failure
        """,
    ),
    (
        "pages_an_hour",
        "What was made by day (of UTC), and pages an hour: of all together, and of one worker",
        """
        SELECT namespace, name, job_id, day, count(*) AS volumes, sum(items)::bigint AS pages,
               sum(errors)::bigint AS errors,
               round(sum(items) * 3600 / nullif(extract(epoch FROM max(ended)
                     - greatest(min(started), day::timestamp AT TIME ZONE 'UTC')), 0)::numeric)
                   AS pages_an_hour,
               round(sum(items) * 3600 / nullif(sum(extract(epoch FROM ended - started)), 0)
                     ::numeric) AS pages_an_hour_of_a_worker
        FROM (
            SELECT j.job_uid, j.namespace, j.name, j.job_id, r.items, r.errors, a.started, a.ended,
                   (a.ended AT TIME ZONE 'UTC')::date AS day
            FROM bec_operator.results r
            JOIN bec_operator.jobs j USING (job_uid)
            JOIN bec_operator.attempts a USING (result_id, task_uid)
            WHERE r.outcome = 'succeeded' AND r.items IS NOT NULL
              AND a.state = 'succeeded' AND a.ended >= a.started
        ) made
        GROUP BY job_uid, namespace, name, job_id, day
        """,
    ),
    (
        "stale_volumes",
        "Volumes of which a newer version is known than the one that is done, by job id",
        """
        SELECT j.job_id, r.w_id, r.i_id,
               (array_agg(r.i_version ORDER BY r.seen DESC))[1] AS done_version,
               v.newest_version, v.newest_since
        FROM bec_operator.volumes v
        JOIN bec_operator.results r ON r.w_id = v.w_id AND r.i_id = v.i_id
        JOIN bec_operator.jobs j USING (job_uid)
        WHERE r.outcome = 'succeeded' AND NOT EXISTS (
            SELECT FROM bec_operator.results newest
            JOIN bec_operator.jobs same USING (job_uid)
            WHERE newest.w_id = v.w_id AND newest.i_id = v.i_id
              AND newest.i_version = v.newest_version
              AND newest.outcome = 'succeeded' AND same.job_id = j.job_id)
        GROUP BY j.job_id, r.w_id, r.i_id, v.newest_version, v.newest_since
        """,
    ),
    (
        "under_way",
        "Attempts that run, with heartbeat and progress, and volumes that wait for the next one",
        """
        SELECT j.namespace, j.name, j.job_id, r.w_id, r.i_id, r.i_version, a.state, a.number,
               a.pod, a.node, a.started, a.heartbeat, a.progress_done, a.progress_total,
               a.progress_unit, CASE WHEN a.progress_total > 0 THEN
                   least(100, floor(a.progress_done * 100.0 / a.progress_total))::int END AS percent
        FROM bec_operator.attempts a
        JOIN bec_operator.results r USING (result_id)
        JOIN bec_operator.jobs j USING (job_uid)
        WHERE a.state = 'running'
        UNION ALL
        SELECT j.namespace, j.name, j.job_id, r.w_id, r.i_id, r.i_version, 'retrying', last.number,
               last.pod, last.node, last.started, NULL, NULL, NULL, NULL, NULL
        FROM bec_operator.jobs j
        JOIN bec_operator.results r ON r.job_uid = j.job_uid AND r.outcome = 'waiting'
        CROSS JOIN LATERAL (
            SELECT a.number, a.pod, a.node, a.started, a.state FROM bec_operator.attempts a
            WHERE a.result_id = r.result_id
            ORDER BY a.started DESC NULLS LAST, a.number DESC LIMIT 1
        ) last
        WHERE j.completed IS NULL AND last.state = 'failed'
        """,
    ),
    (
        "working",
        "Workers that are there, and what they work on",
        """
        SELECT j.namespace, j.name, j.job_id, w.pod, w.node, w.in_pool, w.started, w.heartbeat,
               now.w_id, now.i_id, now.i_version
        FROM bec_operator.workers w
        JOIN bec_operator.jobs j USING (job_uid)
        LEFT JOIN (
            SELECT r.job_uid, a.pod_uid, r.w_id, r.i_id, r.i_version
            FROM bec_operator.attempts a JOIN bec_operator.results r USING (result_id)
            WHERE a.state = 'running'
        ) now ON now.job_uid = w.job_uid AND now.pod_uid = w.pod_uid
        WHERE w.stopped IS NULL
        """,
    ),
)


def upgrade() -> None:
    """Make them."""
    for name, answer, query in VIEWS:
        op.execute(f"CREATE VIEW bec_operator.{name} AS {query}")
        op.execute(f"COMMENT ON VIEW bec_operator.{name} IS '{answer}'")
