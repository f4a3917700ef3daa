"""Messages that are held until their volumes are done: how long, and what becomes of each."""

from dataclasses import replace
from typing import Any

import pytest

from bec_operator.api.volume_task import Attempt
from bec_operator.decide.lists.leases import (
    LONGEST,
    done_messages,
    open_again,
    tend_messages,
)
from bec_operator.decide.lists.messages import is_queue_quiet, tell_of_queue
from bec_operator.decide.memory import turning_back
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.failures import FailureClass
from bec_operator.decide.sight.moments import iso
from bec_operator.decide.sight.seen import Fact, TaskSeen
from bec_operator.decide.volumes.actions import OpenAgain, TendMessages
from bec_operator.decide.volumes.frontier import VolumeState
from bec_operator.decide.volumes.leases import Lease, Leases
from bec_operator.decide.volumes.ledger import ALREADY_DONE, Outcome
from bec_ops.contract.volume import Volume
from tests.unit.decide.test_messages import NOW, remembered

NONE: frozenset[int] = frozenset()
ONE = Volume("W1", "I0")


def holding(count: int = 1, left: float = 450.0, **spec: Any) -> Memory:
    """Return a job that holds a message for each of its volumes, for so many seconds yet."""
    memory = remembered(count, queue={"ack": "Done"}, **spec)
    for index, volume in enumerate(memory.books.volumes):
        lease = Lease(volume, f"r{index}", NOW, NOW + left, index)
        memory.books.leases.note_received({f"m{index}": lease})
    return memory


def end(
    memory: Memory, index: int, outcome: Outcome, code: int = 0, *, stored: bool = True
) -> None:
    assert memory.ledger is not None
    memory.ledger.settle(index, outcome, code)
    if stored:
        memory.ledger.unsaved.clear()


def tend(memory: Memory, at: float = NOW, *, rests: bool = False) -> list[Any]:
    return list(tend_messages(memory, NONE, at, rests=rests))


def test_a_message_is_extended_well_before_its_time_is_up() -> None:
    memory = holding()
    assert not tend(memory, NOW + 149)
    assert tend(memory, NOW + 151) == [TendMessages(keep=("m0",))]
    memory.books.leases.note_kept({"m0": "r0"}, NOW + 151 + 450)
    assert not tend(memory, NOW + 300)


def test_messages_are_extended_together() -> None:
    memory = holding(4)
    for name, until in (("m1", 380.0), ("m2", 420.0), ("m3", -1.0)):
        memory.books.leases.note_kept({name: f"r{name[1]}"}, NOW + 200 + until)
    assert tend(memory, NOW + 200) == [TendMessages(keep=("m0", "m1"))]
    memory.books.leases.note_kept({"m0": "r0", "m1": "r1"}, NOW + 200 + 450)
    assert not tend(memory, NOW + 300)


def test_one_whose_time_was_up_is_not_taken_from_who_may_have_it() -> None:
    memory = holding()
    assert not tend(memory, NOW + 451)
    assert not tend(memory, NOW + 451, rests=False)
    assert tend(memory, NOW + 451, rests=True) == [TendMessages(leave=("m0",))]


def test_a_message_is_not_extended_beyond_what_a_queue_allows() -> None:
    memory, late = holding(), NOW + LONGEST + 1
    memory.books.leases.note_kept({"m0": "r0"}, late + 100)
    assert tend(memory, late) == [TendMessages(worn=("m0",))]
    memory.books.leases.note_worn(["m0"])
    assert not tend(memory, late)
    told = tell_of_queue(memory, ("Running", "so far"))
    assert told is not None
    assert "1 message cannot be kept from others any more" in told[1]
    assert "it comes to somebody again, and the volume goes on here" in told[1]


def test_a_message_goes_only_once_it_is_stored_that_its_volume_is_done() -> None:
    memory = holding(2)
    end(memory, 0, Outcome.SUCCEEDED, stored=False)
    assert not done_messages(memory)
    assert tend(memory, NOW + 200) == [TendMessages(keep=("m0", "m1"))]
    end(memory, 1, Outcome.SUCCEEDED, ALREADY_DONE)
    assert done_messages(memory) == ("m0", "m1")
    assert not tend(memory, NOW + 200)
    assert not is_queue_quiet(memory)


@pytest.mark.parametrize(
    ("failure", "ran", "expected"),
    [
        (FailureClass.RETRYABLE, 600, TendMessages(back=(("m0", 0),))),
        (FailureClass.RETRYABLE, 50, TendMessages(back=(("m0", 400),))),
        (FailureClass.TERMINAL, 600, TendMessages(leave=("m0",))),
        (FailureClass.VERSION_MISSING, 600, TendMessages(leave=("m0",))),
    ],
)
def test_what_has_failed_goes_back_or_is_left(
    failure: FailureClass, ran: float, expected: TendMessages
) -> None:
    """Between two attempts there is the time for which a message is held."""
    memory = holding()
    failed = Attempt(number=1, pod="p", failure=failure.label, start_time=iso(NOW - ran))
    task = TaskSeen("texts", "ocr-1", "u", 1, "ocr", "uid", 0, attempts=(failed,))
    memory.books.tasks[0] = task
    end(memory, 0, Outcome.FAILED, failure, stored=False)
    assert not tend(memory)
    end(memory, 0, Outcome.FAILED, failure)
    assert tend(memory) == [expected]


def test_of_what_was_never_tried_the_next_attempt_is_as_far() -> None:
    memory = holding()
    end(memory, 0, Outcome.FAILED, FailureClass.RETRYABLE)
    assert tend(memory) == [TendMessages(back=(("m0", 450),))]


def test_who_launches_nothing_keeps_the_messages_of_what_runs_alone() -> None:
    memory = holding(3)
    end(memory, 2, Outcome.SUCCEEDED)
    (action,) = tend_messages(memory, {1}, NOW, rests=True)
    assert action == TendMessages(back=(("m0", 0),))
    assert done_messages(memory) == ("m2",)


def test_a_message_whose_volume_never_came_to_the_manifest_goes_back() -> None:
    memory = holding(0)
    memory.books.note_messages({ONE: {}}, {})
    memory.books.leases.note_received({"m": Lease(ONE, "r", NOW, NOW + 450)})
    assert not tend(memory)
    memory.books.refuse_messages(Fact(NOW, "InvalidManifest", "no"))
    assert tend(memory) == [TendMessages(back=(("m", 0),))]


def test_once_its_volume_is_in_the_manifest_a_message_is_held_for_it() -> None:
    memory = holding(1)
    two = Volume("W1", "I1")
    memory.books.note_messages({two: {}}, {})
    memory.books.leases.note_received({"m": Lease(two, "r", NOW, NOW + 450)})
    memory.lengthen([two], ["a/I1/"], "sha2")
    assert memory.books.leases.held["m"].index == 1
    assert not memory.books.inbox.held, "it is not deleted for that"
    assert not tend(memory)


def test_a_volume_that_has_failed_is_opened_again_by_a_message_that_comes_later() -> None:
    memory = holding()
    end(memory, 0, Outcome.FAILED, FailureClass.RETRYABLE, stored=False)
    memory.books.leases.note_received({"m0": Lease(ONE, "r1", NOW, NOW + 450, 0, asks=True)})
    assert not list(open_again(memory, rests=False)), "that it failed is to be stored first"
    end(memory, 0, Outcome.FAILED, FailureClass.RETRYABLE)
    assert not list(open_again(memory, rests=True))
    assert not tend(memory), "it is held meanwhile"
    assert list(open_again(memory, rests=False)) == [OpenAgain(0)]

    turning_back.open_again(memory, 0, NOW + 5)

    assert memory.ledger is not None
    assert memory.ledger.outcome(0) is Outcome.WAITING
    assert memory.books.frontier[0] is VolumeState.UNCHECKED
    assert memory.books.leases.reopened == {0: NOW + 5}
    assert not list(open_again(memory, rests=False))
    end(memory, 0, Outcome.FAILED, FailureClass.RETRYABLE)
    assert tend(memory) == [TendMessages(back=(("m0", 450),))], "it has had its try"


def test_a_volume_that_is_done_is_not_opened_again() -> None:
    """It had failed when its message came, and was opened by `retryFailedAt` meanwhile."""
    memory = holding()
    memory.books.leases.held["m0"].asks = True
    end(memory, 0, Outcome.SUCCEEDED)
    assert not list(open_again(memory, rests=False))
    assert done_messages(memory) == ("m0",)


def test_what_is_given_back_is_not_what_came_again_meanwhile() -> None:
    leases = Leases()
    leases.note_received({"m": Lease(ONE, "new", NOW, NOW + 450, 0)})
    leases.note_gone({"m": "old"})
    leases.note_kept({"m": "old", "n": "r"}, NOW + 900)
    assert leases.held["m"].until == NOW + 450
    leases.note_gone({"m": "new"})
    assert not leases.held


def test_a_queue_that_does_not_answer_is_told_of_and_asked_later() -> None:
    memory = holding()
    memory.books.leases.note_answer(Fact(NOW + 160, "ConnectionUnavailable", "away"))
    assert not tend(memory, NOW + 169)
    assert tend(memory, NOW + 171) == [TendMessages(keep=("m0",))]
    assert tend(memory, NOW + 451) == [TendMessages()], "it is told of no longer"
    memory.books.leases.note_answer(None)
    assert memory.books.leases.trouble is None


def test_what_has_not_begun_is_looked_at_again_when_its_job_has_changed() -> None:
    """While it was suspended, others may have done it."""
    shared, own = holding(2), remembered(2)
    for memory in (shared, own):
        memory.books.frontier[0] = VolumeState.STARTABLE
        task = TaskSeen("texts", "ocr-1", "u", 1, "ocr", "uid", 1)
        memory.books.tasks[1] = task
        memory.books.record(task).note_made()
        memory.observe_job(replace(memory.job, generation=3))
    assert shared.books.frontier[0] is VolumeState.UNCHECKED
    assert not shared.books.records["u"].own
    assert own.books.frontier[0] is VolumeState.STARTABLE
    assert own.books.records["u"].own
