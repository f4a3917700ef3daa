"""The tables of a BEC installation: jobs, volumes, workers, task_executions.

They are its own, and found where its tools find them. A batch is a few statements, whatever its
size.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Protocol

import orjson

from bec_operator.act.connections.results.bec import statements
from bec_operator.act.connections.results.bec.checking import what_is_missing
from bec_operator.act.connections.results.bec.fitting import fit_text, unfit_job
from bec_operator.act.connections.results.bec.rows import (
    Row,
    rows_of_results,
    rows_of_under_way,
    rows_of_workers,
)
from bec_operator.act.connections.results.tables import Cursor
from bec_operator.decide.volumes.results import JobTold, Result, Snapshot

_NONE = "[]"


class BecTables:
    """Written as BEC's own workers would, where that can be; docs/results-bec.md has the rest."""

    def check(self, cursor: Cursor) -> str:
        """Return why these tables cannot be written to, and what to do; empty if they can."""
        return what_is_missing(cursor)

    def write(self, cursor: Cursor, job: JobTold, results: Sequence[Result]) -> Sequence[str]:
        """Write what became of volumes, in this order; of one volume there may be several."""
        if unfit := unfit_job(job.job_id):
            return [unfit]
        told: list[str] = []
        rows = rows_of_results(results, told)
        if not rows:
            return told
        run = _running(cursor, job)
        _find_etags(cursor, rows)
        for each_once in _rounds(rows):
            _write(run, each_once)
        return told

    def show(self, cursor: Cursor, job: JobTold, snapshot: Snapshot) -> Sequence[str]:
        """Write what runs now, and who works; of the Job itself, these tables say nothing."""
        if unfit := unfit_job(job.job_id):
            return [unfit]
        run = _running(cursor, job)
        rows = list(rows_of_under_way(snapshot.under_way))
        workers = rows_of_workers(snapshot)
        _find_etags(cursor, rows)
        rows = list({(row["w"], row["i"], row["etag"]): row for row in rows}.values())
        each_row, each_worker = _json(rows), _json(workers)
        run(statements.MAKE_VOLUMES, each_row)
        run(statements.MAKE_WORKERS, _json((*workers, *rows)))
        run(statements.SHOW_WORKERS, each_worker)
        run(statements.SHOW_EXECUTIONS, each_row)
        run(statements.STOP_WORKERS, each_worker, even_of_none=True)
        if job.status.terminal or job.deleted:
            run(statements.GIVE_UP, each_worker, even_of_none=True)
        return []


def _write(run: "_Run", rows: Sequence[Row]) -> None:
    """Write how volumes ended, each of which comes once."""
    each = _json(rows)
    stood = [row for row in rows if row.get("stood")]
    # To write rows down is half of the work, and mostly none stood already.
    tried = _json(row for row in rows if not row.get("stood")) if stood else each
    run(statements.MAKE_VOLUMES, each)
    run(statements.MAKE_WORKERS, tried)
    run(statements.NAME_ETAGS, _json(row for row in rows if row["etag"] != row["guess"]))
    run(statements.END_EXECUTIONS, tried)
    run(statements.STOOD_ALREADY, _json(stood))
    run(statements.SHOW_VOLUMES, each)


def _json(rows: Iterable[Row]) -> str:
    return orjson.dumps(list(rows)).decode()


class _Run(Protocol):
    """Runs a statement over rows, if there are any."""

    def __call__(self, statement: str, rows: str, *, even_of_none: bool = False) -> None:
        """The rows are JSON."""


def _running(cursor: Cursor, job: JobTold) -> _Run:
    """Return what runs a statement over rows of this Job, which has a row of its own then."""
    told = {"name": job.job_id, "config": fit_text(job.parameters) or "{}"}
    told["source"] = fit_text(job.source)
    found = cursor.execute(statements.FIND_JOB, told).fetchone()
    if found is None:
        cursor.execute(statements.MAKE_JOB, told)
        found = cursor.execute(statements.FIND_JOB, told).fetchone()
    if found is None:
        raise LookupError(
            f"jobs has a row of the name {job.job_id}, and does not show it: it was deleted at "
            "this moment, or row-level security hides it; let the role read all rows"
        )
    values = {"job": found[0], "name": job.job_id, "uid": job.uid}

    def run(statement: str, rows: str, *, even_of_none: bool = False) -> None:
        if rows != _NONE or even_of_none:
            cursor.execute(statement, {**values, "rows": rows})

    return run


def _find_etags(cursor: Cursor, rows: Sequence[Row]) -> None:
    """Give each row its ETag: one that a marker or the tables have, or else a guess."""
    whole = {_version(row): row["etag"] for row in rows if row["etag"]}
    for row in rows:
        row["etag"] = row["etag"] or whole.get(_version(row), "")
    open_ = {n: row for n, row in enumerate(rows) if not row["etag"]}
    if not open_:
        return
    asked = [
        {"n": n, "w": row["w"], "i": row["i"], "begins": row["begins"]} for n, row in open_.items()
    ]
    cursor.execute(statements.FIND_ETAGS, {"rows": _json(asked)})
    known: dict[int, str | None] = dict(cursor.fetchall())
    for n, row in open_.items():
        row["etag"] = known.get(n) or row["guess"]


def _version(row: Row) -> tuple[str, str, str]:
    return row["w"], row["i"], row["guess"]


def _rounds(rows: Iterable[Row]) -> Sequence[Sequence[Row]]:
    """Return rows in their order, in parts in which each volume comes once: mostly it is one.

    A statement can touch a row once, and what counts of several results, the statements know.
    """
    rounds: list[list[Row]] = []
    seen: Counter[tuple[str, str]] = Counter()
    for row in rows:
        volume = row["w"], row["i"]
        if seen[volume] == len(rounds):
            rounds.append([])
        rounds[seen[volume]].append(row)
        seen[volume] += 1
    return rounds
