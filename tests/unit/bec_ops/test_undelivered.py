"""Reports that wait: their order, what becomes of them, and many threads at once."""

import threading
from typing import Any

import pytest

from bec_ops.link.operator_client import RefusedError, UnreachableError
from bec_ops.link.redelivery import Undelivered


class Receiver:
    """Takes reports until told otherwise."""

    def __init__(self) -> None:
        self.got: list[int] = []
        self.errors: dict[int, Exception] = {}  # by number; each is raised once

    def send(self, kind: str, fields: dict[str, Any]) -> None:
        assert kind == "done"
        if error := self.errors.pop(fields["n"], None):
            raise error
        self.got.append(fields["n"])


def waiting(*numbers: int) -> Undelivered:
    undelivered = Undelivered()
    for number in numbers:
        undelivered.add("done", {"n": number})
    return undelivered


def test_reports_are_delivered_in_order_once() -> None:
    receiver = Receiver()
    undelivered = waiting(1, 2, 3)
    assert undelivered.deliver(receiver.send)
    assert undelivered.deliver(receiver.send)
    assert receiver.got == [1, 2, 3]


def test_one_that_cannot_be_delivered_holds_up_those_after_it() -> None:
    receiver = Receiver()
    receiver.errors[2] = UnreachableError("away")
    undelivered = waiting(1, 2, 3)
    assert not undelivered.deliver(receiver.send)
    assert receiver.got == [1]
    assert undelivered.deliver(receiver.send)
    assert receiver.got == [1, 2, 3]


def test_it_is_tried_until_the_time_is_over() -> None:
    receiver = Receiver()
    receiver.errors[1] = UnreachableError("away")
    assert waiting(1).deliver(receiver.send, seconds=10)
    assert receiver.got == [1]


@pytest.mark.parametrize("word", ["Gone", "Forbidden", "Invalid", "StaleSession"])
def test_what_is_never_taken_is_dropped(word: str, caplog: pytest.LogCaptureFixture) -> None:
    receiver = Receiver()
    receiver.errors[1] = RefusedError(word, "no")
    undelivered = waiting(1, 2)
    assert undelivered.deliver(receiver.send)
    assert undelivered.deliver(receiver.send)
    assert receiver.got == [2]
    assert f"'done': {word}" in caplog.text


def test_what_may_be_taken_later_waits() -> None:
    receiver = Receiver()
    receiver.errors[1] = RefusedError("Unauthenticated", "the token has expired")
    undelivered = waiting(1)
    assert not undelivered.deliver(receiver.send)
    assert undelivered.deliver(receiver.send)
    assert receiver.got == [1]


def test_a_call_that_hangs_holds_up_no_other_thread() -> None:
    """The end of an attempt gives up waiting for it; whoever asks for the next task tries again."""
    receiver, hangs, go_on = Receiver(), threading.Event(), threading.Event()

    def send_late(kind: str, fields: dict[str, Any]) -> None:
        hangs.set()
        assert go_on.wait(10)
        receiver.send(kind, fields)

    undelivered = waiting(1)
    late = threading.Thread(target=undelivered.deliver, args=(send_late,))
    late.start()
    assert hangs.wait(10)
    assert undelivered.deliver(receiver.send)
    undelivered.add("done", {"n": 2})
    go_on.set()
    late.join(10)
    assert undelivered.deliver(receiver.send)
    assert receiver.got == [1, 1, 2], "what was said twice is gone once, and nothing else with it"


def test_nothing_is_lost_among_threads() -> None:
    receiver, undelivered = Receiver(), Undelivered()

    def add(first: int) -> None:
        for number in range(first, first + 200):
            undelivered.add("done", {"n": number})
            undelivered.deliver(receiver.send)

    threads = [threading.Thread(target=add, args=(first,)) for first in (0, 1000, 2000, 3000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert undelivered.deliver(receiver.send)
    assert set(receiver.got) == {
        n for first in (0, 1000, 2000, 3000) for n in range(first, first + 200)
    }
