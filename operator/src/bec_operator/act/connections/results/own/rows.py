"""What became of volumes, and what runs, as rows of our tables: each key once."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from bec_operator.act.connections.results.own.fields import Fields, can_be_key, mended, moment
from bec_operator.act.connections.results.own.row import (
    of_attempt,
    of_result,
    of_running,
    of_volume,
    of_worker,
)
from bec_operator.api.volume_task import Attempt
from bec_operator.decide.volumes.results import Result, UnderWay, WorkerTold
from bec_ops.contract.volume import Volume

_LONGEST = 600  # characters of an id: an index holds no more
_SHOWN = 60  # of them, where it is too long

Try = tuple[Volume, str, int]


@dataclass(slots=True)
class Rows:
    """Rows of volumes and of attempts at them; and of which volumes there can be none."""

    volumes: list[Fields] = field(default_factory=list)
    attempts: list[Fields] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def rows_of_results(results: Sequence[Result]) -> Rows:
    """Return the rows of results, in their order: of one volume the latest counts."""
    rows = Rows()
    named = {each.index: at for at, each in enumerate(results) if each.i_version}
    first: dict[Volume, datetime] = {}
    latest: dict[Volume, tuple[datetime, Result]] = {}
    attempts: dict[Try, tuple[datetime, Attempt]] = {}
    for at, result in enumerate(results):
        if not result.i_version and named.get(result.index, at) > at:
            continue  # its version was found since
        volume, told = result.volume, moment(result.told)
        if told is None:
            rows.left_out.append(_sentence(volume, "nobody can read when it became known"))
            continue
        if trouble := _trouble(volume):
            rows.left_out.append(trouble)
            continue
        first[volume] = min(told, first.get(volume, told))
        if volume not in latest or latest[volume][0] <= told:
            latest[volume] = (told, result)
        for attempt in result.attempts:
            key = (volume, result.task_uid, attempt.number)
            if key not in attempts or attempts[key][0] <= told:
                attempts[key] = (told, attempt)
    rows.volumes = [of_result(each, told, first[v]) for v, (told, each) in latest.items()]
    rows.attempts = [
        {**of_attempt(volume, task_uid, attempt), "told": told}
        for (volume, task_uid, _), (told, attempt) in attempts.items()
    ]
    return rows


def rows_under_way(under_way: Sequence[UnderWay]) -> Rows:
    """Return the rows of volumes that are under way."""
    rows = Rows()
    volumes: dict[Volume, Fields] = {}
    attempts: dict[Try, Fields] = {}
    for each in under_way:
        if trouble := _trouble(each.volume):
            rows.left_out.append(trouble)
            continue
        volumes[each.volume] = of_volume(each)
        for attempt in each.failed:
            key = (each.volume, each.task_uid, attempt.number)
            attempts[key] = of_attempt(each.volume, each.task_uid, attempt)
        if each.running is not None:
            key = (each.volume, each.task_uid, each.running.number)
            attempts[key] = of_running(each, each.running)
    rows.volumes, rows.attempts = list(volumes.values()), list(attempts.values())
    return rows


def rows_of_workers(workers: Sequence[WorkerTold]) -> list[Fields]:
    """Return the rows of workers; one whose pod has no UID yet comes with a later snapshot."""
    return list({each.pod_uid: of_worker(each) for each in workers if each.pod_uid}.values())


def _trouble(volume: Volume) -> str:
    """Return why a volume cannot stand in our tables; empty if it can."""
    ids = (volume.w_id, volume.i_id, volume.i_version)
    if not all(map(can_be_key, ids)):
        return _sentence(volume, "PostgreSQL takes no U+0000 and no half characters; correct it")
    if max(map(len, ids)) > _LONGEST:
        return _sentence(volume, f"an id has at most {_LONGEST} characters here; shorten it")
    return ""


def _sentence(volume: Volume, why: str) -> str:
    named = (volume.w_id, volume.i_id, volume.i_version)
    ids = " ".join(_shown(each) for each in named if each)
    return f"volume {ids} is left out of the tables: {why}"


def _shown(name: str) -> str:
    name = "".join(each if each.isprintable() else "\ufffd" for each in mended(name[: _SHOWN + 1]))
    return name if len(name) <= _SHOWN else f"{name[:_SHOWN]}…"
