"""Results in a database, from the Job to the rows: each once, whatever ends or is away between."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest

from bec_operator.act.connections.results.own.migrating import migrate
from bec_ops.contract.volume import Volume
from tests.integration.conftest import MakeOperator
from tests.support.bec_tables import TABLES
from tests.support.behaviours import fail, for_volumes, hang, in_turn, succeed
from tests.support.connections import Mounted
from tests.support.databases import secret
from tests.support.jobs import LiveJob, condition, is_true, job, numbered
from tests.support.kube import Body
from tests.support.operator_process import Operator
from tests.support.postgres import Postgres, running_postgres
from tests.support.space import Space
from tests.support.told_tables import Tables
from tests.support.waiting import until
from tests.support.workers import Workers

OWN: Body = {"sql": {"connection": "catalogue"}}
BEC: Body = {"sql": {"connection": "bec", "schema": "bec"}}
OUTBOX = "artefacts/ocr/_job/outbox-"


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    with running_postgres() as server:
        server.run("CREATE DATABASE bec")
        with psycopg.connect(server.url(database="bec"), autocommit=True) as bec:
            for statement in TABLES:
                bec.execute(statement)
        folder = tmp_path_factory.mktemp("migrating")
        migrate(secret(folder, server.url(sslmode="disable")))
        yield server


@pytest.fixture(scope="module")
def mounted(tmp_path_factory: pytest.TempPathFactory) -> Mounted:
    kinds = {"kind": "sql"}
    return Mounted(tmp_path_factory.mktemp("connections"), catalogue=kinds, bec=kinds, bare=kinds)


@pytest.fixture(scope="module")
def operator(make_operator: MakeOperator, mounted: Mounted) -> Iterator[Operator]:
    with make_operator(show_seconds=1.0, **mounted.settings) as operator:
        yield operator


@pytest.fixture(autouse=True)
def connected(mounted: Mounted, postgres: Postgres, operator: Operator) -> Iterator[None]:
    mounted.put("catalogue", url=postgres.url(sslmode="disable"))
    mounted.put("bec", url=postgres.url(database="bec", sslmode="disable"))
    yield
    assert operator.running


@pytest.fixture
def tables(postgres: Postgres, space: Space) -> Tables:
    return Tables(postgres, space)


def has_all(live: LiveJob, timeout: float = 30.0) -> Body:
    return live.wait(
        lambda found: is_true(found, "Complete") and is_true(found, "ResultsDelivered"),
        "all results are delivered",
        timeout,
    )


RESULTS: LiteralString = (
    "SELECT i_id, outcome, failure FROM results JOIN mine USING (job_uid) ORDER BY i_id"
)
ATTEMPTS: LiteralString = (
    "SELECT i_id, number, state, attempts.failure FROM attempts JOIN results USING (result_id) "
    "JOIN mine USING (job_uid) ORDER BY i_id, number"
)


def mixed(workers: Workers) -> None:
    """Let one volume fail for good, and another one once."""
    again = for_volumes({"I1"}, in_turn(fail(75, "again"), succeed))
    workers.behaviour = for_volumes({"I0"}, fail(65, "no pages"), again)


def test_each_volume_has_its_row_and_the_job_its_end(
    space: Space, workers: Workers, tables: Tables
) -> None:
    mixed(workers)
    live = space.submit(job("ocr", space.bucket, numbered(3), results=OWN, maxFailed=1))

    has_all(live)

    assert not space.stored(OUTBOX)
    assert tables.own(RESULTS) == [
        ("I0", "failed", "Terminal"),
        ("I1", "succeeded", ""),
        ("I2", "succeeded", ""),
    ]
    assert tables.own(ATTEMPTS) == [
        ("I0", 1, "failed", "Terminal"),
        ("I1", 1, "failed", "Retryable"),
        ("I1", 2, "succeeded", ""),
        ("I2", 1, "succeeded", ""),
    ]
    ((phase, succeeded, failed),) = tables.own(
        "SELECT phase, succeeded, failed FROM jobs JOIN mine USING (job_uid)"
    )
    assert (phase, succeeded, failed) == ("Complete", 2, 1)


def test_what_runs_is_shown_until_it_ends(space: Space, workers: Workers, tables: Tables) -> None:
    workers.behaviour = hang
    live = space.submit(job("ocr", space.bucket, numbered(2), results=OWN))
    shown: LiteralString = (
        "SELECT r.i_id, a.state FROM attempts a JOIN results r USING (result_id) "
        "JOIN mine USING (job_uid) ORDER BY 1"
    )
    until(lambda: tables.own(shown) == [("I0", "running"), ("I1", "running")], "both are shown")
    there: LiteralString = (
        "SELECT count(*) FILTER (WHERE stopped IS NULL), count(*) FROM workers JOIN mine "
        "USING (job_uid)"
    )
    assert tables.own(there) == [(2, 2)]
    running: LiteralString = "SELECT running FROM jobs JOIN mine USING (job_uid)"
    until(lambda: tables.own(running) == [(2,)], "the job's row says so")

    workers.behaviour = succeed
    live.patch(suspend=True, suspendMode="Stop")
    until(lambda: tables.own(there) == [(0, 2)], "both are gone")
    live.patch(suspend=False)

    has_all(live)
    assert tables.own(RESULTS) == [("I0", "succeeded", ""), ("I1", "succeeded", "")]
    assert {state for _, state in tables.own(shown)} == {"failed", "succeeded"}


def test_a_database_that_is_away_holds_up_nothing_and_loses_nothing(
    space: Space,
    workers: Workers,
    tables: Tables,
    mounted: Mounted,
    postgres: Postgres,
    operator: Operator,
) -> None:
    mixed(workers)
    mounted.put("catalogue", url=postgres.url("nobody", "wrong", sslmode="disable"))
    live = space.submit(job("ocr", space.bucket, numbered(3), results=OWN, maxFailed=1))

    live.wait_complete()
    said = live.wait(
        lambda found: condition(found, "ResultsDelivered")["reason"] == "ConnectionUnavailable",
        "what is wrong",
    )
    message = condition(said, "ResultsDelivered")["message"]
    assert "for sql: spec.results.sql: connection catalogue: there is no way" in message
    assert "wrong" not in message
    assert not tables.own("SELECT 1 FROM jobs JOIN mine USING (job_uid)")
    operator.kill()
    operator.start()
    mounted.put("catalogue", url=postgres.url(sslmode="disable"))

    has_all(live, timeout=90)
    assert tables.own(ATTEMPTS) == [
        ("I0", 1, "failed", "Terminal"),
        ("I1", 1, "failed", "Retryable"),
        ("I1", 2, "succeeded", ""),
        ("I2", 1, "succeeded", ""),
    ]
    assert not space.stored(OUTBOX)


@pytest.mark.usefixtures("workers")
def test_a_database_without_the_tables_is_told_what_to_do(
    space: Space, mounted: Mounted, postgres: Postgres, tmp_path: Path
) -> None:
    postgres.run("CREATE DATABASE bare")
    bare = postgres.url(database="bare", sslmode="disable")
    mounted.put("bare", url=bare)
    live = space.submit(
        job("ocr", space.bucket, numbered(1), results={"sql": {"connection": "bare"}})
    )
    found = live.wait(
        lambda found: condition(found, "ResultsDelivered")["reason"] == "ResultsRefused",
        "what to do",
    )
    assert "bec-operator migrate" in condition(found, "ResultsDelivered")["message"]
    assert not is_true(found, "Stalled")

    migrate(secret(tmp_path, bare))

    has_all(live, timeout=90)


def test_the_tables_of_a_bec_installation_are_written(
    space: Space, workers: Workers, tables: Tables
) -> None:
    mixed(workers)
    name = space.namespace
    live = space.submit(job("ocr", space.bucket, numbered(3), jobId=name, results=BEC, maxFailed=1))

    found = has_all(live)

    assert condition(found, "ResultsDelivered")["reason"] == "Delivered"
    assert tables.bec(
        "SELECT bdrc_i_id, status::text, attempt, worker_name <> '' "
        "FROM task_executions t JOIN volumes v ON v.id = volume_id JOIN jobs j ON j.id = job_id "
        "LEFT JOIN workers USING (worker_id) WHERE j.name = %s ORDER BY 1"
    ) == [
        ("I0", "terminal_failed", 1, True),
        ("I1", "done", 2, True),
        ("I2", "done", 1, True),
    ]


def test_what_does_not_fit_is_told_and_holds_up_no_other(
    space: Space, workers: Workers, tables: Tables
) -> None:
    long = "I" * 33
    live = space.submit(
        job(
            "ocr",
            space.bucket,
            [*numbered(2), Volume("W1", long)],
            jobId=space.namespace,
            results=BEC,
        )
    )

    found = has_all(live)

    said = condition(found, "ResultsDelivered")
    assert said["reason"] == "ResultsLeftOut"
    assert said["message"].startswith("1 result could not be told; the first: ")
    assert long in said["message"]
    (event,) = space.events("ocr", "ResultsLeftOut")
    assert event["type"] == "Warning"
    assert (
        len(
            tables.bec(
                "SELECT 1 FROM task_executions t JOIN jobs j ON j.id = job_id WHERE j.name = %s"
            )
        )
        == 2
    )
    workers.runs.check_each_ran_once(3)


@pytest.mark.parametrize("results", [OWN, BEC], ids=["own", "bec"])
def test_of_a_job_that_is_deleted_nothing_is_said_to_run(
    space: Space, workers: Workers, tables: Tables, results: Body
) -> None:
    workers.behaviour = for_volumes({"I0"}, succeed, hang)
    made = job("ocr", space.bucket, numbered(2), jobId=space.namespace, results=results)
    live = space.submit(made)
    state: LiteralString = (
        "SELECT i_id, outcome, (SELECT count(*) FROM attempts a WHERE a.result_id = r.result_id "
        "AND state = 'running') FROM results r JOIN mine USING (job_uid) ORDER BY 1"
    )
    bec: LiteralString = (
        "SELECT bdrc_i_id, status::text, 0 FROM task_executions t "
        "JOIN volumes v ON v.id = volume_id JOIN jobs j ON j.id = job_id "
        "WHERE j.name = %s ORDER BY 1"
    )
    own = results is OWN

    def seen() -> list[tuple[Any, ...]]:
        return tables.own(state) if own else tables.bec(bec)

    until(lambda: [row[1] for row in seen()][:1] == ["succeeded" if own else "done"], "one is done")
    until(lambda: len(seen()) == 2, "the other runs")
    live.delete()

    ends = "waiting" if own else "retryable_failed"
    until(lambda: seen()[1:] == [("I1", ends, 0)], "it does not run any more")
    phase: LiteralString = "SELECT phase, completed IS NULL FROM jobs JOIN mine USING (job_uid)"
    assert not own or tables.own(phase) == [("Deleted", False)]
