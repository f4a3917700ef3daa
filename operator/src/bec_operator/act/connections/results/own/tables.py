"""Results in tables of our own: a few statements a batch, however many results it has."""

from collections.abc import Sequence

from bec_operator.act.connections.results.own.checking import trouble_with_tables
from bec_operator.act.connections.results.own.fields import Fields, as_json
from bec_operator.act.connections.results.own.row import of_job
from bec_operator.act.connections.results.own.rows import (
    rows_of_results,
    rows_of_workers,
    rows_under_way,
)
from bec_operator.act.connections.results.own.statements import (
    ATTEMPTS,
    GONE,
    JOB,
    NAMED,
    RESULTS,
    STOPPED,
    UNDER_WAY,
    VOLUMES,
    WAITING,
    WORKERS,
)
from bec_operator.act.connections.results.tables import Cursor
from bec_operator.decide.volumes.results import JobTold, Result, Snapshot


class OwnTables:
    """The tables of the schema `bec_operator`, which `bec-operator migrate` makes.

    A later result of a volume takes the place of an earlier one, by the moment when it became known
    and not by when it comes. Attempts stay, each under its VolumeTask's UID. The row of the job is
    written first, so no two transactions write of one job at once.
    """

    def check(self, cursor: Cursor) -> str:
        """Return why these tables cannot be written to, and what to do; empty if they can."""
        return trouble_with_tables(cursor)

    def write(self, cursor: Cursor, job: JobTold, results: Sequence[Result]) -> Sequence[str]:
        """Write what became of volumes."""
        rows = rows_of_results(results)
        _run(cursor, JOB, job, [of_job(job)])
        if job.finds_versions and rows.volumes:
            _run(cursor, NAMED, job, rows.volumes)
        if rows.volumes:
            _run(cursor, RESULTS, job, rows.volumes)
            _run(cursor, VOLUMES, job, _ids(rows.volumes))
        if rows.attempts:
            _run(cursor, ATTEMPTS, job, rows.attempts)
        return rows.left_out

    def show(self, cursor: Cursor, job: JobTold, snapshot: Snapshot) -> Sequence[str]:
        """Write how the job stands, what runs now, and who works."""
        rows = rows_under_way(snapshot.under_way)
        workers = rows_of_workers(snapshot.workers)
        _run(cursor, JOB, job, [of_job(job)])
        if job.finds_versions and rows.volumes:
            _run(cursor, NAMED, job, rows.volumes)
        if rows.volumes:
            _run(cursor, WAITING, job, rows.volumes)
            if new := cursor.fetchall():
                _run(cursor, VOLUMES, job, [{"w_id": w_id, "i_id": i_id} for w_id, i_id in new])
        if rows.attempts:
            _run(cursor, UNDER_WAY, job, rows.attempts)
        _run(cursor, GONE, job, [each for each in rows.attempts if each["state"] == "running"])
        if workers:
            _run(cursor, WORKERS, job, workers)
        _run(cursor, STOPPED, job, workers)
        return rows.left_out


def _run(cursor: Cursor, statement: str, job: JobTold, rows: Sequence[Fields]) -> None:
    cursor.execute(statement, {"job": job.uid, "rows": as_json(rows)})


def _ids(rows: Sequence[Fields]) -> list[Fields]:
    return [{"w_id": row["w_id"], "i_id": row["i_id"]} for row in rows]
