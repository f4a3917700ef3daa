"""Results in tables of our own, in a real PostgreSQL: all that they say is there."""

import time

from bec_operator.act.ground.connections import Connection
from tests.support.own_tables import (
    BEGINNING,
    attempt,
    delivered,
    made,
    result,
    rows,
)
from tests.support.postgres import Postgres

MANY = 5000
OUTCOMES = "SELECT w_id, i_version, outcome, failure FROM results ORDER BY w_id, i_version"
ATTEMPTS = "SELECT task_uid, number, state, failure FROM attempts ORDER BY task_uid, number"


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
