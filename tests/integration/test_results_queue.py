"""Messages of what became of volumes: at least one for each, whatever is away or ends between."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.cluster import S3
from tests.integration.conftest import MakeOperator
from tests.support.behaviours import fail, for_volumes, in_turn, succeed
from tests.support.connections import Mounted
from tests.support.jobs import LiveJob, condition, is_true, job, numbered
from tests.support.kube import Body, KubeError
from tests.support.operator_process import Operator
from tests.support.queues import SERVERS, Sqs, serving
from tests.support.s3_faults import S3Faults
from tests.support.space import Space
from tests.support.waiting import until
from tests.support.workers import Workers

OUTBOX = "artefacts/ocr/_job/outbox-"
VOLUME = "org.bdrc.bec.volume."


@pytest.fixture(scope="module", params=SERVERS)
def sqs(request: pytest.FixtureRequest) -> Iterator[Sqs]:
    with serving(request.param) as server:
        yield server


@pytest.fixture(scope="module")
def proxy(s3: S3) -> Iterator[S3Faults]:
    with S3Faults(s3) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def mounted(tmp_path_factory: pytest.TempPathFactory) -> Mounted:
    return Mounted(tmp_path_factory.mktemp("connections"), queues={"kind": "sqs"})


@pytest.fixture(scope="module")
def operator(make_operator: MakeOperator, proxy: S3Faults, mounted: Mounted) -> Iterator[Operator]:
    with make_operator(s3=proxy.s3, **mounted.settings) as operator:
        yield operator


@pytest.fixture(autouse=True)
def connected(mounted: Mounted, sqs: Sqs, proxy: S3Faults, operator: Operator) -> Iterator[None]:
    mounted.put("queues", **sqs.secret())
    yield
    proxy.heal()
    assert operator.running


def to(url: str) -> Body:
    return {"queue": {"connection": "queues", "url": url}}


def has_all(live: LiveJob, timeout: float = 30.0) -> Body:
    """Wait until an ended Job says that all results are delivered."""
    return live.wait(
        lambda found: is_true(found, "Complete") and is_true(found, "ResultsDelivered"),
        "all results are delivered",
        timeout,
    )


def events(sqs: Sqs, url: str) -> list[dict[str, Any]]:
    """Take all messages of a queue."""
    found: list[dict[str, Any]] = []
    while (
        batch := sqs.client()
        .receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1, MessageAttributeNames=["All"]
        )
        .get("Messages")
    ):
        for message in batch:
            event = json.loads(message["Body"])
            assert message["MessageAttributes"]["type"]["StringValue"] == event["type"]
            found.append(event)
            sqs.client().delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return found


def outcomes(found: list[dict[str, Any]]) -> dict[str, str]:
    """Return what became of each volume; which one may be told more than once."""
    told = [event for event in found if event["type"].startswith(VOLUME)]
    return {event["subject"]: event["type"].removeprefix(VOLUME) for event in told}


def test_each_volume_has_a_message_and_the_end_as_well(
    space: Space, workers: Workers, sqs: Sqs
) -> None:
    url, volumes = sqs.make_queue(), numbered(4)
    workers.behaviour = for_volumes(
        {"I0"}, fail(65, "no pages"), for_volumes({"I1"}, in_turn(fail(1, "again"), succeed))
    )
    live = space.submit(job("ocr", space.bucket, volumes, results=to(url), maxFailed=1))

    found = has_all(live)

    assert condition(found, "ResultsDelivered")["reason"] == "Delivered"
    for kind in ("Complete", "ResultsDelivered"):  # as the docs say
        space.kubectl("wait", "job.bec.bdrc.io/ocr", f"--for=condition={kind}", "--timeout=30s")
    assert not space.stored(OUTBOX)
    told = events(sqs, url)
    assert outcomes(told) == {
        "W1/I0/v1": "failed",
        "W1/I1/v1": "succeeded",
        "W1/I2/v1": "succeeded",
        "W1/I3/v1": "succeeded",
    }
    assert len(told) == len({event["id"] for event in told}) == 5
    data = {event["subject"]: event["data"] for event in told}
    assert data["W1/I0/v1"]["failure"] == "Terminal"
    assert data["W1/I0/v1"]["message"] == "exit 65: no pages"
    assert [a.get("failure", "") for a in data["W1/I1/v1"]["attempts"]] == ["Retryable", ""]
    assert data["W1/I2/v1"]["output"] == f"s3://{space.bucket}/artefacts/ocr/W1-I2-v1/"
    (end,) = [event for event in told if event["type"] == "org.bdrc.bec.job.completed"]
    assert end["data"]["counts"]["succeeded"] == 3


def test_a_queue_that_is_away_holds_up_nothing_and_loses_nothing(
    space: Space, workers: Workers, sqs: Sqs, mounted: Mounted, operator: Operator
) -> None:
    url = sqs.make_queue()
    mounted.put("queues")
    live = space.submit(job("ocr", space.bucket, numbered(5), results=to(url)))

    live.wait_complete()
    said = live.wait(
        lambda found: condition(found, "ResultsDelivered")["reason"] == "ConnectionUnavailable",
        "what is wrong",
    )
    message = condition(said, "ResultsDelivered")["message"]
    assert "for queue: spec.results.queue: connection queues: its Secret is not there" in message
    assert space.stored(OUTBOX)
    operator.kill()
    operator.start()
    mounted.put("queues", **sqs.secret())

    has_all(live, timeout=90)
    assert not space.stored(OUTBOX)
    assert outcomes(events(sqs, url)) == {f"W1/I{n}/v1": "succeeded" for n in range(5)}
    workers.runs.check_each_ran_once(5)


@pytest.mark.usefixtures("workers")
def test_results_that_cannot_be_deleted_are_told_and_stay(
    space: Space, sqs: Sqs, proxy: S3Faults
) -> None:
    url = sqs.make_queue()
    proxy.refuse(403, "DeleteObject")
    live = space.submit(job("ocr", space.bucket, numbered(2), results=to(url)))

    found = has_all(live)

    assert "delivered parts stay in S3: " in condition(found, "ResultsDelivered")["message"]
    assert space.stored(OUTBOX)
    assert len(outcomes(events(sqs, url))) == 2


def test_the_ledger_waits_until_the_results_stand(
    space: Space, workers: Workers, sqs: Sqs, proxy: S3Faults
) -> None:
    """Else a crash between the two would lose them."""
    url = sqs.make_queue()
    proxy.refuse(500, "PutObject", "outbox-")
    live = space.submit(job("ocr", space.bucket, numbered(3), results=to(url)))
    live.wait_stalled("StorageUnavailable", timeout=60)
    ledger = space.ledger("ocr")
    assert ledger is not None
    stored = ledger["metadata"]["resourceVersion"]
    proxy.heal()

    has_all(live, timeout=60)
    assert space.ledger("ocr")["metadata"]["resourceVersion"] != stored  # type: ignore[index]
    assert len(outcomes(events(sqs, url))) == 3
    workers.runs.check_each_ran_once(3)


@pytest.mark.usefixtures("workers")
def test_what_is_done_already_and_what_is_done_again_is_told(space: Space, sqs: Sqs) -> None:
    first = space.submit(job("ocr", space.bucket, numbered(2)))
    first.wait_complete()
    first.delete()
    until(lambda: not space.tasks(), "its tasks are gone", timeout=60)
    url = sqs.make_queue()

    live = space.submit(job("ocr", space.bucket, numbered(3), results=to(url)))
    has_all(live)
    told = [e for e in events(sqs, url) if e["type"].startswith(VOLUME)]
    already = {e["subject"] for e in told if e["data"].get("failure") == "AlreadyDone"}
    assert already == {"W1/I0/v1", "W1/I1/v1"}
    assert outcomes(told) == {f"W1/I{n}/v1": "succeeded" for n in range(3)}

    space.wait_next_second()
    live.patch(redoAt=_now())
    live.wait(lambda found: not is_true(found, "Complete"), "it is opened again")
    has_all(live, timeout=60)
    again = [e for e in events(sqs, url) if e["type"].startswith(VOLUME)]
    assert outcomes(again) == {f"W1/I{n}/v1": "succeeded" for n in range(3)}
    assert not {e["id"] for e in again} & {e["id"] for e in told}
    assert all(e["data"]["attempts"][0]["node"] for e in again)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.usefixtures("workers")
def test_a_queue_that_is_not_there_or_keeps_an_order_is_told(space: Space, sqs: Sqs) -> None:
    """A FIFO queue wants a group with each message, which nobody has given."""
    there = sqs.make_queue()
    none = there.rpartition("/")[0] + "/nowhere"
    fifo = sqs.make_queue(f"{space.bucket}.fifo", FifoQueue="true")
    live = space.submit(job("ocr", space.bucket, numbered(1), results=to(none)))

    live.wait(lambda found: _reason(found) == "QueueNotFound", "there is none")
    live.patch(results=to(fifo))
    found = live.wait(lambda found: _reason(found) == "QueueRefused", "it is refused", 60)
    assert "FIFO" in condition(found, "ResultsDelivered")["message"]
    assert is_true(found, "Complete")
    live.patch(results=to(there))

    has_all(live, timeout=90)
    assert outcomes(events(sqs, there)) == {"W1/I0/v1": "succeeded"}


def _reason(found: Body) -> str:
    return condition(found, "ResultsDelivered")["reason"]


@pytest.mark.usefixtures("workers")
def test_results_can_neither_be_added_nor_taken_away(space: Space, sqs: Sqs) -> None:
    live = space.submit(job("ocr", space.bucket, numbered(1)))
    with pytest.raises(KubeError, match="results can neither be added nor taken away"):
        live.patch(results=to(sqs.make_queue()))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "results go somewhere: give sql, queue or both"),
        ({"queue": {"connection": "queues", "url": "bec_results"}}, "spec.results.queue.url"),
        ({"sql": {"connection": "catalogue", "schema": "mine"}}, "Unsupported value"),
    ],
)
def test_results_that_go_nowhere_are_refused(space: Space, given: Body, message: str) -> None:
    with pytest.raises(KubeError, match=message):
        space.submit(job("ocr", space.bucket, numbered(1), results=given))
