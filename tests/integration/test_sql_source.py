"""A Job over a query of a real PostgreSQL: it grows, the server goes and comes, faults are told."""

import signal
from collections.abc import Iterator

import pytest

from bec_ops.contract.volume import Volume
from tests.integration.conftest import MakeOperator
from tests.support.behaviours import hang
from tests.support.connections import Mounted
from tests.support.jobs import LiveJob, condition, counts, job
from tests.support.kube import Body
from tests.support.operator_process import Operator
from tests.support.postgres import Postgres, running_postgres
from tests.support.space import Space
from tests.support.workers import Workers

QUERY = "SELECT w_id, i_id FROM volumes WHERE collection = :collection ORDER BY w_id, i_id"
BY_PAIRS = "SELECT w_id, i_id, i_version FROM volumes WHERE (w_id, i_id) IN :volumes"


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as server:
        server.run(
            "CREATE TABLE volumes (w_id text, i_id text, i_version text, collection text)",
            "CREATE ROLE reader LOGIN PASSWORD 'right@9'",
            "GRANT SELECT ON volumes TO reader",
        )
        yield server


@pytest.fixture(scope="module")
def mounted(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> Mounted:
    kinds = {"kind": "sql"}
    made = Mounted(
        tmp_path_factory.mktemp("connections"),
        catalogue=kinds,
        wrong=kinds,
        others={**kinds, "namespaces": ["other"]},
    )
    made.put("catalogue", url=postgres.url("reader", "right@9", sslmode="disable"))
    made.put("wrong", url=postgres.url("reader", "wrong@9", sslmode="disable"))
    return made


@pytest.fixture(scope="module")
def operator(make_operator: MakeOperator, mounted: Mounted) -> Iterator[Operator]:
    with make_operator(list_every=1.0, **mounted.settings) as operator:
        yield operator
        assert "right@9" not in operator.text()
        assert "right%409" not in operator.text()


def source(space: Space, connection: str = "catalogue", query: str = QUERY) -> Body:
    sql: Body = {"connection": connection, "query": query}
    if ":collection" in query:
        sql |= {"parameters": {"collection": space.namespace}}
    return {"sql": sql}


def add(postgres: Postgres, space: Space, *volumes: Volume) -> None:
    with postgres.admin() as connection:
        for volume in volumes:
            connection.execute(
                "INSERT INTO volumes VALUES (%s, %s, %s, %s)", (*volume, space.namespace)
            )


def submit(space: Space, **more: object) -> LiveJob:
    return space.submit(job("ocr", space.bucket, source(space), **more))


@pytest.mark.usefixtures("operator")
def test_rows_are_volumes_and_further_rows_further_ones(
    space: Space, workers: Workers, postgres: Postgres
) -> None:
    live = submit(space)
    assert "has no row for it" in live.wait_stalled("InvalidManifest")

    workers.behaviour = hang
    add(postgres, space, Volume("W2", "I1"), Volume("W1", "I2"))
    live.wait_counts(total=2, running=2)
    add(postgres, space, Volume("W0", "I9"))
    live.wait_counts(total=3, running=3)

    assert space.frozen("ocr") == [Volume("W1", "I2"), Volume("W2", "I1"), Volume("W0", "I9")]
    workers.release()
    assert counts(live.wait_complete()) == {"total": 3, "succeeded": 3}
    workers.runs.check_each_ran_once(3)


@pytest.mark.usefixtures("operator")
def test_a_server_that_goes_and_comes_holds_up_nothing_that_runs(
    space: Space, workers: Workers, postgres: Postgres
) -> None:
    add(postgres, space, Volume("W1", "I1"))
    workers.behaviour = hang
    live = submit(space)
    workers.running(1)

    postgres.stop(signal.SIGINT)
    try:
        told = "the list cannot be read now, the job goes on with what it has"
        live.wait(lambda found: told in condition(found, "Ready")["message"], told)
        workers.release()
        live.wait_counts(succeeded=1)
    finally:
        postgres.start()
    assert counts(live.wait_complete(timeout=60)) == {"total": 1, "succeeded": 1}


@pytest.mark.usefixtures("operator")
def test_versions_stand_in_the_database(space: Space, workers: Workers, postgres: Postgres) -> None:
    add(postgres, space, Volume("W1", "I1", "v7"), Volume("W1", "I2", "v8"))
    with postgres.admin() as connection:
        connection.execute("INSERT INTO volumes VALUES ('W1', 'I3', NULL, %s)", (space.namespace,))
    versions = {"versions": {"sql": {"connection": "catalogue", "query": BY_PAIRS}}}
    live = space.submit(job("ocr", space.bucket, {**source(space), **versions}, maxFailed=1))
    found = live.wait_complete()
    assert counts(found) == {"total": 3, "succeeded": 2, "failed": 1}
    assert space.frozen("ocr") == [
        Volume("W1", "I1", "v7"),
        Volume("W1", "I2", "v8"),
        Volume("W1", "I3"),
    ]
    (line,) = space.reported("ocr")
    assert "gives no version for it" in line["message"]

    with postgres.admin() as connection:
        connection.execute(
            "UPDATE volumes SET i_version = 'v9' WHERE collection = %s AND i_id = 'I3'",
            (space.namespace,),
        )
    live.patch(retryFailedAt="2026-11-01T00:00:00Z")
    live.wait_counts(succeeded=3)
    assert space.frozen("ocr")[2] == Volume("W1", "I3", "v9")
    workers.runs.check_each_ran_once(3)


@pytest.mark.usefixtures("operator", "workers")
@pytest.mark.parametrize(
    ("connection", "query", "reason", "said"),
    [
        ("nowhere", QUERY, "ConnectionUnknown", "there is no sql connection nowhere"),
        ("others", QUERY, "ConnectionForbidden", "is not for namespace"),
        ("wrong", QUERY, "ConnectionUnavailable", "password authentication failed"),
        ("catalogue", "SELECT w_id FROM volumes", "InvalidManifest", "i_id"),
        ("catalogue", "SELECT w_id, i_id FROM nothing", "QueryRefused", "nothing"),
        (
            "catalogue",
            "WITH gone AS (DELETE FROM volumes RETURNING *) SELECT w_id, i_id FROM gone",
            "QueryRefused",
            "connection catalogue",
        ),
        ("catalogue", "SELECT 'W1' AS w_id, NULL AS i_id", "InvalidManifest", "NULL"),
        (
            "catalogue",
            "SELECT 'W1' AS w_id, 'I1' AS i_id FROM generate_series(1, 2)",
            "InvalidManifest",
            "DISTINCT",
        ),
    ],
)
def test_what_is_wrong_is_said_and_concerns_no_other_job(
    space: Space, postgres: Postgres, connection: str, query: str, reason: str, said: str
) -> None:
    add(postgres, space, Volume("W1", "I1"))
    wrong = space.submit(job("wrong", space.bucket, source(space, connection, query)))
    right = submit(space)

    assert counts(right.wait_complete()) == {"total": 1, "succeeded": 1}
    assert said in wrong.wait_stalled(reason)
    with postgres.admin() as admin:
        left = admin.execute(
            "SELECT count(*) FROM volumes WHERE collection = %s", (space.namespace,)
        ).fetchone()
    assert left == (1,)


@pytest.mark.usefixtures("operator")
@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("DELETE FROM volumes", "a query is one that reads"),
        ("SELECT 1; DROP TABLE volumes", "without a semicolon"),
    ],
)
def test_what_is_no_query_is_refused_at_once(space: Space, query: str, said: str) -> None:
    with pytest.raises(Exception, match=said):
        space.submit(job("ocr", space.bucket, source(space, query=query)))


@pytest.mark.usefixtures("operator", "workers")
def test_a_new_password_is_used_at_once(space: Space, postgres: Postgres, mounted: Mounted) -> None:
    add(postgres, space, Volume("W1", "I1"))
    live = space.submit(job("ocr", space.bucket, source(space, "wrong")))
    live.wait_stalled("ConnectionUnavailable")
    mounted.put("wrong", url=postgres.url("reader", "right@9", sslmode="disable"))
    assert counts(live.wait_complete()) == {"total": 1, "succeeded": 1}
