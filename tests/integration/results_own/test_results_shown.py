"""What runs now, in tables of our own in a real PostgreSQL."""

from dataclasses import replace
from datetime import timedelta

from bec_operator.act.ground.connections import Connection
from bec_operator.decide.volumes.results import Snapshot
from bec_ops.contract.protocol import Progress
from tests.support.own_tables import (
    BEGINNING,
    CALLED,
    JOB,
    attempt,
    delivered,
    result,
    rows,
    show,
    under_way,
    worker,
)
from tests.support.postgres import Postgres

TASK = "SELECT w_id, number, state, progress_done, heartbeat FROM attempts JOIN results USING "
SHOWN = TASK + "(result_id) ORDER BY w_id, number"
WORKING = "SELECT pod, stopped IS NULL, heartbeat FROM workers ORDER BY pod"


def test_what_runs_is_shown_until_it_has_ended(writer: Connection, postgres: Postgres) -> None:
    progress = Progress(done=312, total=480, unit="pages")
    show(writer, under_way(progress=progress, called=CALLED), under_way("W2"))
    heard = BEGINNING + timedelta(seconds=30)
    assert rows(postgres, SHOWN) == [
        ("W1", 1, "running", 312, heard),
        ("W2", 1, "running", None, None),
    ]
    show(writer, under_way())  # by an operator that has heard of nothing yet
    assert rows(postgres, SHOWN) == [("W1", 1, "running", 312, heard)]
    delivered(writer, result(61, attempts=[attempt()]), snapshot=Snapshot())
    assert rows(postgres, SHOWN) == [("W1", 1, "succeeded", 312, heard)]
    assert rows(postgres, "SELECT w_id, outcome, told IS NULL FROM results ORDER BY 1") == [
        ("W1", "succeeded", False),
        ("W2", "waiting", True),
    ]


def test_a_snapshot_changes_nothing_of_what_is_known(
    writer: Connection, postgres: Postgres
) -> None:
    delivered(writer, result(61, attempts=[attempt(1, "Retryable"), attempt(2)]))
    before = rows(postgres, "SELECT to_jsonb(a) FROM attempts a ORDER BY number")
    failed = (attempt(1, "OutOfMemory"),)
    show(writer, under_way(failed=failed, running=attempt(2, end_time=None), called=CALLED))
    assert rows(postgres, "SELECT to_jsonb(a) FROM attempts a ORDER BY number") == before
    show(writer)
    assert len(rows(postgres, SHOWN)) == 2
    assert rows(postgres, "SELECT outcome FROM results") == [("succeeded",)]


def test_attempts_that_have_failed_stay_between_two(writer: Connection, postgres: Postgres) -> None:
    failed = (attempt(1, "OutOfMemory", message="killed"),)
    show(writer, under_way())
    show(writer, under_way(failed=failed, running=None))
    assert rows(postgres, "SELECT number, state, failure, message FROM attempts") == [
        (1, "failed", "OutOfMemory", "killed")
    ]
    show(writer, under_way())  # late: it was made before
    assert rows(postgres, "SELECT state FROM attempts") == [("failed",)]


def test_a_snapshot_is_about_one_job(writer: Connection, postgres: Postgres) -> None:
    other = replace(JOB, uid="job-2", name="other")
    delivered(writer, job=other, snapshot=Snapshot((under_way("W9"),), (worker(9),)))
    show(writer)
    assert rows(postgres, SHOWN) == [("W9", 1, "running", None, None)]
    assert [there for _, there, _ in rows(postgres, WORKING)] == [True]


def test_workers_come_and_go(writer: Connection, postgres: Postgres) -> None:
    show(writer, workers=[worker(1), worker(2, None)])
    heard = BEGINNING + timedelta(seconds=30)
    assert rows(postgres, WORKING) == [("pod-1", True, heard), ("pod-2", True, None)]
    show(writer, workers=[worker(2, CALLED + 60)])
    later = heard + timedelta(seconds=60)
    assert rows(postgres, WORKING) == [("pod-1", False, heard), ("pod-2", True, later)]
    stopped = rows(postgres, "SELECT stopped FROM workers WHERE pod = 'pod-1'")
    show(writer, workers=[worker(2, CALLED)])  # it cannot have been heard earlier
    assert rows(postgres, WORKING)[1] == ("pod-2", True, later)
    assert rows(postgres, "SELECT stopped FROM workers WHERE pod = 'pod-1'") == stopped
    show(writer, workers=[worker(1), worker(2)])
    assert [there for _, there, _ in rows(postgres, WORKING)] == [True, True]
