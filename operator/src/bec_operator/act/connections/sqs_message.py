"""Messages as a queue's server hands them out and takes them, and what a queue says of itself."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

AT_ONCE = 10  # messages of one request: as many as SQS takes
_BYTES_AT_ONCE = 256 * 1024  # of one request to send; Amazon's SQS takes more, others do not
_ARN = re.compile(r"arn:[a-z-]+:sqs:[a-z0-9-]+:([0-9]{12}):([A-Za-z0-9_.-]{1,80})")
_NUMBER = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,9})?")  # one server has fractions of seconds


@dataclass(frozen=True, slots=True)
class Message:
    """A message that was handed out: nobody else has it until its time is up.

    `receipt` is of this once, and the next time there is another. `attributes` are those that are
    strings; `sent` is in seconds since 1970, and None where the server does not say.
    """

    id: str
    receipt: str
    body: str
    attributes: Mapping[str, str]
    received: int = 1
    sent: float | None = None

    @property
    def size(self) -> int:
        """How many bytes it takes of a request."""
        named = sum(len(name.encode()) + len("String") for name in self.attributes)
        texts = (self.body, *self.attributes.values())
        return named + sum(len(text.encode()) for text in texts)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a queue says of itself; its numbers are of a moment, and approximate.

    None stands for what a server does not say.
    """

    fifo: bool
    retention: int | None
    visibility: int | None
    waiting: int
    in_flight: int
    delayed: int
    most_receives: int | None
    dead_letters: tuple[str, str] | None
    """Account and name of the queue for what was received too often."""


def message_of(found: Mapping[str, Any]) -> Message:
    """Return a message as it was handed out; raises TypeError for what is none."""
    id_, receipt, body = (found.get(key) for key in ("MessageId", "ReceiptHandle", "Body"))
    if not (isinstance(id_, str) and isinstance(receipt, str) and isinstance(body, str)):
        raise TypeError("no message")
    system = found.get("Attributes") or {}
    sent = _number(system.get("SentTimestamp"))
    return Message(
        id=id_,
        receipt=receipt,
        body=body,
        attributes={
            name: value["StringValue"]
            for name, value in (found.get("MessageAttributes") or {}).items()
            if value.get("DataType", "").partition(".")[0] == "String"
            and isinstance(value.get("StringValue"), str)
        },
        received=_number(system.get("ApproximateReceiveCount")) or 1,
        sent=sent / 1000 if sent is not None else None,
    )


def facts_of(said: Mapping[Any, str]) -> Facts:
    """Return what the attributes of a queue say."""
    account, name, most = _redrive(said.get("RedrivePolicy", ""))
    return Facts(
        fifo=said.get("FifoQueue") == "true",
        retention=_number(said.get("MessageRetentionPeriod")),
        visibility=_number(said.get("VisibilityTimeout")),
        waiting=_number(said.get("ApproximateNumberOfMessages")) or 0,
        in_flight=_number(said.get("ApproximateNumberOfMessagesNotVisible")) or 0,
        delayed=_number(said.get("ApproximateNumberOfMessagesDelayed")) or 0,
        most_receives=most,
        dead_letters=(account, name) if name else None,
    )


def in_batches(messages: Iterable[tuple[str, Message]]) -> Iterator[list[tuple[str, Message]]]:
    """Yield as many as one request may send."""
    batch, size = list[tuple[str, Message]](), 0
    for named in messages:
        if batch and (len(batch) == AT_ONCE or size + named[1].size > _BYTES_AT_ONCE):
            yield batch
            batch, size = [], 0
        batch.append(named)
        size += named[1].size
    if batch:
        yield batch


def _redrive(policy: str) -> tuple[str, str, int | None]:
    """Return account and name of the queue for dead letters, and after how many receives."""
    try:
        said = json.loads(policy or "{}")
        found = _ARN.fullmatch(str(said.get("deadLetterTargetArn", "")))
        most = _number(str(said.get("maxReceiveCount", "")))
    except (ValueError, AttributeError, RecursionError):
        return "", "", None
    return (found[1], found[2], most) if found else ("", "", None)


def _number(text: Any) -> int | None:
    if not isinstance(text, str) or not _NUMBER.fullmatch(text):
        return None
    return int(float(text))
