"""Messages that are held: which of those that come, and for how long."""

import pytest

from bec_operator.act.volumes.held_messages import hold
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.failures import FailureClass
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


def test_without_a_ledger_nothing_is_held() -> None:
    memory = shared()
    memory.forget()
    assert not held(memory, 1)
