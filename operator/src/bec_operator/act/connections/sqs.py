"""A queue of SQS, as the operator uses it: messages are received, kept for a while, and deleted.

All of it waits for the queue's server: it runs in a thread of the connection.

A message is handed out with a receipt, and is its receiver's until its time is up. Then somebody
else may receive it, with a receipt of its own, and what the servers do with the old one differs:
Amazon documents that a deletion succeeds and maybe does nothing, ElasticMQ refuses it, moto
deletes what another works on. So nobody may conclude from a deletion that a message is gone for
all: it may come again, and whoever receives it has to see what became of its volume.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bec_operator.act.connections.sqs_answers import answering, no_sqs, short_code
from bec_operator.act.connections.sqs_client import CLIENTS
from bec_operator.act.connections.sqs_message import (
    AT_ONCE,
    Facts,
    Message,
    facts_of,
    in_batches,
    message_of,
)
from bec_operator.act.connections.sqs_place import place_of
from bec_operator.act.ground.connections import Connection

if TYPE_CHECKING:
    from mypy_boto3_sqs.client import SQSClient

LONGEST_WAIT = 20
"""Seconds that a server lets a receiver wait."""

LONGEST_HOLD = 12 * 3600
"""Seconds since its receiving that a message can be kept from others, however often extended."""

# What is said of a receipt whose time was up, or whose message is deleted. The last one says so
# where nothing else can be wrong: not of an extension, which may be too long.
_LOST = {"ReceiptHandleIsInvalid", "MessageNotInflight"}
_SPENT = _LOST | {"InvalidParameterValue"}


class Queue:
    """One queue, by its URL; raises ConnectionTrouble for one that is not of the connection."""

    def __init__(self, connection: Connection, url: str) -> None:
        self._connection = connection
        self._place = place_of(connection, url)

    def receive(self, most: int, wait: int, visibility: int) -> list[Message]:
        """Return up to ten messages, which nobody else gets for `visibility` seconds.

        Where there are none it waits so many seconds for the first. None at all does not mean that
        none is there: ElasticMQ says so as it moves one to the dead letters, and Amazon documents
        it of queues with few.
        """
        wait = min(wait, LONGEST_WAIT)
        with self._client(wait) as client:
            answer = client.receive_message(
                QueueUrl=self._place.url,
                MaxNumberOfMessages=max(1, min(most, AT_ONCE)),
                WaitTimeSeconds=wait,
                VisibilityTimeout=min(visibility, LONGEST_HOLD),
                MessageAttributeNames=["All"],
                MessageSystemAttributeNames=["ApproximateReceiveCount", "SentTimestamp"],
            )
            self._check(answer)
            return [message_of(found) for found in answer.get("Messages", [])]

    def delete(self, receipts: Mapping[str, str]) -> set[str]:
        """Delete messages, by their ids and receipts; return the ids with which nothing is left.

        These are deleted, or their receipts are of no use any more: whoever has received them
        since has them. The rest is to be tried again.
        """

        def ask(client: "SQSClient", entries: Any) -> Any:
            return client.delete_message_batch(QueueUrl=self._place.url, Entries=entries)

        return self._ask(receipts, ask, _SPENT, taken=True)

    def extend(self, receipts: Mapping[str, str], seconds: int) -> set[str]:
        """Keep messages from others for so long from now; return the ids of those that are lost.

        These are deleted, or their time was up, and others have them or will. Nothing is kept for
        longer than twelve hours in all, and none is told as lost before it is.
        """
        return self._ask(receipts, self._hide(min(seconds, LONGEST_HOLD)), _LOST, taken=False)

    def give_back(self, receipts: Mapping[str, str]) -> set[str]:
        """Let others have messages at once; return the ids with which nothing is left to do."""
        return self._ask(receipts, self._hide(0), _SPENT, taken=True)

    def send(self, messages: Mapping[str, Message]) -> set[str]:
        """Send what messages say, as to a queue of dead letters; return the ids that it has taken.

        They are new messages there, and counted anew. The rest is to be tried again.
        """
        sent = set[str]()
        for batch in in_batches(messages.items()):
            entries: Any = [
                {"Id": str(at), "MessageBody": message.body, "MessageAttributes": _typed(message)}
                for at, (_, message) in enumerate(batch)
            ]
            with self._client() as client:
                answer = client.send_message_batch(QueueUrl=self._place.url, Entries=entries)
                places = self._places(answer, set(), taken=True)
            sent |= {name for at, (name, _) in enumerate(batch) if str(at) in places}
        return sent

    def facts(self) -> Facts:
        """Return what the queue says of itself."""
        with self._client() as client:
            answer = client.get_queue_attributes(QueueUrl=self._place.url, AttributeNames=["All"])
            self._check(answer)
            return facts_of(answer.get("Attributes", {}))

    def dead_letter_url(self) -> str | None:
        """Return the URL of the queue for what was received too often; None if there is none."""
        found = self.facts().dead_letters
        if found is None:
            return None
        account, name = found
        with self._client(of=name) as client:
            answer = client.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account)
            self._check(answer)
            # A server behind another name says its own, and none is asked but the connection's.
            return self._place.beside(answer["QueueUrl"])

    def _hide(self, seconds: int) -> Callable[["SQSClient", Any], Any]:
        """Return what keeps messages from others for so long."""

        def ask(client: "SQSClient", entries: Any) -> Any:
            timed: Any = [entry | {"VisibilityTimeout": seconds} for entry in entries]
            return client.change_message_visibility_batch(QueueUrl=self._place.url, Entries=timed)

        return ask

    def _ask(
        self,
        receipts: Mapping[str, str],
        ask: Callable[["SQSClient", Any], Any],
        codes: set[str],
        *,
        taken: bool,
    ) -> set[str]:
        """Ask it of each message; return the ids that `_places` finds."""
        found = set[str]()
        items = list(receipts.items())
        for start in range(0, len(items), AT_ONCE):
            batch = items[start : start + AT_ONCE]
            entries = [
                {"Id": str(at), "ReceiptHandle": receipt} for at, (_, receipt) in enumerate(batch)
            ]
            with self._client() as client:
                places = self._places(ask(client, entries), codes, taken=taken)
            found |= {name for at, (name, _) in enumerate(batch) if str(at) in places}
        return found

    def _places(self, answer: Any, codes: set[str], *, taken: bool) -> set[str]:
        """Return which of a request failed with one of these codes and, if asked, which did not."""
        self._check(answer)
        refused = {
            each["Id"] for each in answer.get("Failed", []) if short_code(each["Code"]) in codes
        }
        return refused | {each["Id"] for each in answer.get("Successful", []) if taken}

    @contextmanager
    def _client(self, wait: int = 0, of: str = "") -> Iterator["SQSClient"]:
        with answering(self._connection.name, of or self._place.name):
            yield CLIENTS.client(self._connection, self._place, wait)

    def _check(self, answer: Any) -> None:
        """See that it is SQS that answers: botocore takes a page of HTML for an empty answer."""
        headers = answer["ResponseMetadata"].get("HTTPHeaders", {})
        if "json" not in headers.get("content-type", ""):
            raise no_sqs(self._connection.name, "its answer is no JSON")


def _typed(message: Message) -> dict[str, dict[str, str]]:
    return {
        name: {"DataType": "String", "StringValue": value}
        for name, value in message.attributes.items()
    }
