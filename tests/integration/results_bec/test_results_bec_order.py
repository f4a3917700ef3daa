"""Results that come late, again, or beside those of others, in the tables of BEC."""

import time
from datetime import UTC, datetime

from bec_ops.contract.volume import Volume
from tests.support.bec_results import (
    ENDED,
    T0,
    VOLUME,
    Installation,
    attempt,
    job_told,
    made,
    result,
    running,
    worker,
)
from tests.support.postgres import Postgres


def test_what_was_not_even_tried_replaces_no_success(bec: Installation) -> None:
    bec.write(result(made=made()))
    bec.write(result(outcome="failed", failure="DependencyFailed", attempts=[], told=99))
    assert [row.status for row in bec.tools.tasks("ocrv1")] == ["done"]


def test_an_older_result_does_not_win(bec: Installation) -> None:
    failed = result(outcome="failed", failure="Retryable")
    redone = result(told=200, made=made(), attempts=[attempt(1, 100, 190, pod="pod-7")])
    bec.write(redone)
    bec.write(failed)
    assert [row.status for row in bec.tools.tasks("ocrv1")] == ["done"]
    bec.show(running(now=attempt(1, 300, pod="pod-8")))
    bec.write(redone)
    assert [row.status for row in bec.tools.tasks("ocrv1")] == ["running"]


def test_a_clock_of_a_node_that_is_ahead_holds_back_nothing(bec: Installation) -> None:
    ahead = attempt(1, 7200, 7260)
    bec.show(running(now=attempt(1, 7200)))
    bec.write(result(outcome="failed", failure="Retryable", attempts=[ahead]))
    assert [row.status for row in bec.tools.tasks("ocrv1")] == ["terminal_failed"]
    bec.show(running(now=attempt(2, 7300)))
    bec.write(result(told=90, made=made(), attempts=[ahead, attempt(3, 85, 90)]))
    assert [row.status for row in bec.tools.tasks("ocrv1")] == ["done"]


def test_an_attempt_that_seems_to_end_tomorrow_holds_back_nothing(bec: Installation) -> None:
    now = (datetime.now(UTC) - T0).total_seconds()
    ahead = attempt(1, now + 80_000, now + 80_001)
    other = Volume("W1", "I1", "abcdef")
    bec.show(running(VOLUME, ahead), running(other, now=attempt(1, now + 80_000)))
    bec.job = job_told(status=ENDED)
    bec.show()
    assert [row.status for row in bec.tools.tasks("ocrv1")] == ["retryable_failed"] * 2
    attempts = [attempt(2, now, now + 50)]
    bec.write(*(result(each, told=now + 60, attempts=attempts) for each in (VOLUME, other)))
    assert [row.status for row in bec.tools.tasks("ocrv1")] == ["done"] * 2


def test_an_attempt_that_has_ended_does_not_run_again(bec: Installation) -> None:
    bec.write(result(made=made()))
    bec.show(running(now=attempt(1)))
    assert [row.status for row in bec.tools.tasks("ocrv1")] == ["done"]


def test_in_a_batch_the_last_counts(bec: Installation) -> None:
    bec.write(
        result(outcome="failed", failure="Terminal"),
        result(outcome="waiting", attempts=[]),
        result(told=90, made=made(), attempts=[attempt(1, 70, 80, pod="pod-9")]),
        result(outcome="waiting", attempts=[]),
        result(told=99, failure="AlreadyDone", attempts=[], made=made(12)),
    )
    [row] = bec.tools.tasks("ocrv1")
    assert (row.status, row.worker, row.images) == ("done", "pod-9", 100)
    assert bec.tools.volume("W22084", "I0886").images == 12


def test_what_an_ended_job_leaves_running_is_given_up(bec: Installation) -> None:
    bec.write(result(made=made()))
    new = Volume("W1", "I1", "abcdef")
    for status, seen in ((None, ["running"] * 2), (ENDED, ["retryable_failed", "done"])):
        if status is None:
            bec.show(running(now=attempt(2, 70)), running(new, now=attempt(1, 70, pod="pod-3")))
            bec.show()
        else:
            bec.job = job_told(status=status)
            bec.show()
        assert [row.status for row in bec.tools.tasks("ocrv1")] == seen
    # A result that was still on its way counts.
    bec.write(result(new, told=80, made=made(), attempts=[attempt(1, 70, 79, pod="pod-3")]))
    assert [row.status for row in bec.tools.tasks("ocrv1")] == ["done"] * 2


def test_rows_of_an_installation_s_own_workers_are_left_alone(
    bec: Installation, postgres: Postgres
) -> None:
    postgres.run(
        "INSERT INTO jobs (name, config, queue_url, dlq_url) VALUES ('ocrv1', '{}', 'q', 'd')",
        "INSERT INTO workers (worker_name) VALUES ('i-1')",
        "INSERT INTO volumes (bdrc_w_id, bdrc_i_id, last_s3_etag, nb_images, nb_images_intro) "
        "VALUES ('W1', 'I1', decode(repeat('ab', 16), 'hex'), 9, 2)",
        "INSERT INTO task_executions (job_id, volume_id, s3_etag, status, worker_id, started_at) "
        "SELECT j.id, v.id, last_s3_etag, 'running', worker_id, now() "
        "FROM jobs j, volumes v, workers",
    )
    bec.write(result(made=made()))
    bec.job = job_told(status=ENDED)
    bec.show()
    [row] = bec.tools.tasks("ocrv1", "running")
    assert (row.volume, row.worker) == ("W1/I1", "i-1")
    assert bec.tools.workers()["i-1"].state == "active"
    [job] = bec.tools.ask("SELECT config, queue_url, dlq_url FROM jobs")
    assert tuple(job) == ("{}", "q", "d")
    bec.write(result(Volume("W1", "I1", "ababab"), told=1e9, made=made(10, etag=None)))
    volume = bec.tools.volume("W1", "I1")
    assert (volume.etag, volume.images, volume.intro) == ("ab" * 16, 10, 2)


def test_workers(bec: Installation) -> None:
    """Trap 8: while a long volume runs, its worker is active as long as it calls."""
    now = time.time()
    seen = [worker("a", now), worker("b", now - 300), worker("c", now - 3600), worker("d", None)]
    bec.show(running(now=attempt(pod="a")), workers=seen)
    states = {name: row.state for name, row in bec.tools.workers().items()}
    assert states == {"a": "active", "b": "idle", "c": "inactive", "d": "active"}
    row = bec.tools.workers()["a"]
    assert (row.host, row.last, row.tasks, row.done) == ("node-a", "W22084/I0886", 1, 0)
    assert row.tags["job_name"] == "ocrv1"
    assert [row.tags["job_id"]] == [id_ for (id_,) in bec.tools.ask("SELECT id FROM jobs")]
    bec.show(workers=[worker("b", now), worker("c", now - 3500)])
    states = {name: row.state for name, row in bec.tools.workers().items()}
    assert states == {"a": "stopped", "b": "active", "c": "inactive", "d": "stopped"}
    bec.show(workers=[worker("a", now)])
    assert bec.tools.workers()["a"].state == "active"


def test_two_pods_of_one_name_have_a_row_each(bec: Installation) -> None:
    """Trap 7: what stops one must not stop the other."""
    bec.show(workers=[worker("a", time.time(), "uid-1")])
    bec.show(workers=[worker("a", time.time(), "uid-2")])
    rows = bec.tools.ask("SELECT tags->>'pod_uid' AS uid, stopped_at FROM workers ORDER BY 1")
    assert [(row.uid, row.stopped_at is None) for row in rows] == [
        ("uid-1", False),
        ("uid-2", True),
    ]


def test_workers_of_another_job_go_on(bec: Installation) -> None:
    bec.show(workers=[worker("a", time.time())])
    bec.job = job_told("ldv1", "u-2")
    bec.show(workers=[worker("b", time.time())])
    assert {row.state for row in bec.tools.workers().values()} == {"active"}
