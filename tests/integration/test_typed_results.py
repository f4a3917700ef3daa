"""What real workers return, through the operator, to the rows of a real PostgreSQL."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import LiteralString

import pytest

from bec_operator.act.connections.results.own.migrating import migrate
from tests.cluster import S3
from tests.integration.conftest import MakeOperator
from tests.support.behaviours import Behaviour, for_volumes, in_turn
from tests.support.connections import Mounted
from tests.support.databases import secret
from tests.support.jobs import LiveJob, is_true, job, numbered
from tests.support.kube import Body, KubeError
from tests.support.operator_process import Operator
from tests.support.pods import PlayedPod
from tests.support.postgres import Postgres, running_postgres
from tests.support.space import Space
from tests.support.told_tables import Tables
from tests.support.worker_runs import WorkerRun, wait_ended
from tests.support.workers import Workers

RESULTS: Body = {"sql": {"connection": "catalogue"}}
SCHEMA: Body = {
    "type": "object",
    "properties": {"pages": {"type": "integer", "minimum": 1}},
    "required": ["pages"],
}
HANDLER = """
from pydantic import BaseModel
from bec_ops import worker

class Page(BaseModel):
    name: str
    mean: float | None = None

class Found(BaseModel):
    pages: int
    each: list[Page] = []

@worker.job("ocr")
def ocr(task):
    task.write("1.txt", "x")
    if task.volume.i_id == "I0":
        return Found(pages=2, each=[Page(name="བོད་\\0", mean=0.5), Page(name="2")])
    if task.volume.i_id == "I1":
        return Found(pages=0)

worker.main()
"""
TOLD: LiteralString = (
    "SELECT i_id, outcome, failure, result FROM results JOIN mine USING (job_uid) ORDER BY i_id"
)


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    with running_postgres() as server:
        migrate(secret(tmp_path_factory.mktemp("migrating"), server.url(sslmode="disable")))
        yield server


@pytest.fixture(scope="module")
def operator(
    make_operator: MakeOperator, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Operator]:
    mounted = Mounted(tmp_path_factory.mktemp("connections"), catalogue={"kind": "sql"})
    mounted.put("catalogue", url=postgres.url(sslmode="disable"))
    with make_operator(**mounted.settings) as operator:
        yield operator


@pytest.fixture
def tables(postgres: Postgres, space: Space) -> Tables:
    return Tables(postgres, space)


def handler(s3: S3, folder: Path) -> Behaviour:
    """Return a pod whose worker is a real process."""

    def behaviour(pod: PlayedPod) -> None:
        pod.start()
        run = WorkerRun(folder / pod.name, {**pod.environment, **_apart(s3, folder / pod.name)})
        ended = wait_ended(run.start_script(HANDLER))
        pod.end(ended.code, message=json.dumps(run.told) if run.told else "")

    return behaviour


def _apart(s3: S3, folder: Path) -> dict[str, str]:
    """Return what is another one for a process of this machine: it calls nobody."""
    folders = {
        "BEC_WORK_DIR": str(folder / "work"),
        "BEC_TERMINATION_LOG": str(folder / "termination-log"),
    }
    return {**s3.environment(), **folders, "BEC_OPERATOR_URL": "", "BEC_TOKEN_FILE": ""}


def older(result: object) -> Behaviour:
    """Return a plain container that knows of no schema, and has a key of that name."""

    def behaviour(pod: PlayedPod) -> None:
        pod.start()
        said = {"worker_id": "w", "success_timestamp": "2026-11-25T00:00:00Z", "result": result}
        pod.put_marker(json.dumps(said).encode())
        pod.end(0)

    return behaviour


def submit(space: Space, volumes: int, schema: Body | None) -> LiveJob:
    made = job("ocr", space.bucket, numbered(volumes), results=RESULTS, maxFailed="100%")
    made["spec"]["retry"] = {"limit": 1}
    if schema is not None:
        made["spec"]["worker"]["result"] = schema
    return space.submit(made)


def told(live: LiveJob, tables: Tables) -> dict[str, tuple[str, str, object]]:
    live.wait(
        lambda found: (
            (is_true(found, "Complete") or is_true(found, "Failed"))
            and is_true(found, "ResultsDelivered")
        ),
        "all results are delivered",
        60,
    )
    return {i_id: (outcome, failure, result) for i_id, outcome, failure, result in tables.own(TOLD)}


@pytest.mark.usefixtures("operator")
def test_what_handlers_return_is_checked_and_told(
    space: Space, workers: Workers, tables: Tables, s3: S3, tmp_path: Path
) -> None:
    workers.behaviour = for_volumes({"I0", "I1"}, handler(s3, tmp_path), older({"pages": "many"}))

    rows = told(submit(space, 3, SCHEMA), tables)

    page = {"name": "བོད་\ufffd", "mean": 0.5}  # which no jsonb holds otherwise
    assert rows["I0"] == (
        "succeeded", "", {"pages": 2, "each": [page, {"name": "2", "mean": None}]}
    )  # fmt: skip
    assert [rows[each][::2] for each in ("I1", "I2")] == [("failed", None)] * 2
    said = {t["spec"]["volume"]["iId"]: t["status"]["attempts"][0] for t in space.tasks()}
    assert said["I1"]["failure"] == "Terminal"
    assert said["I1"]["message"] == (
        "the result does not fit spec.worker.result: pages: Input should be greater than or equal "
        "to 1"
    )
    assert said["I2"]["failure"] == "MarkerMissing"
    assert said["I2"]["message"].endswith(
        "success.json: the marker's result does not fit spec.worker.result: pages: Input should be "
        "a valid integer"
    )


@pytest.mark.usefixtures("operator")
def test_where_the_job_demands_nothing_anything_goes(
    space: Space, workers: Workers, tables: Tables, s3: S3, tmp_path: Path
) -> None:
    foreign: list[object] = ["good", [1], {"a": "x" * 70_000}]
    space.put(
        "artefacts/ocr/W1-I5-v1/success.json",
        b'{"worker_id": "w", "success_timestamp": 0, "result": {"before": true}}',
    )
    workers.behaviour = for_volumes(
        {"I0", "I2"}, handler(s3, tmp_path), in_turn(*map(older, foreign))
    )

    rows = told(submit(space, 6, None), tables)

    assert {outcome for outcome, _, _ in rows.values()} == {"succeeded"}
    returned = {i_id: result for i_id, (_, _, result) in rows.items() if result is not None}
    assert sorted(returned) == ["I0", "I5"]
    assert returned["I5"] == {"before": True}
    assert rows["I5"][1] == "AlreadyDone"


@pytest.mark.usefixtures("operator", "workers")
def test_a_schema_that_is_not_understood_stops_the_job(space: Space) -> None:
    schema = {"type": "object", "properties": {"pages": {"type": "string", "pattern": "x"}}}
    with pytest.raises(KubeError, match=r"spec\.worker\.result\.type.*Unsupported value"):
        submit(space, 1, {"type": "array"})
    said = submit(space, 1, schema).wait_stalled("InvalidSpec")
    assert "spec.worker.result: at pages: 'pattern' is not understood: leave it out" in said
    assert not space.tasks()
