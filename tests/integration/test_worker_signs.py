"""What follows from what workers tell, and from what they do not tell any more."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from bec_operator.api.names import HEARTBEAT_CONDITION
from bec_ops.contract.location import log_key
from tests.integration.conftest import MakeOperator
from tests.support.behaviours import fail, hang, in_turn, succeed
from tests.support.callers import CallingWorker
from tests.support.jobs import condition, counts, is_true, job, numbered
from tests.support.kube import STRATEGIC_PATCH, Body, Kube
from tests.support.operator_process import Operator
from tests.support.runs import Run
from tests.support.space import Space
from tests.support.waiting import until
from tests.support.workers import Workers

PAGES = {"done": 312, "total": 480, "unit": "pages"}
WRONG = '{"class": "Misconfigured", "message": "parameters: modle: no such field"}'

Call = Callable[[Run], CallingWorker]


@pytest.fixture(scope="module")
def operator(make_operator: MakeOperator) -> Iterator[Operator]:
    """An operator whose workers call each second."""
    with make_operator(heartbeat_seconds=1) as operator:
        yield operator


@pytest.fixture
def calling(kube: Kube, operator: Operator) -> Call:
    """Return the worker in a pod, registered."""

    def begin(run: Run) -> CallingWorker:
        worker = CallingWorker.of(run.pod, kube, operator.worker_url)
        assert worker.register().status == 200
        return worker

    return begin


@contextmanager
def beating(worker: CallingWorker) -> Iterator[None]:
    """Send a sign of life each second, always the same."""
    end = threading.Event()

    def beat() -> None:
        while not end.wait(1.0):
            worker.report("heartbeat", progress=PAGES, activity=312)

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


def attempts(space: Space) -> list[Body]:
    """Return the attempts of the only VolumeTask."""
    (task,) = space.tasks()
    listed: list[Body] = task.get("status", {}).get("attempts", [])
    return listed


def failures(space: Space) -> list[str]:
    """Return the classes of the attempts that failed."""
    return [attempt["failure"] for attempt in attempts(space) if attempt.get("failure")]


def test_a_heartbeat_is_seen_on_the_pod_the_task_and_the_job(
    space: Space, workers: Workers, kube: Kube, calling: Call
) -> None:
    workers.behaviour = hang
    live = space.submit(job("seen", space.bucket, numbered(2), parallelism=1))
    (run,) = workers.running(1)
    foreign = {"type": "example.org/Gate", "status": "True"}
    status = {"status": {"conditions": [foreign]}}
    kube.patch(f"{run.pod.path}/status", status, content_type=STRATEGIC_PATCH)
    worker = calling(run)
    worker.report("heartbeat", progress={**PAGES, "done": 0}, activity=0)

    def on_pod() -> dict[str, Body]:
        listed = kube.get(run.pod.path)["status"].get("conditions", [])
        return {found["type"]: found for found in listed}

    with beating(worker):
        until(
            lambda: on_pod().get(HEARTBEAT_CONDITION, {}).get("message") == "312/480 pages",
            "the heartbeat is a condition of the pod",
        )
        until(
            lambda: space.tasks()[0].get("status", {}).get("progress") == "312/480 pages",
            "the VolumeTask shows the progress",
            timeout=30,
        )
        first = on_pod()[HEARTBEAT_CONDITION]
        until(
            lambda: on_pod()[HEARTBEAT_CONDITION]["lastProbeTime"] > first["lastProbeTime"],
            "the next one is written, too",
        )
    assert on_pod()[HEARTBEAT_CONDITION]["lastTransitionTime"] == first["lastTransitionTime"]
    assert "example.org/Gate" in on_pod(), "what is not ours stays"
    found = live.wait(lambda found: bool(found["status"].get("rate")), "a rate", timeout=60)
    assert found["status"]["rate"].endswith(" pages/h")
    assert found["status"]["eta"]
    workers.release()
    live.wait_complete()


@pytest.mark.parametrize(
    ("limit", "failure"), [("heartbeat", "Silent"), ("progress", "Stuck"), ("task", "TooLong")]
)
def test_each_time_out_has_a_name(
    space: Space, workers: Workers, calling: Call, limit: str, failure: str
) -> None:
    workers.behaviour = in_turn(hang, succeed)
    live = space.submit(job("late", space.bucket, numbered(1), timeouts={limit: "4s"}))
    (run,) = workers.running(1)
    worker = calling(run)
    worker.report("heartbeat", progress=PAGES, activity=312)
    if failure == "Silent":
        until(lambda: run.deleted, "the silent worker is ended", timeout=30)
    else:
        with beating(worker):
            until(lambda: run.deleted, "the worker is ended", timeout=30)

    live.wait_complete()
    assert failures(space) == [failure]
    assert f"(timeouts.{limit}), at 312/480 pages" in attempts(space)[0]["message"]


@pytest.mark.alone  # it measures seconds of silence
def test_nobody_is_silent_while_nobody_can_call(
    space: Space, workers: Workers, make_operator: MakeOperator, kube: Kube
) -> None:
    workers.behaviour = in_turn(hang, succeed)
    with make_operator(heartbeat_seconds=1, worker_connections=1) as operator:
        live = space.submit(job("full", space.bucket, numbered(1), timeouts={"heartbeat": "8s"}))
        (run,) = workers.running(1)
        worker = CallingWorker.of(run.pod, kube, operator.worker_url)
        assert worker.register().status == 200  # it keeps the only connection
        end = time.monotonic() + 14
        while time.monotonic() < end:
            with socket.create_connection(("127.0.0.1", operator.worker_port)):
                time.sleep(0.2)
            # Others are turned away, so nobody's silence says anything.
            assert not run.deleted, [task["status"] for task in space.tasks()]
        until(lambda: run.deleted, "the silent worker is ended", timeout=30)
        live.wait_complete()
    assert failures(space) == ["Silent"]


def test_a_worker_that_never_calls_is_neither_silent_nor_stuck(
    space: Space, workers: Workers
) -> None:
    workers.behaviour = hang
    limits = {"heartbeat": "1s", "progress": "1s", "task": "8s"}
    live = space.submit(
        job("plain", space.bucket, numbered(1), timeouts=limits, retry={"limit": 1})
    )
    live.wait_counts(failed=1)
    assert failures(space) == ["TooLong"]


def test_a_worker_that_is_set_up_wrongly_stalls_the_job(
    space: Space, workers: Workers, operator: Operator
) -> None:
    workers.behaviour = fail(78, WRONG)
    live = space.submit(job("wrong", space.bucket, numbered(40), parallelism=5))

    message = live.wait_stalled("Misconfigured")
    assert "parameters: modle: no such field" in message
    until(lambda: not workers.alive(), "those that were begun have ended")
    begun = len(workers.runs.all())
    assert begun <= 5
    assert counts(live.read()).get("failed", 0) == 0

    operator.kill()
    operator.start()
    live.wait_stalled("Misconfigured")
    assert len(workers.runs.all()) == begun, "nothing more is launched, across a restart too"

    workers.behaviour = succeed
    worker = {**live.read()["spec"]["worker"], "parameters": {"model": "bod"}}
    live.patch(worker=worker)
    found = live.wait_complete()
    assert counts(found) == {"total": 40, "succeeded": 40}
    assert not is_true(found, "Stalled")
    assert condition(found, "Ready")["status"] == "True"


def test_an_interruption_costs_no_attempt(space: Space, workers: Workers) -> None:
    word = '{"class": "Interrupted", "message": "told to stop at 12/480 pages"}'
    workers.behaviour = in_turn(fail(143, word), fail(143, word), succeed)
    live = space.submit(job("told", space.bucket, numbered(1), retry={"limit": 1}))
    live.wait_complete()
    assert failures(space) == ["Interrupted", "Interrupted"]
    assert attempts(space)[0]["message"] == "told to stop at 12/480 pages"


def test_the_last_word_counts_though_the_pod_is_gone(
    space: Space, workers: Workers, calling: Call
) -> None:
    workers.behaviour = hang
    live = space.submit(job("word", space.bucket, numbered(1), retry={"limit": 3}, maxFailed=1))
    (run,) = workers.running(1)
    worker = calling(run)
    assert worker.report("failed", failure="Terminal", message="page 7 is torn").status == 200
    run.pod.vanish()
    live.wait_complete()
    assert failures(space) == ["Terminal"]
    assert attempts(space)[0]["message"] == "page 7 is torn"


def test_done_is_seen_at_once_though_the_pod_lingers(
    space: Space, workers: Workers, calling: Call
) -> None:
    workers.behaviour = hang
    live = space.submit(job("lingers", space.bucket, numbered(1)))
    (run,) = workers.running(1)
    worker = calling(run)
    run.pod.put_marker()
    assert worker.report("done").status == 200
    live.wait_counts(succeeded=1)
    assert run.alive, "its pod has not ended"
    workers.release()
    live.wait_complete()


def test_where_the_log_is_or_why_it_is_lost(space: Space, workers: Workers) -> None:
    """argo-workflows#14885, #13237: the end of the log outlives the pod."""
    workers.behaviour = in_turn(fail(1, "no log of its own"), hang)
    live = space.submit(job("logs", space.bucket, numbered(1), retry={"limit": 2}, maxFailed=1))
    workers.nth(2, "Running")
    assert attempts(space)[0]["log"].startswith("lost: ")

    (run,) = workers.alive()
    key = log_key(run.pod.task.prefix, 2, run.pod.task.task_uid)
    space.put(key, b"page 1\npage 2\n")
    workers.release(fail(1))
    live.wait_complete()
    assert attempts(space)[1]["log"] == f"s3://{space.bucket}/{key}"
