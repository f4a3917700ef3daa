"""The views for people, in a real PostgreSQL."""

from dataclasses import replace
from datetime import timedelta

from bec_operator.act.ground.connections import Connection
from bec_operator.api.job import JobPhase
from bec_ops.contract.protocol import Progress
from tests.support.own_tables import (
    BEGINNING,
    JOB,
    STATUS,
    WRITER,
    at,
    attempt,
    delivered,
    made,
    result,
    rows,
    show,
    under_way,
    worker,
)
from tests.support.postgres import Postgres


def test_how_jobs_stand(writer: Connection, postgres: Postgres) -> None:
    delivered(writer, result(1))
    ended = STATUS.model_copy(
        update={"phase": JobPhase.COMPLETE, "percent": "100%", "completion_time": at(60)}
    )
    odd = replace(JOB, uid="job-2", name="a-job", status=ended, parameters='{"lang": "\\u0000"}')
    delivered(writer, result(1, job_uid="job-2"), job=odd)
    assert rows(
        postgres, "SELECT name, phase, percent, succeeded, failed, rate, completed FROM progress"
    ) == [
        ("kangyur", "Running", 75, 2, 1, "5200 pages/h", None),
        ("a-job", "Complete", 100, 2, 1, "5200 pages/h", BEGINNING + timedelta(seconds=60)),
    ]
    assert rows(postgres, "SELECT parameters::text FROM jobs WHERE job_uid = 'job-2'") == [
        ('{"lang": "\\u0000"}',)
    ]


def test_what_failed_and_why(writer: Connection, postgres: Postgres) -> None:
    tries = [attempt(1, "Retryable", repeats=3), attempt(2, "Terminal", log="s3://logs/2")]
    terminal = {"outcome": "failed", "failure": "Terminal", "attempts": tries}
    delivered(
        writer,
        result(10, "W1", index=1, message="no pages", **terminal),
        result(20, "W2", index=2, i_version="v2", message="no images", **terminal),
        result(30, "W3", outcome="skipped", failure="DependencyFailed", task_uid=""),
        result(40, "W4"),
    )
    assert rows(
        postgres,
        "SELECT outcome, failure, volumes, example, message FROM failures_by_class "
        "ORDER BY volumes DESC",
    ) == [
        ("failed", "Terminal", 2, "W2/I1/v2", "no images"),
        ("skipped", "DependencyFailed", 1, "W3/I1", ""),
    ]
    assert rows(
        postgres, "SELECT w_id, failure, message, attempts, pod, log FROM failures ORDER BY w_id"
    ) == [
        ("W1", "Terminal", "no pages", 5, "pod-2", "s3://logs/2"),
        ("W2", "Terminal", "no images", 5, "pod-2", "s3://logs/2"),
        ("W3", "DependencyFailed", "", 0, None, None),
    ]


def test_pages_an_hour_by_day(writer: Connection, postgres: Postgres) -> None:
    """Two workers, a minute each, at the same time; and one minute across midnight."""
    midnight = 16 * 3600
    delivered(
        writer,
        result(61, "W1", attempts=[attempt(end=60)], made=made(100, errors=1)),
        result(61, "W2", attempts=[attempt(end=60)], made=made(50)),
        result(61, "W3", failure="AlreadyDone", task_uid="", made=made(999)),
        result(midnight + 30, "W4", attempts=[attempt(end=midnight + 30)], made=made(10)),
    )
    assert rows(
        postgres,
        "SELECT day::text, volumes, pages, errors, pages_an_hour::int, "
        "pages_an_hour_of_a_worker::int FROM pages_an_hour ORDER BY day",
    ) == [("2026-05-01", 2, 150, 1, 9000, 4500), ("2026-05-02", 1, 10, 0, 1200, 600)]


def test_stale_volumes(writer: Connection, postgres: Postgres) -> None:
    stale = "SELECT job_id, w_id, done_version, newest_version FROM stale_volumes ORDER BY 1, 2"
    delivered(writer, result(10, "W1", i_version="a"), result(10, "W2", i_version="a"))
    assert rows(postgres, stale) == []
    show(writer, under_way("W1", "I1", "b"))
    failed = result(20, "W2", i_version="b", outcome="failed", failure="Terminal")
    delivered(writer, failed)
    assert rows(postgres, stale) == [("kangyur", "W1", "a", "b"), ("kangyur", "W2", "a", "b")]
    delivered(writer, result(30, "W1", i_version="b"))
    assert rows(postgres, stale) == [("kangyur", "W2", "a", "b")]


def test_what_runs_now_and_who_works(writer: Connection, postgres: Postgres) -> None:
    progress = Progress(done=312, total=480, unit="pages")
    failed = (attempt(1, "Retryable"),)
    waits = under_way("W2", failed=failed, running=None)
    show(writer, under_way(progress=progress), waits, workers=[worker(1), worker(2)])
    assert rows(
        postgres,
        "SELECT w_id, state, number, pod, progress_done, progress_total, progress_unit, percent "
        "FROM under_way ORDER BY w_id",
    ) == [
        ("W1", "running", 1, "pod-1", 312, 480, "pages", 65),
        ("W2", "retrying", 1, "pod-1", None, None, None, None),
    ]
    assert rows(postgres, "SELECT pod, w_id FROM working ORDER BY pod") == [
        ("pod-1", "W1"),
        ("pod-2", None),
    ]


def test_everything_has_a_comment(writer: Connection, postgres: Postgres) -> None:
    """For whoever meets it in psql."""
    del writer
    bare = (
        "SELECT relname, attname FROM pg_class JOIN pg_attribute ON attrelid = oid "
        "WHERE relnamespace = 'bec_operator'::regnamespace AND relkind = 'r' AND attnum >= 0 "
        "AND relname <> 'migrations' AND col_description(oid, attnum) IS NULL"
    )
    assert rows(postgres, bare) == []
    views = (
        "SELECT relname FROM pg_class WHERE relkind = 'v' AND obj_description(oid) IS NULL "
        "AND relnamespace = 'bec_operator'::regnamespace"
    )
    assert rows(postgres, views) == []
    may = rows(postgres, f"SELECT has_schema_privilege('{WRITER}', 'bec_operator', 'CREATE')")
    assert may == [(False,)]
