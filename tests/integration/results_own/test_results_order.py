"""Results that come late, twice, or at once, in a real PostgreSQL: the latest counts, once."""

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from bec_operator.act.ground.connections import Connection
from bec_operator.decide.volumes.results import Result
from tests.support.own_tables import (
    JOB,
    at,
    attempt,
    delivered,
    emptied,
    everything,
    made,
    result,
    rows,
)
from tests.support.postgres import Postgres
from tests.support.waiting import until

OUTCOMES = "SELECT w_id, i_version, outcome, failure FROM results ORDER BY w_id, i_version"
ATTEMPTS = "SELECT task_uid, number, state, failure FROM attempts ORDER BY task_uid, number"
NEWEST = "SELECT newest_version FROM volumes"


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


def test_what_is_told_later_of_an_attempt(writer: Connection, postgres: Postgres) -> None:
    earlier = result(10, outcome="failed", attempts=[attempt(1, "Terminal")])
    later = result(20, outcome="failed", attempts=[attempt(1, "Terminal", log="s3://logs/1")])
    seen = []
    for each in (earlier, later, earlier):
        delivered(writer, each)
        seen += rows(postgres, "SELECT log FROM attempts")
    assert seen == [("",), ("s3://logs/1",), ("s3://logs/1",)]


def test_the_newest_version(writer: Connection, postgres: Postgres) -> None:
    """It is the one that came last, whatever is done of an older one later."""
    delivered(writer, result(10, i_version="b"))
    delivered(writer, result(20, i_version="a"))
    assert rows(postgres, NEWEST) == [("a",)]
    delivered(writer, result(30, i_version="b", outcome="waiting"), result(40, i_version="b"))
    assert rows(postgres, NEWEST) == [("a",)]


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


def test_a_newer_version_that_another_writes_meanwhile(
    writer: Connection, postgres: Postgres
) -> None:
    """It was not there yet when this one looked which version is the newest."""
    delivered(writer, result(10, i_version="a"))
    waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    with ThreadPoolExecutor(1) as threads:
        with postgres.admin() as admin, admin.transaction():
            admin.execute(
                "UPDATE bec_operator.volumes SET newest_version = 'c', newest_since = %s", [at(30)]
            )
            done = threads.submit(delivered, writer, result(20, i_version="b"))
            until(lambda: rows(postgres, waits), "it waits")
        assert not done.result()
    assert rows(postgres, NEWEST) == [("c",)]


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


@pytest.mark.parametrize("together", [True, False])
def test_a_volume_whose_version_is_found_later_stays_one_row(
    writer: Connection, postgres: Postgres, together: bool
) -> None:
    job = replace(JOB, finds_versions=True)
    missing = result(10, outcome="failed", failure="VersionMissing", task_uid="")
    opened = result(20, outcome="waiting", task_uid="")
    done = result(30, i_version="60bd2f", attempts=[attempt(1)])
    delivered(writer, missing, job=job)
    for batch in [(opened, done)] if together else [(opened,), (done,)]:
        delivered(writer, *batch, job=job)
    assert rows(postgres, OUTCOMES) == [("W1", "60bd2f", "succeeded", "")]
