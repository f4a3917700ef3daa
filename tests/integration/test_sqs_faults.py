"""Queues whose server does not do what it is asked to: told by a reason and a sentence, in time."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bec_operator.act.connections import sqs_client
from bec_operator.act.connections.sqs import Queue
from bec_operator.act.connections.sqs_answers import QUEUE_FORBIDDEN, QUEUE_NOT_FOUND
from bec_operator.act.connections.sqs_message import Message
from bec_operator.act.connections.sqs_place import QUEUE_REFUSED
from bec_operator.act.ground.connections import UNAVAILABLE
from tests.support.played_sqs import KEY, PATH, SECRET, SIGNING, TOKEN, PlayedSqs, playing, trouble
from tests.support.ports import free_ports
from tests.support.queues import SERVERS, connection, serving

ONE = {"id": "receipt"}
CALLS: dict[str, Callable[[Queue], object]] = {
    "receive": lambda queue: queue.receive(1, 0, 30),
    "delete": lambda queue: queue.delete(ONE),
    "extend": lambda queue: queue.extend(ONE, 30),
    "give_back": lambda queue: queue.give_back(ONE),
    "send": lambda queue: queue.send({"id": Message("", "", "body", {})}),
    "facts": lambda queue: queue.facts(),
    "dead_letter_url": lambda queue: queue.dead_letter_url(),
}
each_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
Call = Callable[[Queue], object]


@pytest.fixture(scope="module")
def server() -> Iterator[PlayedSqs]:
    with playing() as server:
        yield server


@pytest.fixture
def played(server: PlayedSqs) -> PlayedSqs:
    """One that says nothing much, and whom nobody has asked."""
    server.reset()
    return server


@pytest.fixture(scope="module")
def queue(server: PlayedSqs, tmp_path_factory: pytest.TempPathFactory) -> Queue:
    """One for all, as it takes longer to make a client than to ask."""
    return Queue(connection(tmp_path_factory.mktemp("secret"), server.secret()), server.queue_url)


def code(name: str) -> bytes:
    said = f"{KEY} and {TOKEN} are not what they were"
    return json.dumps({"__type": f"com.amazonaws.sqs#{name}", "message": said}).encode()


@each_call
@pytest.mark.parametrize(
    ("status", "body", "reason", "words"),
    [
        (400, code("QueueDoesNotExist"), QUEUE_NOT_FOUND, "there is no queue tasks"),
        (404, code("AWS.SimpleQueueService.NonExistentQueue"), QUEUE_NOT_FOUND, "no queue tasks"),
        (403, code("AccessDeniedException"), QUEUE_FORBIDDEN, "may not do this with queue tasks"),
        (400, code("KmsAccessDenied"), QUEUE_FORBIDDEN, "KmsAccessDenied"),
        (403, b"", QUEUE_FORBIDDEN, "403"),
        (403, code("InvalidClientTokenId"), UNAVAILABLE, "credentials are refused (InvalidClient"),
        (400, code("ExpiredTokenException"), UNAVAILABLE, "credentials are refused (Expired"),
        (400, code("InvalidSignatureException"), UNAVAILABLE, "the clock"),
        (400, code("RequestThrottled"), UNAVAILABLE, "busy or unwell (RequestThrottled"),
        (403, code("OverLimit"), UNAVAILABLE, "busy or unwell (OverLimit"),
        (503, b"<html>", UNAVAILABLE, "busy or unwell"),
        (500, b"", UNAVAILABLE, "busy or unwell"),
        (400, code("UnsupportedOperation"), QUEUE_REFUSED, "refuses what was asked"),
        (400, code(f"X{SECRET * 99}"), QUEUE_REFUSED, "no code"),
        (301, b"", UNAVAILABLE, "no SQS"),
        (200, b"[]", UNAVAILABLE, "no SQS"),
        (200, b"null", UNAVAILABLE, "no SQS"),
        (200, b"\xff", UNAVAILABLE, "no SQS"),
        (200, b"[" * 100_000, UNAVAILABLE, "no SQS"),
        (400, b'"x"', UNAVAILABLE, "no SQS"),
    ],
)
def test_whatever_is_said_becomes_a_reason_and_a_sentence(
    played: PlayedSqs, queue: Queue, call: Call, status: int, body: bytes, reason: str, words: str
) -> None:
    played.status, played.body = status, body
    told = trouble(lambda: call(queue))
    assert told.reason == reason
    assert words in str(told)
    assert len(played.come) == 1, "it is not asked again by itself"


@each_call
def test_a_page_that_stands_before_the_server_is_no_empty_queue(
    played: PlayedSqs, queue: Queue, call: Call
) -> None:
    """As that of a log-in: botocore takes it for an empty answer, and so for no messages."""
    played.body, played.kind = b"<html>Please log in</html>", "text/html"
    told = trouble(lambda: call(queue))
    assert told.reason == UNAVAILABLE
    assert "what answers is no SQS" in str(told)


@pytest.mark.parametrize(
    "found",
    [
        5,
        {"MessageId": "a", "ReceiptHandle": "b"},
        {"MessageId": 5, "ReceiptHandle": "b", "Body": "c"},
        {"MessageId": "a", "ReceiptHandle": "b", "Body": "c", "MessageAttributes": {"w_id": 5}},
        {"MessageId": "a", "ReceiptHandle": "b", "Body": "c", "Attributes": [5]},
    ],
)
def test_what_is_no_message_is_no_answer(played: PlayedSqs, queue: Queue, found: object) -> None:
    played.body = json.dumps({"Messages": [found]}).encode()
    assert trouble(lambda: queue.receive(1, 0, 30)).reason == UNAVAILABLE


def test_what_is_said_of_a_message_may_be_nonsense(played: PlayedSqs, queue: Queue) -> None:
    good = {"MessageId": "a", "ReceiptHandle": "b", "Body": "c"}
    numbers = {"ApproximateReceiveCount": "9" * 5000, "SentTimestamp": "yesterday"}
    played.body = json.dumps({"Messages": [good | {"Attributes": numbers}]}).encode()
    assert queue.receive(1, 0, 30) == [Message("a", "b", "c", {}, 1, None)]
    for policy in ("{", "[]", '{"deadLetterTargetArn": "x"}', "[" * 50_000):
        played.body = json.dumps({"Attributes": {"RedrivePolicy": policy}}).encode()
        assert queue.dead_letter_url() is None


def test_a_failure_of_the_moment_is_to_be_tried_again(played: PlayedSqs, queue: Queue) -> None:
    failed = {"Id": "0", "Code": "InternalError", "SenderFault": False}
    stray = {"Id": "7", "Code": "ReceiptHandleIsInvalid", "SenderFault": True}
    played.body = json.dumps({"Failed": [failed, stray], "Successful": [{"Id": "9"}]}).encode()
    assert queue.delete(ONE) == queue.extend(ONE, 30) == queue.give_back(ONE) == set()
    assert CALLS["send"](queue) == set()


@pytest.mark.parametrize("name", ["MessageNotInflight", "InvalidParameterValue"])
def test_what_amazon_says_of_a_message_that_is_not_in_flight(
    played: PlayedSqs, queue: Queue, name: str
) -> None:
    failed = {"Id": "0", "Code": f"AWS.SimpleQueueService.{name}", "SenderFault": True}
    played.body = json.dumps({"Failed": [failed]}).encode()
    assert queue.delete(ONE) == queue.give_back(ONE) == {"id"}
    assert queue.extend(ONE, 30) == ({"id"} if name == "MessageNotInflight" else set())


@pytest.mark.parametrize("name", SERVERS)
def test_a_queue_that_is_not_there(name: str, tmp_path: Path) -> None:
    with serving(name) as server:
        url = server.make_queue().rpartition("/")[0] + "/nowhere"
        queue = Queue(connection(tmp_path, server.secret()), url)
        for call in CALLS.values():
            told = trouble(lambda call=call: call(queue))  # type: ignore[misc]
            assert told.reason == QUEUE_NOT_FOUND
            assert "there is no queue nowhere" in str(told)


def test_a_queue_of_dead_letters_that_is_not_there_is_told_by_its_name(
    played: PlayedSqs, queue: Queue
) -> None:
    arn = "arn:aws:sqs:us-east-1:123456789012:dead"
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 3})
    played.body = json.dumps(
        {"Attributes": {"RedrivePolicy": policy}, "QueueUrl": f"http://elsewhere{PATH}"}
    ).encode()
    assert queue.dead_letter_url() == played.queue_url, "no other server is ever asked"
    played.body = json.dumps({"Attributes": {"RedrivePolicy": policy}}).encode()
    assert trouble(queue.dead_letter_url).reason == UNAVAILABLE


@each_call
def test_a_server_that_is_away(tmp_path: Path, call: Call) -> None:
    endpoint = f"http://127.0.0.1:{free_ports(1)[0]}"
    connected = connection(tmp_path, SIGNING | {"AWS_ENDPOINT_URL_SQS": endpoint})
    told = trouble(lambda: call(Queue(connected, f"{endpoint}{PATH}")))
    assert told.reason == UNAVAILABLE
    assert "cannot be reached" in str(told)


def test_a_server_that_never_answers_is_waited_for_no_longer_than_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (sqs_client.CONNECT, sqs_client.ANSWER) == (5, 10)
    monkeypatch.setattr(sqs_client, "ANSWER", 1)
    with black_hole() as endpoint:
        connected = connection(tmp_path, SIGNING | {"AWS_ENDPOINT_URL_SQS": endpoint})
        for wait in (0, 1):
            began = time.monotonic()
            told = trouble(
                lambda wait=wait: Queue(connected, f"{endpoint}{PATH}").receive(1, wait, 30)  # type: ignore[misc]
            )
            assert (told.reason, "in time" in str(told)) == (UNAVAILABLE, True)
            assert wait + 1 <= time.monotonic() - began < wait + 5


@contextmanager
def black_hole() -> Iterator[str]:
    """Yield where somebody takes connections, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.mark.parametrize("endpoint", [None, "http://127.0.0.1:9"])
def test_a_foreign_host_is_never_connected_to(
    played: PlayedSqs, tmp_path: Path, endpoint: str | None
) -> None:
    secret = SIGNING | ({"AWS_ENDPOINT_URL_SQS": endpoint} if endpoint else {})
    foreign = played.queue_url
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        bare = f"http://127.0.0.1:{listening.getsockname()[1]}{PATH}"
        for url in (foreign, bare):
            told = trouble(lambda url=url: Queue(connection(tmp_path, secret), url))  # type: ignore[misc]
            assert told.reason == QUEUE_REFUSED
        with pytest.raises(BlockingIOError):
            listening.accept()
    assert played.come == []
