"""Messages that name volumes: a Job over them, and what is left of them in their queue."""

import json
from collections.abc import Sequence

from bec_ops.contract.volume import Volume
from tests.support.jobs import condition, job
from tests.support.kube import Body
from tests.support.queues import Sqs
from tests.support.space import Space
from tests.support.waiting import until


def source(url: str, connection: str = "queues", **more: object) -> Body:
    """Return a queue as the source of a Job."""
    return {"queue": {"connection": connection, "url": url, **more}}


def send(sqs: Sqs, url: str, volumes: Sequence[Volume]) -> None:
    """Send messages as BEC's own command does: the ids in the body and in the attributes."""
    for volume in volumes:
        said = {"w_id": volume.w_id, "i_id": volume.i_id}
        if volume.i_version:
            said["i_version"] = volume.i_version
        sqs.client().send_message(
            QueueUrl=url,
            MessageBody=json.dumps(said),
            MessageAttributes={
                name: {"DataType": "String", "StringValue": value} for name, value in said.items()
            },
        )


def left(sqs: Sqs, url: str) -> tuple[int, int]:
    """Return how many messages wait in a queue, and how many somebody has."""
    found = sqs.client().get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    waiting = found["ApproximateNumberOfMessages"]
    return int(waiting), int(found["ApproximateNumberOfMessagesNotVisible"])


def wait_empty(sqs: Sqs, url: str) -> None:
    """Wait until a queue holds nothing, for others neither."""
    until(lambda: left(sqs, url) == (0, 0), "the queue is empty", timeout=30)


def waits(found: Body) -> bool:
    """Whether a Job says that it waits for messages."""
    return condition(found, "Ready")["reason"] == "WaitingForMessages"


def shared(space: Space, url: str, **spec: object) -> Body:
    """Return a Job that shares its queue; `volumes` are further fields of its source."""
    more: Body = {"ack": "Done", **spec.pop("volumes", {})}  # type: ignore[dict-item]
    return job("ocr", space.bucket, source(url, **more), maxFailed="100%", **spec)


def take(sqs: Sqs, url: str) -> tuple[str, str]:
    """Receive a message as a worker that is not ours; return its volume and its receipt."""
    (found,) = sqs.client().receive_message(QueueUrl=url, WaitTimeSeconds=10)["Messages"]
    return json.loads(found["Body"])["i_id"], found["ReceiptHandle"]


def queue_with_dead_letters(sqs: Sqs, receives: int) -> tuple[str, str]:
    """Return a queue, and that to which messages go which were received so often."""
    dead = sqs.make_queue()
    arn = sqs.client().get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])
    policy = {"deadLetterTargetArn": arn["Attributes"]["QueueArn"], "maxReceiveCount": receives}
    return sqs.make_queue(RedrivePolicy=json.dumps(policy)), dead
