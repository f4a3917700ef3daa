"""The statements for the tables of a BEC installation: each takes all rows at once, as JSON.

They are put together of parts that stand here. `%(rows)s` is a list of rows, `%(job)s` the id in
the table jobs, `%(uid)s` the Job's UID.
"""
# ruff: noqa: S608 - nothing foreign becomes part of a statement

_ROWS = """jsonb_to_recordset(%(rows)s::jsonb) AS r(
    n int, w text, i text, etag text, begins text, guess text, status text, attempt int,
    pod text, uid text, node text, since float8, called float8, stopped float8,
    started float8, done float8, images int, errors int, total float8, mean float8)"""
_VOLUME = "volumes v ON v.bdrc_w_id = r.w AND v.bdrc_i_id = r.i"
# Two pods may have one name, one after the other: their rows are told apart by the pods' UIDs.
_WORKER = "w.worker_name = r.pod AND w.tags->>'pod_uid' = r.uid"
_WORKER_ID = f"""LEFT JOIN LATERAL (
    SELECT worker_id FROM workers w WHERE {_WORKER} ORDER BY worker_id LIMIT 1) AS w ON true"""
# Microseconds, as it is stored: so it can be compared.
_SAME_ATTEMPT = "e.worker_id = w.worker_id AND e.started_at = to_timestamp(r.started)"
_NEVER_DONE = "e.status <> 'done' AND e.total_images IS NULL AND e.total_duration_ms IS NULL"

FIND_JOB = "SELECT id FROM jobs WHERE name = %(name)s"

# An installation's own row has its queue and what its workers read: it stays as it is.
MAKE_JOB = """
INSERT INTO jobs (name, config, queue_url) VALUES (%(name)s, %(config)s, %(source)s)
ON CONFLICT DO NOTHING"""

FIND_ETAGS = f"""
SELECT r.n, encode(coalesce(
    CASE WHEN left(encode(v.last_s3_etag, 'hex'), length(r.begins)) = r.begins
        THEN v.last_s3_etag END,
    (SELECT e.s3_etag FROM task_executions e
        WHERE e.volume_id = v.id AND left(encode(e.s3_etag, 'hex'), length(r.begins)) = r.begins
        ORDER BY e.id DESC LIMIT 1)), 'hex')
FROM {_ROWS} JOIN {_VOLUME}"""

# Not ON CONFLICT DO UPDATE: it takes a number for each row that is there already, and the numbers
# of this table have an end. The same order for all keeps two from waiting for each other.
MAKE_VOLUMES = f"""
INSERT INTO volumes (bdrc_w_id, bdrc_i_id, last_s3_etag, nb_images, nb_images_intro)
SELECT DISTINCT ON (r.w, r.i) r.w, r.i, decode(r.etag, 'hex'), 0, 0 FROM {_ROWS}
WHERE NOT EXISTS (SELECT FROM volumes v WHERE v.bdrc_w_id = r.w AND v.bdrc_i_id = r.i)
ORDER BY r.w, r.i
ON CONFLICT DO NOTHING"""

MAKE_WORKERS = f"""
INSERT INTO workers (worker_name, hostname, tags, started_at, last_heartbeat_at, stopped_at)
SELECT r.pod, max(r.node),
    jsonb_build_object('job_id', %(job)s::int, 'job_name', %(name)s::text,
        'job_uid', %(uid)s::text, 'pod_uid', r.uid),
    coalesce(to_timestamp(min(r.since)), now()), coalesce(to_timestamp(max(r.called)), now()),
    CASE WHEN bool_and(r.stopped IS NOT NULL) THEN to_timestamp(max(r.stopped)) END
FROM {_ROWS}
WHERE r.pod IS NOT NULL AND NOT EXISTS (SELECT FROM workers w WHERE {_WORKER})
GROUP BY r.pod, r.uid"""

# Of one that never calls, its pod is seen.
SHOW_WORKERS = f"""
UPDATE workers w SET stopped_at = NULL,
    last_heartbeat_at = greatest(w.last_heartbeat_at, coalesce(to_timestamp(r.called), now()))
FROM {_ROWS}
WHERE {_WORKER} AND (w.stopped_at IS NOT NULL
    OR w.last_heartbeat_at < coalesce(to_timestamp(r.called), now()))"""

STOP_WORKERS = f"""
UPDATE workers w SET stopped_at = now()
WHERE w.stopped_at IS NULL AND w.tags->>'job_uid' = %(uid)s
    AND NOT EXISTS (SELECT FROM {_ROWS} WHERE {_WORKER})"""

# While a volume was worked on, its ETag was a guess, or that of an older version. A version that
# begins the ETag is the same one, so it may have been done before.
NAME_ETAGS = f"""
UPDATE task_executions t SET s3_etag = decode(r.etag, 'hex')
FROM {_ROWS} JOIN {_VOLUME} {_WORKER_ID}
CROSS JOIN LATERAL (
    SELECT e.id FROM task_executions e
    WHERE e.job_id = %(job)s AND e.volume_id = v.id AND e.s3_etag <> decode(r.etag, 'hex')
        AND (e.s3_etag = decode(r.guess, 'hex') AND (r.begins <> '' OR {_NEVER_DONE})
            OR e.status = 'running' AND {_SAME_ATTEMPT} AND {_NEVER_DONE})
    ORDER BY e.id DESC LIMIT 1) AS guessed
WHERE t.id = guessed.id AND NOT EXISTS (SELECT FROM task_executions o WHERE o.job_id = %(job)s
    AND o.volume_id = v.id AND o.s3_etag = decode(r.etag, 'hex'))"""

# When an attempt ended is of a node's clock, which may be ahead: no later result would count.
_EXECUTIONS = f"""
INSERT INTO task_executions AS e (job_id, volume_id, s3_etag, status, attempt, worker_id,
    started_at, done_at, total_images, nb_errors, total_duration_ms, avg_duration_per_page_ms)
SELECT %(job)s, v.id, decode(r.etag, 'hex'), r.status::task_status, r.attempt, w.worker_id,
    coalesce(to_timestamp(r.started), now()),
    CASE r.status WHEN 'running' THEN NULL
        WHEN 'retryable_failed' THEN least(to_timestamp(r.done), now())
        ELSE coalesce(to_timestamp(r.done), now()) END,
    r.images, r.errors, r.total, r.mean
FROM {_ROWS} JOIN {_VOLUME} {_WORKER_ID}
ORDER BY v.id, r.etag
ON CONFLICT (job_id, volume_id, s3_etag) DO UPDATE SET status = EXCLUDED.status,"""
_SAME_AS_NEW = "e.worker_id = EXCLUDED.worker_id AND e.started_at = EXCLUDED.started_at"

# An older result may come after a newer one: moments of the operator's clock are compared. When an
# attempt began is of a node's clock, so a later attempt counts in any case. Of a volume that was
# not tried, or of which no attempt is known, the row keeps who tried it.
END_EXECUTIONS = f"""{_EXECUTIONS}
    attempt = CASE EXCLUDED.attempt WHEN 0 THEN e.attempt ELSE EXCLUDED.attempt END,
    worker_id = CASE EXCLUDED.attempt WHEN 0 THEN e.worker_id ELSE EXCLUDED.worker_id END,
    started_at = CASE EXCLUDED.attempt WHEN 0 THEN e.started_at ELSE EXCLUDED.started_at END,
    done_at = EXCLUDED.done_at, total_images = EXCLUDED.total_images,
    nb_errors = EXCLUDED.nb_errors, total_duration_ms = EXCLUDED.total_duration_ms,
    avg_duration_per_page_ms = EXCLUDED.avg_duration_per_page_ms
WHERE (EXCLUDED.attempt > 0 OR EXCLUDED.status = 'done' OR e.status <> 'done')
    AND ({_SAME_AS_NEW} AND e.status IN ('running', 'retryable_failed')
        OR coalesce(e.done_at <= EXCLUDED.done_at, true) AND (e.status <> 'running'
            OR e.started_at <= EXCLUDED.done_at OR e.attempt < EXCLUDED.attempt))"""

# What runs again keeps when it was done, and how, as with BEC. An attempt that a result has ended
# is not opened again.
SHOW_EXECUTIONS = f"""{_EXECUTIONS}
    attempt = EXCLUDED.attempt, worker_id = EXCLUDED.worker_id, started_at = EXCLUDED.started_at,
    done_at = CASE WHEN EXCLUDED.status = 'running' THEN e.done_at ELSE EXCLUDED.done_at END,
    total_images = CASE WHEN EXCLUDED.status = 'running' THEN e.total_images END,
    nb_errors = CASE WHEN EXCLUDED.status = 'running' THEN e.nb_errors END,
    total_duration_ms = CASE WHEN EXCLUDED.status = 'running' THEN e.total_duration_ms END,
    avg_duration_per_page_ms =
        CASE WHEN EXCLUDED.status = 'running' THEN e.avg_duration_per_page_ms END
WHERE ({_SAME_AS_NEW}) IS NOT TRUE OR e.status = 'running' AND EXCLUDED.status <> 'running'"""

# A marker stands of which the row does not know: it was written, and its row was not.
STOOD_ALREADY = f"""
UPDATE task_executions e SET status = 'done', done_at = to_timestamp(r.done),
    total_images = r.images, nb_errors = r.errors, total_duration_ms = r.total,
    avg_duration_per_page_ms = r.mean
FROM {_ROWS} JOIN {_VOLUME}
WHERE e.job_id = %(job)s AND e.volume_id = v.id AND e.s3_etag = decode(r.etag, 'hex')
    AND e.status <> 'done' AND coalesce(e.done_at <= to_timestamp(r.done), true)
    AND (e.status <> 'running' OR e.started_at <= to_timestamp(r.done))"""

# When the manifest was written is not known here: of another version, it says nothing any more.
SHOW_VOLUMES = f"""
UPDATE volumes v SET last_s3_etag = decode(r.etag, 'hex'),
    nb_images = coalesce(r.images, v.nb_images),
    last_modified_at = CASE WHEN v.last_s3_etag = decode(r.etag, 'hex') THEN v.last_modified_at END
FROM {_ROWS}
WHERE v.bdrc_w_id = r.w AND v.bdrc_i_id = r.i
    AND (v.last_s3_etag <> decode(r.etag, 'hex')
        OR r.images IS NOT NULL AND r.images IS DISTINCT FROM v.nb_images)
    AND NOT EXISTS (SELECT FROM task_executions e WHERE e.volume_id = v.id
        AND e.s3_etag <> decode(r.etag, 'hex')
        AND coalesce(e.done_at, e.started_at) > to_timestamp(r.done))"""

# What was done before it was begun again, is. The moment is one that any result is later than.
GIVE_UP = f"""
UPDATE task_executions e SET
    status = CASE WHEN e.total_images IS NOT NULL OR e.total_duration_ms IS NOT NULL
        THEN 'done'::task_status ELSE 'retryable_failed' END,
    done_at = CASE WHEN e.total_images IS NOT NULL OR e.total_duration_ms IS NOT NULL
        THEN e.done_at ELSE least(e.started_at, now()) END
FROM workers w
WHERE e.job_id = %(job)s AND e.status = 'running' AND e.worker_id = w.worker_id
    AND w.tags->>'job_uid' = %(uid)s AND NOT EXISTS (SELECT FROM {_ROWS} WHERE {_WORKER})"""
