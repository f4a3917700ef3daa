"""How long a task is a worker's without a word of the operator."""

import threading

import pytest

from bec_ops.link.stopping import Stop
from bec_ops.outside import lease as lease_module
from bec_ops.outside.lease import Lease


class Clock:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(lease_module, "now", clock)
    monkeypatch.setattr(lease_module, "_LOOK", 0.01)
    return clock


def stopped(stop: Stop, seconds: float) -> bool:
    """Wait so long at most for a stop."""
    heard = threading.Event()
    stop.on_request(heard.set)
    return heard.wait(seconds)


@pytest.mark.parametrize(("seconds", "margin", "own"), [(300, 20, 280), (40, 20, 30), (60, 0, 60)])
def test_the_work_is_stopped_a_margin_before(
    clock: Clock, seconds: float, margin: float, own: float
) -> None:
    stop = Stop()
    Lease(seconds, margin, 1000.0, stop)
    clock.time += own - 1
    assert not stopped(stop, 0.1)
    clock.time += 1
    assert stopped(stop, 10)
    assert f"after {seconds} s the volume is another worker's" in stop.reason


def test_what_is_heard_makes_it_longer_and_nothing_makes_it_shorter(clock: Clock) -> None:
    stop = Stop()
    lease = Lease(100, 10, 1000.0, stop)
    lease.renew(1080.0)
    lease.renew(1020.0)
    clock.time = 1165.0
    assert not stopped(stop, 0.1)
    clock.time = 1170.0
    assert stopped(stop, 10)


def test_a_machine_that_slept_stops_as_it_wakes(clock: Clock) -> None:
    stop = Stop()
    Lease(300, 20, 1000.0, stop)
    clock.time += 8 * 3600
    assert stopped(stop, 10)
    assert "was not heard for 28800 s" in stop.reason


def test_a_task_that_has_ended_is_watched_no_more(clock: Clock) -> None:
    stop = Stop()
    lease = Lease(300, 20, 1000.0, stop)
    lease.end()
    clock.time += 1000
    assert not stopped(stop, 0.1)
