"""Rows for the tables of a BEC installation, made of what is told of volumes.

A row is a dict of what PostgreSQL takes apart by these names: hundreds go with one statement, as
JSON. Moments are seconds since 1970.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from bec_operator.act.connections.results.bec.etags import etag_of
from bec_operator.act.connections.results.bec.fitting import (
    fit_count,
    fit_milliseconds,
    fit_text,
    seconds_of,
    unfit_count,
    unfit_volume,
)
from bec_operator.api.volume_task import Attempt
from bec_operator.decide.sight.made import Made
from bec_operator.decide.volumes.results import Result, Snapshot, UnderWay
from bec_ops.contract.volume import Volume

Row = dict[str, Any]
ALREADY_DONE = "AlreadyDone"
_DOUBLE = "Double"  # the same version comes twice in a list: what became of it, the other says
_NOTHING = Made()
_MOST_ATTEMPTS = 2**31 - 1  # of an integer


def rows_of_results(results: Iterable[Result], told: list[str]) -> list[Row]:
    """Return a row for each result that says how a volume ended; `told` is added to.

    One that is opened again leaves its row: it says how it ended last, until an attempt runs.
    """
    rows = []
    for result in results:
        if result.outcome == "waiting" or result.failure == _DOUBLE:
            continue
        if unfit := unfit_volume(result.volume):
            told.append(unfit)
            continue
        rows.append(_row_of_result(result, told))
    return rows


def _row_of_result(result: Result, told: list[str]) -> Row:
    made = result.made or _NOTHING
    volume = result.volume
    row = _row(volume, result.attempts[-1] if result.attempts else None, made.etag)
    row["done"] = seconds_of(result.told)
    # BEC takes over no row that has begun never, and passes over its volume for ever.
    if row["started"] is None:
        row["started"] = row["done"]
    if result.outcome != "succeeded":
        return row | {"status": "terminal_failed"}
    for column, count in (("total_images", made.items), ("nb_errors", made.errors)):
        if unfit := unfit_count(volume, column, count):
            told.append(unfit)
    return row | _counts(made, row) | {"status": "done", "stood": result.failure == ALREADY_DONE}


def rows_of_under_way(under_way: Iterable[UnderWay]) -> Iterator[Row]:
    """Yield a row for each volume of which an attempt runs, or the next one is waited for.

    Volumes that are unfit are passed over in silence: their results will say so.
    """
    for each in under_way:
        runs = each.running if each.running and each.running.start_time else None
        attempt = runs or (each.failed[-1] if each.failed else None)
        if attempt is None or unfit_volume(each.volume):
            continue
        row = _row(each.volume, attempt, None)
        if row["started"] is not None:
            row["done"] = row["ended"]
            yield row | {"status": "running" if runs else "retryable_failed"}


def rows_of_workers(snapshot: Snapshot) -> list[Row]:
    """Return a row for each process that works now; `called` is None for one that never calls."""
    rows = {
        (worker.pod, worker.pod_uid): {
            **_worker(worker.pod, worker.pod_uid, worker.node),
            "since": seconds_of(worker.started),
            "called": worker.called,
        }
        for worker in snapshot.workers
    }
    for each in snapshot.under_way:
        if (attempt := each.running) is not None:
            key = (attempt.pod, attempt.pod_uid)
            row = rows.setdefault(key, _worker(*key, attempt.node))
            row.setdefault("since", seconds_of(attempt.start_time))
            row["called"] = max(row.get("called") or 0, each.called or 0) or None
    return list(rows.values())


def _row(volume: Volume, attempt: Attempt | None, made: str | None) -> Row:
    """Return what a row says of the volume and of the attempt."""
    etag = etag_of(volume, made)
    row: Row = {"w": volume.w_id, "i": volume.i_id, "etag": etag.whole, "begins": etag.begins}
    row |= {"guess": etag.guess, "attempt": 0, "started": None}
    if attempt is not None:
        started, ended = seconds_of(attempt.start_time), seconds_of(attempt.end_time)
        row |= _worker(attempt.pod, attempt.pod_uid, attempt.node)
        row |= {"attempt": min(attempt.number, _MOST_ATTEMPTS), "ended": ended}
        row["started"] = ended if started is None else started
        row |= {"since": started, "called": ended, "stopped": None if attempt.session else ended}
    return row


def _worker(pod: str, uid: str, node: str) -> Row:
    return {"pod": fit_text(pod), "uid": fit_text(uid), "node": fit_text(node)}


def _counts(made: Made, row: Row) -> Row:
    """Return images, errors and milliseconds; where the marker has no time, that of the attempt."""
    total = fit_milliseconds(made.duration_ms)
    began, ended = row["started"], row.get("ended")
    if total is None and began is not None and ended is not None:
        total = fit_milliseconds((ended - began) * 1000)
    images = fit_count(made.items)
    mean = fit_milliseconds(total / images) if total is not None and images else None
    return {"images": images, "errors": fit_count(made.errors), "total": total, "mean": mean}
