"""What the tools of a BEC installation read of results in its tables."""

from datetime import timedelta

from bec_ops.contract.volume import Volume
from tests.support.bec_results import (
    ETAG,
    LATER,
    LATER_ETAG,
    T0,
    VOLUME,
    Installation,
    attempt,
    made,
    result,
    running,
)


def test_done(bec: Installation) -> None:
    bec.write(result(made=made()))
    [row] = bec.tools.tasks("ocrv1", "done")
    assert (row.volume, row.attempt, row.etag, row.worker) == ("W22084/I0886", 1, ETAG, "pod-1")
    assert (row.started, row.done) == (T0, T0 + timedelta(seconds=60))
    assert (row.images, row.errors, row.took, row.page) == (100, 0, 40_000, 400)
    volume = bec.tools.volume("W22084", "I0886")
    assert (volume.etag, volume.images, volume.intro) == (ETAG, 100, 0)
    assert bec.tools.enqueued("ocrv1", ["W22084/I0886", "W1/I1"]) == ["W1/I1"]
    assert bec.tools.errors() == []
    assert bec.tools.workers()["pod-1"].state == "stopped"


def test_done_with_errors_and_statistics(bec: Installation) -> None:
    slow = Volume("W1", "I2", "aaaaaa")
    bec.write(result(made=made(errors=3)), result(slow, made=made(50, 0, etag=None)))
    done = bec.tools.stats("ocrv1")["done"]
    assert (done.tasks, done.took, done.images, done.errors) == (2, 40_000, 150, 3)
    assert done.page == 600
    assert bec.tools.slowest("ocrv1") == "W1/I2"
    assert bec.tools.errors("image-errors") == ["W22084/I0886 done"]
    key = "ocrv1/W22084/I0886/0c1d2e/W22084-I0886-0c1d2e-errors.jsonl"
    assert bec.tools.errors_key("ocrv1", "W22084", "I0886") == key
    assert bec.tools.errors_key("ocrv1", "W1", "I2").endswith("/aaaaaa/W1-I2-aaaaaa-errors.jsonl")


def test_without_a_duration_that_of_the_attempt_counts(bec: Installation) -> None:
    bec.write(result(made=made(duration_ms=None)))
    [row] = bec.tools.tasks("ocrv1")
    assert (row.took, row.page) == (50_000, 500)


def test_running_retried_and_done(bec: Installation) -> None:
    bec.show(running(now=attempt(1)))
    [row] = bec.tools.tasks("ocrv1", "running")
    assert (row.attempt, row.worker, row.started, row.done) == (1, "pod-1", T0, None)
    assert row.etag == "0c1d2e".ljust(32, "0")

    failed = attempt(1, 0, 30, failure="OutOfMemory")
    bec.show(running(VOLUME, failed))
    [row] = bec.tools.tasks("ocrv1", "retryable_failed")
    assert (row.done, row.images, row.took) == (T0 + timedelta(seconds=30), None, None)
    assert bec.tools.errors("task-failed") == ["W22084/I0886 retryable_failed"]

    bec.show(running(VOLUME, failed, now=attempt(2, 40)))
    [row] = bec.tools.tasks("ocrv1", "running")
    assert (row.attempt, row.worker, row.done) == (2, "pod-2", T0 + timedelta(seconds=30))

    bec.write(result(attempts=[failed, attempt(2, 40, 90)], told=100, made=made()))
    [row] = bec.tools.tasks("ocrv1")
    assert (row.status, row.attempt, row.worker) == ("done", 2, "pod-2")
    assert row.etag == ETAG, "the ETag that was a guess is the marker's"
    assert bec.tools.workers()["pod-1"].failed == 0, "one row: the failure was before"


def test_failed_for_good(bec: Installation) -> None:
    bec.show(running(now=attempt(3)))
    bec.write(result(outcome="failed", failure="Retryable", attempts=[attempt(3, 0, 20)]))
    [row] = bec.tools.tasks("ocrv1", "terminal_failed")
    assert (row.attempt, row.done, row.images, row.took) == (
        3,
        T0 + timedelta(seconds=60),
        *2 * [None],
    )
    assert bec.tools.errors() == ["W22084/I0886 terminal_failed"]
    assert bec.tools.enqueued("ocrv1", ["W22084/I0886"]) == ["W22084/I0886"]


def test_skipped_without_an_attempt(bec: Installation) -> None:
    """BEC takes over a row that began never at no time, and passes over its volume."""
    bec.write(result(outcome="skipped", failure="DependencyFailed", attempts=[]))
    [row] = bec.tools.tasks("ocrv1", "terminal_failed")
    assert (row.attempt, row.worker) == (0, None)
    assert row.started == row.done
    bec.write(result(LATER, outcome="skipped", failure="Double", attempts=[]))
    assert len(bec.tools.tasks("ocrv1")) == 1


def test_redone(bec: Installation) -> None:
    """Trap 9: what is taken again keeps when it was done, and what came of it, while it runs."""
    bec.write(result(made=made()))
    bec.write(result(outcome="waiting", attempts=[], told=70))
    assert [row.status for row in bec.tools.tasks("ocrv1")] == ["done"]
    again = attempt(1, 80, pod="pod-7")
    bec.show(running(now=again))
    [row] = bec.tools.tasks("ocrv1", "running")
    assert (row.done, row.images, row.worker) == (T0 + timedelta(seconds=60), 100, "pod-7")
    bec.write(result(attempts=[attempt(1, 80, 90, pod="pod-7")], told=95, made=made(7)))
    [row] = bec.tools.tasks("ocrv1")
    assert (row.status, row.images, row.done) == ("done", 7, T0 + timedelta(seconds=95))


def test_two_versions_of_a_volume(bec: Installation) -> None:
    first = result(made=made())
    later = result(
        LATER, told=200, made=made(120, etag=LATER_ETAG), attempts=[attempt(1, 150, 190)]
    )
    bec.write(first, later)
    assert [row.etag for row in bec.tools.tasks("ocrv1", "done")] == [LATER_ETAG, ETAG]
    bec.write(first)  # again, and too late
    volume = bec.tools.volume("W22084", "I0886")
    assert (volume.etag, volume.images) == (LATER_ETAG, 120)
    assert bec.tools.enqueued("ocrv1", ["W22084/I0886"]) == []
    assert "/7f6e5d/" in bec.tools.errors_key("ocrv1", "W22084", "I0886")


def test_what_was_done_already_gets_no_row_but_the_volume_s(bec: Installation) -> None:
    already = result(failure="AlreadyDone", attempts=[], made=made(12))
    bec.write(already)
    assert bec.tools.tasks("ocrv1") == []
    assert bec.tools.volume("W22084", "I0886").images == 12
    bec.write(result(outcome="failed", failure="Retryable", told=50))
    bec.write(already)  # the marker stands, whatever the row says
    assert [row.status for row in bec.tools.tasks("ocrv1")] == ["done"]


def test_a_job_that_is_new_here_has_what_the_tools_read(bec: Installation) -> None:
    bec.show()
    [job] = bec.tools.ask("SELECT name, config::jsonb AS config, queue_url FROM jobs")
    assert (job.name, job.config) == ("ocrv1", {"model": "Woodblock"})
    assert job.queue_url.endswith("bec_ocrv1_tasks")
