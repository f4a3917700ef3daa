"""A Job over a queue: each message's volume is done once, and no message is lost or stays."""

import json
from collections.abc import Iterator

import pytest

from bec_ops.contract.volume import Volume
from tests.cluster import S3
from tests.integration.conftest import MakeOperator
from tests.support.behaviours import hang
from tests.support.connections import Mounted
from tests.support.jobs import LiveJob, condition, counts, is_true, job
from tests.support.operator_process import Operator
from tests.support.queues import SERVERS, Sqs, serving
from tests.support.s3_faults import S3Faults
from tests.support.space import Space
from tests.support.volume_messages import left, send, source, wait_empty, waits
from tests.support.waiting import throughout, until
from tests.support.workers import Workers

FIVE = [Volume("W22084", f"I088{number}") for number in range(5)]


@pytest.fixture(scope="module", params=SERVERS)
def sqs(request: pytest.FixtureRequest) -> Iterator[Sqs]:
    with serving(request.param) as server:
        yield server


@pytest.fixture(scope="module")
def proxy(s3: S3) -> Iterator[S3Faults]:
    with S3Faults(s3) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def mounted(tmp_path_factory: pytest.TempPathFactory, sqs: Sqs) -> Mounted:
    kinds = {"kind": "sqs"}
    made = Mounted(
        tmp_path_factory.mktemp("connections"),
        queues=kinds,
        away=kinds,
        others={**kinds, "namespaces": ["other"]},
    )
    made.put("queues", **sqs.secret())
    made.put("away")
    return made


@pytest.fixture(scope="module")
def operator(make_operator: MakeOperator, proxy: S3Faults, mounted: Mounted) -> Iterator[Operator]:
    with make_operator(s3=proxy.s3, list_every=1.0, **mounted.settings) as operator:
        yield operator


@pytest.fixture
def faults(proxy: S3Faults, operator: Operator) -> Iterator[S3Faults]:
    yield proxy
    proxy.heal()
    assert operator.running


@pytest.mark.usefixtures("operator")
def test_volumes_are_done_as_their_messages_come(space: Space, workers: Workers, sqs: Sqs) -> None:
    url = sqs.make_queue()
    live = space.submit(job("ocr", space.bucket, source(url)))
    found = live.wait(waits, "it waits for messages")
    assert counts(found) == {}
    assert is_true(found, "Ready")

    send(sqs, url, FIVE[:3])
    live.wait_counts(total=3, succeeded=3)
    wait_empty(sqs, url)
    send(sqs, url, [FIVE[1], FIVE[3], FIVE[3]])  # one that is done, and one twice
    live.wait_counts(total=4, succeeded=4)
    wait_empty(sqs, url)

    found = live.wait(waits, "it waits for further ones")
    assert "4 of 4 volumes done; waits for messages" in condition(found, "Ready")["message"]
    assert set(space.frozen("ocr")) == set(FIVE[:4])
    workers.runs.check_each_ran_once(4)
    assert space.events("ocr", "VolumesAdded")


@pytest.mark.usefixtures("operator")
def test_a_job_until_empty_ends(space: Space, workers: Workers, sqs: Sqs) -> None:
    url = sqs.make_queue()
    live = space.submit(job("ocr", space.bucket, source(url, until="Empty")))
    live.wait(waits, "it waits for the first message, however long")

    send(sqs, url, FIVE)
    found = live.wait_complete(timeout=60)

    assert counts(found) == {"total": 5, "succeeded": 5}
    assert left(sqs, url) == (0, 0)
    workers.runs.check_each_ran_once(5)


@pytest.mark.usefixtures("operator")
def test_a_message_that_names_no_volume_is_on_record_and_in_the_dead_letters(
    space: Space, workers: Workers, sqs: Sqs
) -> None:
    dead = sqs.make_queue()
    arn = sqs.client().get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])
    policy = {"deadLetterTargetArn": arn["Attributes"]["QueueArn"], "maxReceiveCount": 3}
    url = sqs.make_queue(RedrivePolicy=json.dumps(policy))
    sqs.client().send_message(QueueUrl=url, MessageBody='{"w_id": "W1"}')
    send(sqs, url, FIVE[:2])

    live = space.submit(job("ocr", space.bucket, source(url, until="Empty")))
    found = live.wait_complete(timeout=60)

    assert counts(found) == {"total": 2, "succeeded": 2}
    assert left(sqs, url) == (0, 0)
    (buried,) = sqs.client().receive_message(QueueUrl=dead, WaitTimeSeconds=5)["Messages"]
    assert buried["Body"] == '{"w_id": "W1"}'
    (key,) = [k for k in space.stored("artefacts/ocr/_job/") if "messages-refused-" in k]
    line = json.loads(space.read(key))
    assert line["body"] == '{"w_id": "W1"}'
    assert "i_id is missing" in line["why"]
    assert "i_id is missing" in space.events("ocr", "MessagesRefused")[0]["message"]
    workers.runs.check_each_ran_once(2)


@pytest.mark.usefixtures("operator", "workers")
def test_a_message_whose_volume_has_no_place_hurts_nobody(space: Space, sqs: Sqs) -> None:
    """Its output would have a place of its own only with a version, or is too long for S3."""
    url = sqs.make_queue()
    output = {"bucket": space.bucket, "prefix": "a/{job_id}/{w_id}-{i_id}/"}
    live = space.submit(job("ocr", space.bucket, source(url, until="Empty"), output=output))
    long = "བོད" * 40
    send(sqs, url, [Volume("W1", "I1", "v1"), Volume(long, long), FIVE[0]])

    found = live.wait_complete(timeout=60)

    assert counts(found) == {"total": 1, "succeeded": 1}
    keys = [k for k in space.stored("artefacts/ocr/_job/") if "messages-refused-" in k]
    told = [json.loads(line)["why"] for key in keys for line in space.read(key).splitlines()]
    assert len(told) == 2
    assert sum("has no place for it" in why for why in told) == 1
    assert sum("would have" in why for why in told) == 1
    assert left(sqs, url) == (0, 0)


@pytest.mark.usefixtures("operator", "workers")
def test_a_job_that_has_ended_is_edited(space: Space, sqs: Sqs) -> None:
    url = sqs.make_queue()
    live = space.submit(job("ocr", space.bucket, source(url, until="Empty")))
    send(sqs, url, FIVE[:1])
    live.wait_complete(timeout=60)

    live.patch(parallelism=7)
    live.wait(
        lambda found: found["status"]["observedGeneration"] == found["metadata"]["generation"],
        "the change is taken in",
    )
    live.patch(volumes={"queue": {"until": None}})
    send(sqs, url, FIVE[1:3])
    live.wait_counts(timeout=60, total=3, succeeded=3)


def test_nothing_is_deleted_before_it_is_stored(
    space: Space, workers: Workers, sqs: Sqs, faults: S3Faults
) -> None:
    url = sqs.make_queue()
    live = space.submit(job("ocr", space.bucket, source(url)))
    live.wait(waits, "it waits for messages")
    faults.refuse(503, "PutObject", "manifest-")
    send(sqs, url, FIVE)
    until(lambda: left(sqs, url) == (0, 5), "all are received")

    throughout(2.0, lambda: left(sqs, url) == (0, 5), "none is deleted")
    assert space.frozen("ocr") == []

    faults.heal()
    live.wait_counts(timeout=60, total=5, succeeded=5)
    wait_empty(sqs, url)
    workers.runs.check_each_ran_once(5)


@pytest.mark.usefixtures("operator")
def test_a_suspended_job_takes_nothing(space: Space, workers: Workers, sqs: Sqs) -> None:
    url = sqs.make_queue()
    workers.behaviour = hang
    live = space.submit(job("ocr", space.bucket, source(url), suspend=True))
    live.wait_phase("Suspended")
    send(sqs, url, FIVE[:1])
    throughout(2.0, lambda: left(sqs, url) == (1, 0), "it stays in the queue")

    live.patch(suspend=False)
    workers.running(1)
    wait_empty(sqs, url)
    workers.release()
    live.wait_counts(total=1, succeeded=1)


@pytest.mark.usefixtures("operator", "workers")
@pytest.mark.parametrize(
    ("connection", "url", "reason", "said"),
    [
        ("nowhere", "", "ConnectionUnknown", "there is no sqs connection nowhere"),
        ("others", "", "ConnectionForbidden", "is not for namespace"),
        ("away", "", "ConnectionUnavailable", "Secret"),
        ("queues", "none", "QueueNotFound", "queue"),
        ("queues", "http://127.0.0.1:1/000000000000/q", "QueueRefused", "connection queues"),
    ],
)
def test_what_is_wrong_is_said_and_concerns_no_other_job(
    space: Space, sqs: Sqs, connection: str, url: str, reason: str, said: str
) -> None:
    good = sqs.make_queue()
    bad = url if url.startswith("http") else good.rpartition("/")[0] + "/" + (url or "q")
    wrong = space.submit(job("wrong", space.bucket, source(bad, connection)))
    right = space.submit(job("right", space.bucket, source(good)))
    send(sqs, good, FIVE[:1])

    right.wait_counts(total=1, succeeded=1)
    assert said in wrong.wait_stalled(reason)


@pytest.mark.usefixtures("workers")
def test_a_secret_that_comes_later_heals_the_job(
    space: Space, sqs: Sqs, mounted: Mounted, operator: Operator
) -> None:
    url = sqs.make_queue()
    mounted.put("away")
    live: LiveJob = space.submit(job("ocr", space.bucket, source(url, "away")))
    live.wait_stalled("ConnectionUnavailable")
    send(sqs, url, FIVE[:1])

    mounted.put("away", **sqs.secret())

    live.wait_counts(timeout=60, total=1, succeeded=1)
    assert sqs.secret_key not in operator.text()
