"""What today's code reads of what a release has stored, in words that are nobody's but ours.

They are the same whatever the code calls things, so that `expected.yaml` never has to change.
"""

import asyncio
import csv
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from bec_operator.act.ground.api_server import JSON, ApiError, ApiServer
from bec_operator.act.ground.cache import Cache
from bec_operator.act.ground.clock import Clock
from bec_operator.act.ground.context import Context
from bec_operator.act.ground.storage import Storage
from bec_operator.act.kube.pod_records import is_of_pool, is_of_task, pod_of, pool_pod_of
from bec_operator.act.kube.records import deployment_of, job_of, task_of
from bec_operator.act.storage.failure_report_parts import read
from bec_operator.act.storage.report_csv import compile_report
from bec_operator.act.volumes.manifest import load_manifest
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.moments import precise
from bec_operator.decide.sight.seen import PodSeen
from bec_operator.decide.volumes.ledger import ALREADY_DONE, Honoured, Ledger, Outcome
from bec_operator.decide.volumes.reasons import label_of
from bec_operator.decide.volumes.volume_sites import site_of
from bec_operator.settings import Settings
from bec_ops.contract.location import reports_prefix
from bec_ops.contract.marker import MARKER_NAME, Marker
from bec_ops.contract.task import Assignment, Task
from bec_ops.contract.volume import Volume
from bec_ops.link.environment import Surroundings
from tests.support.kube import Body
from tests.support.pods import environment
from tests.unit.decide.fake_s3 import FakeStore

LONG_AGO = 0.0


class StoredCluster(ApiServer):
    """Has what stands in the files of a release, and is never written to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "cluster"

    async def request(
        self,
        method: str,
        path: str,
        body: Body | None = None,
        *,
        content_type: str = JSON,
        accept: str = JSON,
        query: Mapping[str, str] | None = None,
    ) -> Body:
        del body, content_type, accept, query
        assert method == "GET"
        kind, name = path.split("/")[-2:]
        file = self._folder / kind / f"{name}.json"
        if not file.exists():
            raise ApiError(404, "NotFound", "there is none")
        found: Body = json.loads(file.read_text(encoding="utf-8"))
        return found


def objects(folder: Path, kind: str) -> Iterator[tuple[str, Body]]:
    """Yield the stored objects of a kind, each with its name."""
    for file in sorted((folder / "cluster" / kind).glob("*.json")):
        yield file.stem, json.loads(file.read_text(encoding="utf-8"))


def bucket_of(folder: Path) -> dict[str, bytes]:
    """Return the objects of the bucket by their keys."""
    root = folder / "bucket"
    files = sorted(file for file in root.rglob("*") if file.is_file())
    return {file.relative_to(root).as_posix(): file.read_bytes() for file in files}


def read_all(folder: Path) -> Body:
    """Return all that is read of what a release has stored."""
    store = FakeStore()
    store.objects = bucket_of(folder)
    ctx = Context(
        StoredCluster(folder), Storage(store, 1), Cache(lambda _: None), Clock(), Settings()
    )
    seen = dict(objects(folder, "seen"))
    handed = [("handed", seen["handed"])]
    pods = [*objects(folder, "pods"), ("stopped", seen["stopped"])]
    deployments = [*objects(folder, "deployments"), ("avoiding", seen["avoiding"])]
    return {
        "jobs": {name: asyncio.run(_job(ctx, raw)) for name, raw in objects(folder, "jobs")},
        "tasks": {name: _task(raw) for name, raw in [*objects(folder, "volumetasks"), *handed]},
        "pods": {name: _pod(raw) for name, raw in pods},
        "deployments": {name: _deployment(raw) for name, raw in deployments},
        "markers": {
            key: _marker(body) for key, body in store.objects.items() if key.endswith(MARKER_NAME)
        },
    }


async def _job(ctx: Context, raw: Body) -> Body:
    """Return what is read of a Job, its ledger, its manifest, and its failure reports."""
    job = job_of(raw)
    memory = Memory(job)
    await load_manifest(ctx, memory)
    trouble, ledger = memory.facts.manifest or memory.facts.storage, memory.ledger
    assert ledger is not None, trouble
    bucket, folder = memory.output.bucket, reports_prefix(memory.output.reports, job.job_id)
    lines = await ctx.storage.call("read", lambda store: list(read(store, bucket, folder)))
    await compile_report(ctx, memory)
    report = await ctx.storage.call("get", lambda store: store.get(bucket, f"{folder}report.csv"))
    status = job.status
    return {
        "generation": job.generation,
        "problem": job.problem,
        "phase": str(status.phase),
        "ended": status.terminal,
        "started": status.start_time,
        "completed": status.completion_time,
        "counts": {name: count for name, count in status.counts.wire().items() if count},
        "conditions": {c.type: f"{c.status} {c.reason}" for c in status.conditions},
        "manifest": ledger.manifest,
        "volumes": {
            str(volume): f"{place} {_end(ledger, index)}{_at(volume)}"
            for index, (volume, place) in enumerate(
                zip(memory.books.volumes, memory.books.prefixes, strict=True)
            )
        },
        "retried": _honoured(ledger.retried),
        "redone": _honoured(ledger.redone),
        **({"followed": precise(ledger.followed)} if ledger.followed else {}),
        "failures": [
            {"index": line.index, "volume": str(line.volume), "task": line.task}
            | {
                "class": line.failure,
                "message": line.message,
                "of this Job": line.job_uid == job.uid,
            }
            | {"attempts": [_attempt(attempt) for attempt in line.attempts]}
            for line in lines
        ],
        "report": [_row(row) for row in csv.DictReader((report or b"").decode().splitlines())],
    }


def _row(row: Mapping[str, str]) -> str:
    """Return what a row of the report says, but for sentences: they may be put better."""
    volume = Volume(row["w_id"], row["i_id"], row["i_version"])
    told = [row[name] for name in ("outcome", "class", "attempts", "task", "ended") if row[name]]
    return f"{volume}: {' '.join(told)}"


def _end(ledger: Ledger, index: int) -> str:
    """Return what a byte of a ledger says."""
    outcome, code = ledger.outcome(index), ledger.code(index)
    if outcome is Outcome.SUCCEEDED:
        return "succeeded before" if code == ALREADY_DONE else "succeeded"
    return f"{outcome.name.lower()} {label_of(code)}".strip()


def _at(volume: Volume) -> str:
    return f" at {site_of(volume)}" if site_of(volume) else ""


def _honoured(found: Honoured) -> str:
    return f"{found.wish} until {found.moment} at {precise(found.at)}" if found.wish else ""


def _task(raw: Body) -> Body:
    task = task_of(raw)
    return {
        "job": task.job,
        "owner": task.owner_uid,
        "index": task.index,
        "phase": str(task.phase or "queued"),
        "message": task.message,
        "progress": task.progress,
        "attempts": [_attempt(attempt) for attempt in task.attempts],
        "failures": [failure.label for failure in task.failures],
        "attempt": task.attempt,
        "pod": task.pod,
        "next": task.next_attempt,
        "finished": task.ended_at,
    }


def _attempt(attempt: Any) -> Body:
    found: Body = {
        "number": attempt.number,
        "pod": attempt.pod,
        "pod uid": attempt.pod_uid,
        "node": attempt.node,
        "session": attempt.session,
        "generation": attempt.generation,
        "redo at": attempt.redo_at,
        "started": attempt.start_time,
        "ended": attempt.end_time,
        "failure": attempt.failure,
        "exit code": attempt.exit_code,
        "message": attempt.message,
        "repeats": attempt.repeats or None,
        "log": attempt.log,
    }
    return {name: value for name, value in found.items() if value not in {None, ""}}


def _pod(raw: Body) -> Body:
    """Return what is read of a pod, and the task that a worker of today's reads in it."""
    if is_of_pool(raw):
        host = pool_pod_of(raw, None, LONG_AGO)
        marks = {"pool": host.pool, "draining": host.draining, "guarded": host.guarded}
        return {**_seen(host.pod), **marks, "ready": host.ready, "runs": host.runs, **_told(raw)}
    assert is_of_task(raw)
    return {**_seen(pod_of(raw, None, LONG_AGO)), **_told(raw)}


def _told(raw: Body) -> Body:
    """Return what a worker of today's library reads of the environment that its pod has."""
    variables = environment(raw)
    found = Surroundings.from_environment(variables)
    told = {
        "operator": found.operator_url,
        "token": str(found.token_file),
        "heartbeat": found.heartbeat_seconds,
        "folder": str(found.work_dir),
        "template": found.output_template,
        "dependencies": {
            name: f"{at.bucket}/{at.prefix}" for name, at in found.dependencies.items()
        },
    }
    if found.pool:
        return {"told": told, "works for": Assignment.from_environment(variables).job_id}
    task = Task.from_environment(variables)
    works_on = {
        "job": task.job_id,
        "volume": str(task.volume),
        "attempt": task.attempt,
        "task": task.task_uid,
        "output": task.output_uri,
        "worker": task.worker_id,
        "expects": list(task.expect),
        "parameters": task.parameters,
        "redo at": task.redo_at.isoformat() if task.redo_at else None,
    }
    return {"told": told, "works on": works_on}


def _seen(pod: PodSeen) -> Body:
    return {
        "job": pod.job,
        "task": pod.task,
        "owner": pod.owner_uid,
        "generation": pod.generation,
        "redo at": pod.redo_at,
        "phase": pod.phase,
        "node": pod.node,
        "called since": pod.called_since,
        "stopped": f"{pod.stopped.failure.label}: {pod.stopped.message}" if pod.stopped else "",
    }


def _deployment(raw: Body) -> Body:
    found = deployment_of(raw)
    names = {"job": found.job, "owner": found.owner_uid, "replicas": found.replicas}
    return {**names, "avoids": list(found.avoids)}


def _marker(body: bytes) -> Body:
    """Return what is read of a marker, whose volume may stand in it in two ways."""
    loose = json.loads(body)
    ids = loose.get("volume") or loose
    volume = Volume(ids["w_id"], ids["i_id"], ids.get("i_version") or "")
    marker = Marker.parse(body, loose["job_id"], volume)
    redo_at: datetime | None = marker.redo_at
    return {
        "job": marker.job_id,
        "volume": str(volume),
        "worker": marker.worker_id,
        "written": marker.written,
        "items": marker.total_images,
        "log": marker.log,
        "redo at": redo_at.isoformat() if redo_at else None,
        "artefacts": marker.nb_artefacts,
        "bytes": marker.artefact_bytes,
        "expectations met": list(marker.expect_met or ()),
        **({"result": marker.result} if marker.result is not None else {}),
    }
