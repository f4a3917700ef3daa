"""Results as the outbox delivers them, and the tables of our own that they go to."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, LiteralString, cast

from bec_operator.act.connections.results.own.migrating import migrate
from bec_operator.act.connections.results.own.tables import OwnTables
from bec_operator.act.connections.results.writing import deliver
from bec_operator.act.ground.connections import Connection
from bec_operator.api.job import Counts, JobPhase, JobStatus
from bec_operator.api.volume_task import Attempt
from bec_operator.decide.sight.made import Made
from bec_operator.decide.volumes.results import JobTold, Result, Snapshot, UnderWay, WorkerTold
from bec_ops.contract.volume import Volume
from tests.support.databases import secret
from tests.support.postgres import Postgres

SECONDS = 20.0
WRITER = "bec_writer"
BEGINNING = datetime(2026, 5, 1, 8, tzinfo=UTC)
COUNTS = Counts(total=4, running=1, succeeded=2, failed=1)
STATUS = JobStatus(phase=JobPhase.RUNNING, counts=COUNTS, percent="75%", rate="5200 pages/h")
JOB = JobTold("ocr", "kangyur", "job-1", "kangyur", "2026-05-01T07:59:58Z", "{}", "", STATUS)
CALLED = BEGINNING.timestamp() + 30  # when workers last called
_DOCS = Path(__file__).parents[2] / "docs" / "results.md"


def at(seconds: float) -> str:
    """Return a moment so many seconds after the beginning."""
    return (BEGINNING + timedelta(seconds=seconds)).isoformat()


def attempt(number: int = 1, failure: str = "", end: float = 60, **more: Any) -> Attempt:
    """Return an attempt that took a minute."""
    given = {
        "number": number,
        "pod": f"pod-{number}",
        "pod_uid": f"uid-of-pod-{number}",
        "node": "node-a",
        "start_time": at(end - 60),
        "end_time": at(end),
        "failure": failure,
        **more,
    }
    return Attempt.model_validate(given)


def result(told: float, w_id: str = "W1", i_id: str = "I1", /, **more: Any) -> Result:
    """Return a result that became known so many seconds after the beginning: a success."""
    given = {
        "job_uid": JOB.uid,
        "index": 0,
        "w_id": w_id,
        "i_id": i_id,
        "outcome": "succeeded",
        "task_uid": "task-1",
        "told": at(told),
        **more,
    }
    return Result.model_validate(given)


def made(items: int, **more: Any) -> Made:
    """Return what a marker says of so many pages."""
    return Made.model_validate({"items": items, "errors": 0, **more})


def under_way(w_id: str = "W1", i_id: str = "I1", version: str = "", /, **more: Any) -> UnderWay:
    """Return a volume whose first attempt runs."""
    given = {
        "index": 0,
        "output": "s3://artefacts/somewhere",
        "task": "kangyur-0",
        "task_uid": "task-1",
        "failed": (),
        "running": attempt(end_time=None),
        **more,
    }
    return UnderWay(volume=Volume(w_id, i_id, version), **given)


def delivered(
    connection: Connection,
    *results: Result,
    snapshot: Snapshot | None = None,
    job: JobTold = JOB,
    seconds: float = SECONDS,
) -> Sequence[str]:
    """Deliver results to our tables."""
    return deliver(connection, OwnTables(), job, results, snapshot, seconds=seconds)


def show(
    writer: Connection, *volumes: UnderWay, workers: Sequence[WorkerTold] = ()
) -> Sequence[str]:
    """Deliver a snapshot of what runs, and who works."""
    return delivered(writer, snapshot=Snapshot(volumes, workers))


def worker(number: int, called: float | None = CALLED) -> WorkerTold:
    """Return a worker of a pool, which started at the beginning."""
    return WorkerTold(
        f"pod-{number}", f"uid-of-pod-{number}", "node-a", at(0), called, in_pool=True
    )


def prepared(postgres: Postgres, folder: Path) -> Connection:
    """Make the tables, and return the connection of a role with the rights that the docs give."""
    migrate(secret(folder / "admin", postgres.url(sslmode="disable")))
    grants = _grants()
    with postgres.admin() as admin:
        admin.execute(f"CREATE ROLE {WRITER} LOGIN PASSWORD 'may write'")
        admin.execute(grants)
    return secret(folder / "writer", postgres.url(WRITER, "may write", sslmode="disable"))


def _grants() -> LiteralString:
    rights = _DOCS.read_text().partition("## Rights")[2]
    found = re.search(r"```sql\n(.*?)```", rights, re.DOTALL)
    assert found is not None
    assert f" TO {WRITER};" in found[1]
    return cast("LiteralString", found[1])


def rows(postgres: Postgres, query: LiteralString) -> list[tuple[Any, ...]]:
    """Return the rows of a query about the tables, as the administrator sees them."""
    with postgres.admin() as admin:
        admin.execute("SET search_path = bec_operator; SET timezone = 'UTC'")
        return admin.execute(query).fetchall()


def everything(postgres: Postgres) -> dict[str, list[tuple[Any, ...]]]:
    """Return all that results have put into the tables, without numbers that mean nothing."""
    return {
        "results": rows(
            postgres,
            "SELECT to_jsonb(r) - 'result_id' FROM results r ORDER BY w_id, i_id, i_version",
        ),
        "attempts": rows(
            postgres,
            "SELECT w_id, i_id, i_version, to_jsonb(a) - 'result_id' FROM attempts a "
            "JOIN results USING (result_id) ORDER BY w_id, i_id, i_version, a.task_uid, a.number",
        ),
        "volumes": rows(postgres, "SELECT to_jsonb(v) FROM volumes v ORDER BY w_id, i_id"),
        "jobs": rows(postgres, "SELECT to_jsonb(j) - 'told' FROM jobs j ORDER BY job_uid"),
    }


def emptied(postgres: Postgres) -> None:
    """Take all rows out of the tables."""
    postgres.run("TRUNCATE bec_operator.jobs, bec_operator.volumes CASCADE")
