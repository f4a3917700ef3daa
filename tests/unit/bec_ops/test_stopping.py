"""Being told to stop."""

import os
import signal
import threading

import pytest

from bec_ops.contract.errors import Interrupted
from bec_ops.link.stopping import Stop, signals_stop


def test_the_first_reason_counts_and_listeners_hear_of_it_once() -> None:
    heard: list[str] = []
    stop = Stop()
    stop.on_request(lambda: heard.append(stop.reason))
    stop.check()
    assert not stop.look()
    stop.request("one")
    stop.request("two")
    assert heard == ["one"]
    stop.on_request(lambda: heard.append("late"))
    assert heard == ["one", "late"]


def test_it_is_known_whether_the_work_has_looked() -> None:
    stop = Stop()
    stop.look()
    stop.request("one")
    assert not stop.seen
    assert stop.look()
    assert stop.seen
    with pytest.raises(Interrupted, match="one"):
        stop.check()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_ask_for_a_stop_and_are_given_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    stop = Stop()
    with signals_stop(stop, lambda: None):
        os.kill(os.getpid(), number)
        assert stop.reason == f"got {number.name}"
    assert signal.getsignal(number) == before


def test_elsewhere_than_in_the_main_thread_signals_are_left_alone() -> None:
    inside: list[object] = []

    def run() -> None:
        with signals_stop(Stop(), lambda: None):
            inside.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert inside == [signal.getsignal(signal.SIGTERM)]
