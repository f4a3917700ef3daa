"""Results in tables of our own, in a real PostgreSQL: each counts once, and the latest wins."""

import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from bec_operator.act.ground.connections import Connection
from bec_operator.decide.volumes.results import Result
from tests.support.own_tables import (
    BEGINNING,
    JOB,
    attempt,
    delivered,
    emptied,
    everything,
    made,
    prepared,
    result,
    rows,
)
from tests.support.postgres import Postgres, running_postgres

MANY = 5000
OUTCOMES = "SELECT w_id, i_version, outcome, failure FROM results ORDER BY w_id, i_version"
ATTEMPTS = "SELECT task_uid, number, state, failure FROM attempts ORDER BY task_uid, number"
NEWEST = "SELECT newest_version FROM volumes"


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as postgres:
        yield postgres


@pytest.fixture(scope="module")
def role(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Connection:
    return prepared(postgres, tmp_path_factory.mktemp("connections"))


@pytest.fixture
def writer(role: Connection, postgres: Postgres) -> Connection:
    emptied(postgres)
    return role


def test_all_of_a_result_is_there(writer: Connection, postgres: Postgres) -> None:
    marker = made(480, errors=2, duration_ms=1500.5, artefacts=3, artefact_bytes=2**40, written=1e9)
    tries = [
        attempt(1, "OutOfMemory", exit_code=137, message="killed", log="s3://logs/1", repeats=2),
        attempt(2, end=130),
    ]
    told = result(
        131, index=7, i_version="a1b2c3", message="good", output="s3://a/b", attempts=tries
    ).model_copy(update={"made": marker, "task": "kangyur-7"})
    assert delivered(writer, told) == []
    (found,) = rows(
        postgres,
        "SELECT place, i_version, outcome, message, output, task, items, errors, duration_ms, "
        "artefacts, artefact_bytes, written::text, told::text, seen = told FROM results",
    )
    assert found[:6] == (7, "a1b2c3", "succeeded", "good", "s3://a/b", "kangyur-7")
    assert found[6:11] == (480, 2, 1500.5, 3, 2**40)
    assert found[11:] == ("2001-09-09 01:46:40+00", "2026-05-01 08:02:11+00", True)
    first, second = rows(
        postgres,
        "SELECT number, state, failure, message, repeats, pod, pod_uid, node, exit_code, log, "
        "started, ended FROM attempts ORDER BY number",
    )
    assert first[:5] == (1, "failed", "OutOfMemory", "killed", 2)
    assert first[5:10] == ("pod-1", "uid-of-pod-1", "node-a", 137, "s3://logs/1")
    assert first[10] == BEGINNING
    assert second[:5] == (2, "succeeded", "", "", 0)
    assert (second[11] - second[10]).total_seconds() == 60


def test_the_same_again_changes_nothing(writer: Connection, postgres: Postgres) -> None:
    batch = [
        result(n, f"W{n}", attempts=[attempt(1, "Retryable"), attempt(2)]) for n in range(1, 20)
    ]
    delivered(writer, *batch)
    before, written = everything(postgres), rows(postgres, "SELECT xmin FROM results")
    delivered(writer, *batch)
    assert everything(postgres) == before
    assert rows(postgres, "SELECT xmin FROM results") == written  # not even rewritten
    assert len(before["attempts"]) == 2 * len(before["results"]) == 38


def test_an_older_result_does_not_win(writer: Connection, postgres: Postgres) -> None:
    older = result(10, outcome="failed", failure="Terminal", attempts=[attempt(1, "Terminal")])
    newer = result(20, task_uid="task-2", attempts=[attempt(1)])
    delivered(writer, newer)
    delivered(writer, older)
    assert rows(postgres, OUTCOMES) == [("W1", "", "succeeded", "")]
    assert rows(postgres, ATTEMPTS) == [
        ("task-1", 1, "failed", "Terminal"),
        ("task-2", 1, "succeeded", ""),
    ]


def test_the_latest_of_a_batch_counts(writer: Connection, postgres: Postgres) -> None:
    """Within one second the order tells."""
    delivered(
        writer,
        result(10, outcome="failed", failure="Terminal", attempts=[attempt(1, "Terminal")]),
        result(11, "W2"),
        result(11, outcome="waiting", task_uid="", attempts=[]),
        result(11, task_uid="task-2", attempts=[attempt(1)], made=made(3)),
    )
    assert rows(postgres, OUTCOMES) == [("W1", "", "succeeded", ""), ("W2", "", "succeeded", "")]
    assert [state for _, _, state, _ in rows(postgres, ATTEMPTS)] == ["failed", "succeeded"]
    assert rows(postgres, "SELECT told - seen FROM results WHERE w_id = 'W1'")[0][0].seconds == 1


def test_a_volume_that_is_opened_again(writer: Connection, postgres: Postgres) -> None:
    delivered(writer, result(10, attempts=[attempt(1)], made=made(480), output="s3://a/b"))
    delivered(writer, result(20, outcome="waiting", task_uid=""))
    assert rows(postgres, "SELECT outcome, items FROM results") == [("waiting", None)]
    redone = [attempt(1, "Terminal", end=90)]
    delivered(
        writer,
        result(30, outcome="failed", failure="Terminal", task_uid="task-2", attempts=redone),
    )
    assert rows(postgres, OUTCOMES) == [("W1", "", "failed", "Terminal")]
    assert rows(postgres, ATTEMPTS) == [
        ("task-1", 1, "succeeded", ""),
        ("task-2", 1, "failed", "Terminal"),
    ]


def test_a_volume_that_was_done_before(writer: Connection, postgres: Postgres) -> None:
    delivered(writer, result(10, failure="AlreadyDone", task_uid="", made=made(480)))
    assert rows(postgres, OUTCOMES) == [("W1", "", "succeeded", "AlreadyDone")]
    assert rows(postgres, ATTEMPTS) == []


def test_the_newest_version(writer: Connection, postgres: Postgres) -> None:
    """It is the one that came last, whatever is done of an older one later."""
    delivered(writer, result(10, i_version="b"))
    delivered(writer, result(20, i_version="a"))
    assert rows(postgres, NEWEST) == [("a",)]
    delivered(writer, result(30, i_version="b", outcome="waiting"), result(40, i_version="b"))
    assert rows(postgres, NEWEST) == [("a",)]


def test_many_results_at_once(writer: Connection, postgres: Postgres) -> None:
    batch = [
        result(n, f"W{n}", index=n, attempts=[attempt(1)], made=made(480)) for n in range(MANY)
    ]
    begun, used = time.monotonic(), time.thread_time()
    assert delivered(writer, *batch) == []
    took, used = time.monotonic() - begun, time.thread_time() - used
    counted = "SELECT (SELECT count(*) FROM results), (SELECT count(*) FROM attempts)"
    assert rows(postgres, counted) == [(MANY, MANY)]
    print(f"{used / MANY * 1e6:.1f} µs of CPU a result, {took:.2f} s in all")  # noqa: T201
    assert used / MANY < 100e-6


def test_characters_that_postgresql_refuses(writer: Connection, postgres: Postgres) -> None:
    wrong = "no\0t \ud800 good"
    said = delivered(
        writer,
        result(1, message=wrong, attempts=[attempt(1, "Terminal", message=wrong, pod="p\0")]),
        result(2, "W\0", "I\ud800"),
        result(3, "W3", message="a path: C:\\u0000"),
    )
    assert rows(postgres, "SELECT message FROM results ORDER BY told") == [
        ("no\ufffdt \ufffd good",),
        ("a path: C:\\u0000",),
    ]
    assert rows(postgres, "SELECT message, pod FROM attempts") == [
        ("no\ufffdt \ufffd good", "p\ufffd")
    ]
    (left_out,) = said
    assert left_out == (
        "connection catalogue: volume W\ufffd I\ufffd is left out of the tables: PostgreSQL takes "
        "no U+0000 and no half characters; correct it"
    )


def test_numbers_and_moments_out_of_range(writer: Connection, postgres: Postgres) -> None:
    wrong = made(2**63, errors=-1, duration_ms=float("inf"), artefacts=2**80, written=1e300)
    odd = attempt(1, exit_code=2**70, start_time="9999-12-31T23:59:59-14:00", end_time="soon")
    assert delivered(writer, result(1, made=wrong, attempts=[odd], index=2**64)) == []
    null = "SELECT num_nonnulls(place, items, errors, duration_ms, artefacts, written) FROM results"
    assert rows(postgres, null) == [(0,)]
    assert rows(postgres, "SELECT num_nonnulls(exit_code, started, ended) FROM attempts") == [(0,)]


def test_what_has_no_place_in_the_tables(writer: Connection, postgres: Postgres) -> None:
    said = delivered(
        writer,
        result(1, "W" * 3000),
        result(1, "W2").model_copy(update={"told": "soon"}),
        result(1, "W3"),
    )
    assert [each.partition("is left out of the tables: ")[2] for each in said] == [
        "an id has at most 600 characters here; shorten it",
        "nobody can read when it became known",
    ]
    assert rows(postgres, OUTCOMES) == [("W3", "", "succeeded", "")]


def test_jobs_over_the_same_volumes_at_once(writer: Connection, postgres: Postgres) -> None:
    """Each begins at another end; none may wait for one that waits for it."""

    def work(number: int) -> None:
        job = replace(JOB, uid=f"job-{number}")
        for told in range(5):
            version = f"{told}-{number}"  # each changes the row of the volume
            batch = [result(told, f"W{n}", i_version=version) for n in range(200)]
            delivered(writer, *batch[:: 1 if number % 2 else -1], job=job)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(4)))
    assert rows(postgres, "SELECT count(*) FROM results") == [(4 * 5 * 200,)]
    assert rows(postgres, "SELECT DISTINCT newest_version FROM volumes") == [("4-3",)]


def random_result(told: int, chance: random.Random) -> Result:
    w_id, redo = f"W{chance.randrange(6)}", chance.randrange(2)
    tries = [attempt(n, "Retryable", end=told) for n in range(1, chance.randrange(1, 4))]
    outcome = chance.choice(["succeeded", "failed", "waiting", "skipped"])
    return result(
        told // 2,  # two at the same moment
        w_id,
        i_version=chance.choice("ab"),
        outcome=outcome,
        task_uid=f"task-{told}-{redo}",
        attempts=tries if outcome != "skipped" else [],
    )


@pytest.mark.parametrize("seed", range(12))
def test_batches_that_come_again_and_again(
    writer: Connection, postgres: Postgres, seed: int
) -> None:
    """Whatever is lost, cut or sent twice: as if all had come once, in order."""
    chance = random.Random(seed)
    all_of_them = [random_result(told, chance) for told in range(40)]
    for begin in range(0, len(all_of_them), 3):
        delivered(writer, *all_of_them[begin : begin + 3])
    expected = everything(postgres)
    emptied(postgres)
    known = 0  # to have arrived
    while known < len(all_of_them):
        end = min(len(all_of_them), known + chance.randrange(1, 15))
        delivered(writer, *all_of_them[known:end])
        if chance.random() < 0.6:  # else the answer is lost
            known = end
    assert everything(postgres) == expected
