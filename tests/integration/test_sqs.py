"""Queues as the operator uses them, on both servers; where they differ, the test says how."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bec_operator.act.connections.sqs import Queue
from bec_operator.act.connections.sqs_message import Message
from bec_operator.act.connections.sqs_place import QUEUE_REFUSED
from bec_operator.act.ground.connections import ConnectionTrouble
from bec_operator.sources.messages import read_message
from bec_ops.contract.volume import Volume
from tests.support.queues import SERVERS, Sqs, connection, serving
from tests.support.waiting import until

HELD = 30  # seconds that nobody waits for
BODY = '{"w_id": "W1", "i_id": "I1"}'


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[Sqs]:
    with serving(request.param) as server:
        yield server


MakeQueue = Callable[..., Queue]


@pytest.fixture
def make(server: Sqs, tmp_path: Path) -> MakeQueue:
    """Make a queue of its own, with attributes, and return it as the operator sees it."""

    def make(**attributes: str) -> Queue:
        url = server.make_queue(**attributes)
        return Queue(connection(tmp_path / "secret", server.secret()), url)

    return make


def message(body: str = BODY, **attributes: str) -> Message:
    return Message("", "", body, attributes)


def send(queue: Queue, *bodies: str) -> None:
    messages = {str(at): message(body) for at, body in enumerate(bodies or [BODY])}
    assert queue.send(messages) == set(messages)


def receive_one(queue: Queue, visibility: int = HELD) -> Message:
    (found,) = queue.receive(1, 5, visibility)
    return found


def receipts(*messages: Message) -> dict[str, str]:
    return {each.id: each.receipt for each in messages}


def bodies(queue: Queue, wait: int = 1) -> set[str]:
    """Receive what there is, until nothing comes."""
    found = set[str]()
    while messages := queue.receive(10, wait, HELD):
        found |= {each.body for each in messages}
    return found


def test_a_message_is_received_with_what_it_says(make: MakeQueue) -> None:
    queue, began = make(), time.time()
    queue.send({"a": message(w_id="W1", i_id="ཀ1", i_version="a1")})
    found = receive_one(queue)
    assert found.body == BODY
    assert found.attributes == {"w_id": "W1", "i_id": "ཀ1", "i_version": "a1"}
    assert found.received == 1
    assert found.sent is not None
    assert abs(found.sent - began) < 60
    assert read_message(found.body, found.attributes) == Volume("W1", "ཀ1", "a1")


def test_attributes_that_are_no_strings_are_left_out(server: Sqs, tmp_path: Path) -> None:
    url = server.make_queue()
    server.client().send_message(
        QueueUrl=url,
        MessageBody=BODY,
        MessageAttributes={
            "w_id": {"DataType": "Number", "StringValue": "1"},
            "i_id": {"DataType": "Binary", "BinaryValue": b"1"},
            "source": {"DataType": "String.text", "StringValue": "bnf"},
        },
    )
    found = receive_one(Queue(connection(tmp_path, server.secret()), url))
    assert found.attributes == {"source": "bnf"}


def test_nobody_else_receives_it_until_it_is_given_back(make: MakeQueue) -> None:
    queue = make()
    send(queue)
    first = receive_one(queue)
    assert queue.receive(10, 0, HELD) == []
    assert queue.facts().in_flight == 1
    assert queue.give_back(receipts(first)) == {first.id}
    again = receive_one(queue)
    assert (again.id, again.received) == (first.id, 2)
    assert again.receipt != first.receipt


def test_it_comes_again_when_its_time_is_up_and_not_before(make: MakeQueue) -> None:
    queue = make()
    send(queue)
    first = receive_one(queue, visibility=1)
    assert queue.extend(receipts(first), 3) == set()
    began = time.monotonic()
    again = receive_one(queue)
    assert again.id == first.id
    assert time.monotonic() - began > 2, "one second would be without the extension"


def test_a_batch_of_25_is_received_extended_and_deleted(make: MakeQueue) -> None:
    queue = make()
    send(queue, *(f"body {n}" for n in range(25)))
    found = dict[str, Message]()
    until(lambda: found.update(_by_id(queue)) or len(found) == 25, "all have come")
    assert {each.body for each in found.values()} == {f"body {n}" for n in range(25)}
    assert queue.extend(receipts(*found.values()), HELD) == set()
    assert queue.delete(receipts(*found.values())) == set(found)
    facts = queue.facts()
    assert (facts.waiting, facts.in_flight) == (0, 0)


def _by_id(queue: Queue) -> dict[str, Message]:
    return {each.id: each for each in queue.receive(10, 1, HELD)}


def test_large_messages_are_sent_by_several_requests(make: MakeQueue) -> None:
    queue = make()
    sent = {f"{n}{'x' * 200_000}" for n in range(3)}
    send(queue, *sent)
    assert bodies(queue) == sent


def test_nothing_is_asked_for_no_messages(make: MakeQueue) -> None:
    queue = make()
    assert queue.delete({}) == queue.extend({}, 5) == queue.give_back({}) == queue.send({}) == set()


def test_a_deletion_can_be_repeated(make: MakeQueue) -> None:
    """ElasticMQ refuses the second one, moto and Amazon do not: both ways nothing is left to do."""
    queue = make()
    send(queue)
    found = receive_one(queue)
    for _ in range(2):
        assert queue.delete(receipts(found)) == {found.id}
    assert queue.extend(receipts(found), HELD) == {found.id}
    assert queue.give_back(receipts(found)) == {found.id}


def test_a_receipt_that_nobody_has_given_leaves_nothing_to_do(make: MakeQueue) -> None:
    queue = make()
    assert queue.delete({"a": "rubbish", "b": "x y"}) == {"a", "b"}
    assert queue.extend({"a": "rubbish"}, HELD) == {"a"}


def test_an_old_receipt_leaves_nothing_to_do_whoever_has_the_message(
    make: MakeQueue, server: Sqs
) -> None:
    """Amazon documents that it succeeds and maybe does nothing; ElasticMQ refuses it.

    With moto it deletes the message that another works on, or extends it in that one's place.
    """
    queue = make()
    send(queue)
    old = receive_one(queue, visibility=1)
    new = receive_one(queue)
    assert new.id == old.id
    assert queue.extend(receipts(old), HELD) == ({old.id} if server.name == "elasticmq" else set())
    assert queue.delete(receipts(old)) == {old.id}
    assert queue.facts().in_flight == (1 if server.name == "elasticmq" else 0)
    assert queue.delete(receipts(new)) == {new.id}
    assert queue.facts().in_flight == 0


def test_a_receipt_whose_time_is_up_still_holds_while_nobody_else_has_it(make: MakeQueue) -> None:
    queue = make()
    send(queue)
    found = receive_one(queue, visibility=1)
    until(lambda: queue.facts().in_flight == 0, "its time is up")
    assert queue.extend(receipts(found), HELD) == set()
    assert queue.receive(1, 0, HELD) == []
    assert queue.delete(receipts(found)) == {found.id}
    assert queue.facts().in_flight == 0


def test_what_is_kept_too_long_is_not_told_as_lost(make: MakeQueue, server: Sqs) -> None:
    """ElasticMQ takes any number. Of moto the whole request is refused, of Amazon one message."""
    queue = make()
    send(queue)
    found = receive_one(queue)
    if server.name == "elasticmq":
        assert queue.extend(receipts(found), 100_000) == set()
    else:
        with pytest.raises(ConnectionTrouble, match="InvalidParameterValue") as caught:
            queue.extend(receipts(found), 100_000)
        assert caught.value.reason == QUEUE_REFUSED
    assert queue.delete(receipts(found)) == {found.id}


def with_dead_letters(make: MakeQueue, server: Sqs, most: int) -> tuple[Queue, str]:
    """Return a queue, and the URL of its queue of dead letters."""
    dead = server.make_queue()
    told = server.client().get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])
    policy = {"deadLetterTargetArn": told["Attributes"]["QueueArn"], "maxReceiveCount": most}
    return make(RedrivePolicy=json.dumps(policy)), dead


def test_what_is_received_too_often_goes_to_the_dead_letters(
    make: MakeQueue, server: Sqs, tmp_path: Path
) -> None:
    queue, dead = with_dead_letters(make, server, 2)
    assert queue.facts().most_receives == 2
    assert queue.dead_letter_url() == dead
    send(queue)
    for count in (1, 2):
        found = receive_one(queue)
        assert found.received == count
        queue.give_back(receipts(found))
    assert queue.receive(1, 0, HELD) == []
    letter = receive_one(Queue(connection(tmp_path / "secret", server.secret()), dead))
    assert (letter.id, letter.body, letter.received) == (found.id, BODY, 3)


def test_none_may_come_though_one_waits(make: MakeQueue, server: Sqs) -> None:
    """ElasticMQ answers with none as it moves one to the dead letters; the next call has it."""
    queue, _ = with_dead_letters(make, server, 1)
    send(queue, "first")
    queue.give_back(receipts(receive_one(queue)))
    send(queue, "second")
    found = queue.receive(1, 0, HELD)
    assert [each.body for each in found] == ([] if server.name == "elasticmq" else ["second"])
    assert [each.body for each in found + queue.receive(1, 0, HELD)] == ["second"]


def test_a_queue_without_dead_letters_says_so(make: MakeQueue, server: Sqs) -> None:
    queue = make(VisibilityTimeout="450")
    assert queue.dead_letter_url() is None
    facts = queue.facts()
    assert (facts.fifo, facts.visibility, facts.most_receives) == (False, 450, None)
    # ElasticMQ says nothing of a retention.
    assert facts.retention == (None if server.name == "elasticmq" else 345_600)


def test_a_long_poll_returns_soon_after_a_message_comes(make: MakeQueue) -> None:
    queue = make()
    with ThreadPoolExecutor(1) as pool:
        began = time.monotonic()
        waiting = pool.submit(queue.receive, 1, 20, HELD)
        assert queue.receive(1, 1, HELD) == []  # one second goes by
        send(queue)
        sent = time.monotonic()
        assert waiting.result(15)[0].body == BODY
        assert time.monotonic() - sent < 1
    assert sent - began > 0.9
