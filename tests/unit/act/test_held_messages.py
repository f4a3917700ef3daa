"""Messages that are held: which of those that come, for how long, and what is told of them."""

from types import SimpleNamespace
from typing import Any

import pytest

from bec_operator.act.ground.api_server import ApiError, ApiServer
from bec_operator.act.ground.clock import Clock
from bec_operator.act.ground.connections import Connections
from bec_operator.act.volumes.held_messages import hold, tend_messages
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.failures import FailureClass
from bec_operator.decide.volumes.actions import TendMessages
from bec_operator.decide.volumes.leases import Lease
from bec_operator.decide.volumes.ledger import Outcome
from bec_ops.contract.volume import Volume
from tests.unit.decide.test_messages import NOW, remembered

ONE = Volume("W1", "I0")


def held(memory: Memory, times: int, **places: int) -> dict[str, Lease]:
    """Return what is held once a message has come, so many times by now."""
    where = {ONE: places["index"]} if places else {}
    hold(memory, {ONE: {"m": "r"}}, where, {"m": (NOW, times)})
    return memory.books.leases.held


def shared(outcome: Outcome = Outcome.WAITING, code: int = 0, visibility: str = "1m") -> Memory:
    memory = remembered(1, queue={"ack": "Done", "visibility": visibility})
    assert memory.ledger is not None
    memory.ledger.settle(0, outcome, code)
    return memory


@pytest.mark.parametrize("outcome", [Outcome.WAITING, Outcome.SUCCEEDED])
def test_a_message_is_held_whatever_is_known_of_its_volume(outcome: Outcome) -> None:
    """If it is done, the message is deleted once that is stored."""
    assert held(shared(outcome), 3, index=0) == {"m": Lease(ONE, "r", NOW, NOW + 60, 0)}
    assert held(shared(), 1) == {"m": Lease(ONE, "r", NOW, NOW + 60, None)}
    usual = remembered(1, queue={"ack": "Done"})
    assert held(usual, 1)["m"].until == NOW + 450


@pytest.mark.parametrize(
    ("outcome", "failure", "times", "asks"),
    [
        (Outcome.FAILED, FailureClass.RETRYABLE, 1, True),
        (Outcome.FAILED, FailureClass.RETRYABLE, 2, True),
        (Outcome.FAILED, FailureClass.TERMINAL, 1, True),
        (Outcome.FAILED, FailureClass.TERMINAL, 2, None),
        (Outcome.SKIPPED, FailureClass.DEPENDENCY_FAILED, 2, None),
        (Outcome.FAILED, 31, 2, True),
    ],
)
def test_of_what_has_failed_a_message_asks_for_another_try(
    outcome: Outcome, failure: int, times: int, asks: bool | None
) -> None:
    """What no try can help is left to the queue, unless somebody has sent it anew."""
    found = held(shared(outcome, failure), times, index=0)
    assert (found["m"].asks if found else None) is asks


def test_a_queue_that_gives_a_message_is_not_empty() -> None:
    """Be it one of a volume that is done: whoever sends it may send more."""
    memory = shared(Outcome.SUCCEEDED)
    memory.books.inbox.note_empty(NOW - 60, 1, 0.0, empty=True)
    assert memory.books.inbox.is_empty(1)
    hold(memory, {}, {}, {})
    assert memory.books.inbox.is_empty(1)
    held(memory, 2, index=0)
    assert not memory.books.inbox.is_empty(1)


def test_without_a_ledger_nothing_is_held() -> None:
    memory = shared()
    memory.forget()
    assert not held(memory, 1)


class _Api(ApiServer):
    """Has no Events, and keeps what is made."""

    def __init__(self) -> None:
        self.made: list[Any] = []

    async def request(self, method: str, path: str, body: Any = None, **_: Any) -> Any:
        if method != "POST":
            raise ApiError(404, "NotFound", path)
        self.made.append(body)
        return body


def context(api: ApiServer) -> Any:
    return SimpleNamespace(api=api, clock=Clock(), connections=Connections())


async def test_people_are_told_of_messages_that_cannot_be_extended() -> None:
    memory, api = shared(), _Api()
    held(memory, 1, index=0)
    await tend_messages(context(api), memory, TendMessages(worn=("m",)))
    assert memory.books.leases.count_worn() == 1
    (event,) = api.made
    assert event["reason"] == "MessagesWorn"
    assert "twelve hours" in event["message"]
    assert memory.books.leases.trouble is None


async def test_what_a_queue_does_not_take_back_stays_ours() -> None:
    memory, api = shared(), _Api()
    lease = held(memory, 1, index=0)["m"]
    await tend_messages(context(api), memory, TendMessages(back=(("m", 0),)))
    assert memory.books.leases.held == {"m": lease}
    trouble = memory.books.leases.trouble
    assert trouble is not None
    assert trouble.reason == "ConnectionUnknown"
    assert trouble.message.startswith("spec.volumes.queue: ")

    await tend_messages(context(api), memory, TendMessages(leave=("m",)))
    assert not memory.books.leases.held
    assert memory.books.leases.trouble is None
