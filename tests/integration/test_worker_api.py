"""The worker API as workers use it: each call, and what happens when somebody is away."""

import json
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bec_ops.contract.location import log_key
from bec_ops.contract.protocol import Assigned
from bec_ops.contract.task import Task
from tests.cluster import S3
from tests.integration.conftest import MakeOperator
from tests.support.api_faults import ApiFaults
from tests.support.behaviours import fail, hang
from tests.support.callers import Answer, CallingWorker
from tests.support.jobs import counts, job, numbered
from tests.support.kube import Body, Kube
from tests.support.operator_process import Operator
from tests.support.s3_faults import S3Faults
from tests.support.space import Space
from tests.support.waiting import until
from tests.support.workers import Workers

_DOCUMENT = Path(__file__).parents[2] / "docs" / "worker-api.json"
TEMPLATE: Body = {"spec": {"containers": [{"name": "worker", "image": "worker:1"}]}}
WORKER: Body = {"template": TEMPLATE, "handler": "ocr", "parameters": {"model": "bod"}}
CONTINUE = {"directive": "continue", "reason": ""}


@pytest.fixture
def proxy(rights: Path) -> Iterator[ApiFaults]:
    with ApiFaults(rights) as proxy:
        yield proxy


@pytest.fixture
def store(s3: S3) -> Iterator[S3Faults]:
    with S3Faults(s3) as store:
        yield store


def assigned(task: Task | None = None, *, over: bool = False) -> Body:
    """Return the answer to `next`."""
    return Assigned(task=task, over=over).model_dump(mode="json")


def directive(worker: CallingWorker) -> str:
    """Return what a worker is told to do; that all is gone means the same as to abort."""
    answer = worker.report("heartbeat")
    return "abort" if answer.status == 410 else str(answer.body.get("directive", answer.body))


def test_from_the_start_to_the_end(
    space: Space, workers: Workers, operator: Operator, kube: Kube
) -> None:
    workers.behaviour = hang
    live = space.submit(job("called", space.bucket, numbered(1), worker=WORKER))
    (run,) = workers.running(1)
    worker = CallingWorker.of(run.pod, kube, operator.worker_url)

    registered = worker.register()
    assert registered == worker.register(), "registering again changes nothing"
    assert registered.body["worker_id"] == f"{run.pod.name}/{run.pod.uid}"
    assert registered.body["heartbeat_seconds"] == 30
    given = worker.call("next", wait=10).body
    assert given == assigned(run.pod.task)
    assert given["task"]["task_uid"] == worker.about["task_uid"]
    assert worker.call("next").body == assigned(over=True)
    progress = {"done": 312, "total": 480, "unit": "pages"}
    assert worker.report("heartbeat", progress=progress, activity=312).body == CONTINUE
    assert worker.report("log", text="page 480\n").status == 200
    assert space.read(log_key(run.pod.task.prefix, 1, given["task"]["task_uid"])) == b"page 480\n"
    run.pod.put_marker()
    assert worker.report("done").status == 200
    live.wait_counts(succeeded=1)
    assert directive(worker) == "finish"
    workers.release()
    live.wait_complete()

    metrics = operator.metrics()
    assert 'bec_worker_calls_total{call="next",outcome="ok"}' in metrics
    assert 'bec_worker_call_seconds_count{call="heartbeat"}' in metrics


def test_the_document_is_served_to_everybody(operator: Operator) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{operator.worker_url}/openapi.json", timeout=5) as answer:
        assert json.load(answer) == json.loads(_DOCUMENT.read_text())


def test_a_failure_is_told_twice_and_counts_once(
    space: Space, workers: Workers, operator: Operator, kube: Kube
) -> None:
    """What comes out of order, before or after it, changes nothing either."""
    workers.behaviour = hang
    live = space.submit(job("twice", space.bucket, numbered(1), maxFailed=1))
    (run,) = workers.running(1)
    worker = CallingWorker.of(run.pod, kube, operator.worker_url)
    worker.register()
    for _ in range(2):
        assert worker.report("failed", failure="Terminal", message="torn").status == 200
    late = [worker.report("heartbeat"), worker.report("failed", failure="Retryable")]
    assert {answer.status for answer in late} <= {200, 410}
    workers.play(run, fail(65, "torn"))

    assert counts(live.wait_complete()) == {"total": 1, "failed": 1}
    assert worker.report("failed", failure="Terminal").status in {401, 410}
    (line,) = space.reported("twice")
    assert [attempt["failure"] for attempt in line["attempts"]] == ["Terminal"]


def test_a_job_that_goes_takes_its_workers_along(
    space: Space, workers: Workers, operator: Operator, kube: Kube
) -> None:
    workers.behaviour, workers.stubborn = hang, True
    live = space.submit(job("going", space.bucket, numbered(1)))
    (run,) = workers.running(1)
    worker = CallingWorker.of(run.pod, kube, operator.worker_url)
    worker.register()
    assert directive(worker) == "continue"

    live.delete()

    until(lambda: directive(worker) == "abort", "the worker is told to stop")
    workers.play(run, lambda pod: pod.let_go())
    until(lambda: kube.find(run.pod.path) is None, "the pod is gone")
    assert worker.report("heartbeat").refused == (410, "Gone")


def test_the_operator_comes_back(
    space: Space, workers: Workers, make_operator: MakeOperator, kube: Kube
) -> None:
    workers.behaviour = hang
    with make_operator() as operator:
        space.submit(job("back", space.bucket, numbered(1)))
        (run,) = workers.running(1)
        worker = CallingWorker.of(run.pod, kube, operator.worker_url)
        session = worker.register().body["session"]
        operator.kill()
        operator.start()

        for call in ("next", "heartbeat", "done"):
            answer = worker.call(call) if call == "next" else worker.report(call)
            assert answer.refused == (409, "UnknownSession")
        assert worker.register().body["session"] == session
        assert worker.report("heartbeat").body == CONTINUE


def test_the_api_server_is_away(
    space: Space,
    workers: Workers,
    make_operator: MakeOperator,
    kube: Kube,
    proxy: ApiFaults,
    tmp_path: Path,
) -> None:
    """Who was known before goes on; of others nobody can tell."""
    workers.behaviour = hang
    with make_operator(proxy.kubeconfig(tmp_path)) as operator:
        space.submit(job("away", space.bucket, numbered(2)))
        known, other = [
            CallingWorker.of(run.pod, kube, operator.worker_url) for run in workers.running(2)
        ]
        known.register()
        proxy.refuse()
        assert known.report("heartbeat").body == CONTINUE
        assert other.register().refused == (503, "Unavailable")
        proxy.heal()
        assert other.register().status == 200


def test_next_waits_for_the_job_and_for_nothing_else(
    space: Space, workers: Workers, make_operator: MakeOperator, kube: Kube, store: S3Faults
) -> None:
    """After a restart the operator has to read the manifest first, and S3 is away."""
    workers.behaviour = hang
    with make_operator(s3=store.s3) as operator:
        space.submit(job("waits", space.bucket, numbered(1)))
        (run,) = workers.running(1)
        worker = CallingWorker.of(run.pod, kube, operator.worker_url)
        operator.stop()
        store.refuse(503)
        operator.start()
        worker.register()
        assert worker.call("next", wait=0.5).body == assigned()

        answer = in_background(lambda: worker.call("next", wait=60))
        until(lambda: "bec_workers_waiting 1.0" in operator.metrics(), "the worker waits")
        operator.stop()
        assert answer().body == assigned()

        operator.start()
        worker.register()
        answer = in_background(lambda: worker.call("next", wait=60))
        until(lambda: "bec_workers_waiting 1.0" in operator.metrics(), "the worker waits")
        store.heal()
        assert answer().body["task"] == run.pod.task.model_dump(mode="json")


def in_background(call: Callable[[], Answer]) -> Callable[[], Answer]:
    """Begin a call, and return what waits for its answer, for 20 s at most."""
    answers: list[Answer] = []
    thread = threading.Thread(target=lambda: answers.append(call()), daemon=True)
    thread.start()

    def answer() -> Answer:
        thread.join(20)
        (only,) = answers
        return only

    return answer
