"""Attempts in workers from elsewhere: how long they are theirs, and how they end."""

from dataclasses import replace

import pytest

from bec_operator.api.names import pod_name
from bec_operator.api.retry import Retry
from bec_operator.api.timeouts import Timeouts
from bec_operator.api.volume_task import Attempt, TaskPhase
from bec_operator.decide.attempts.actions import RecordHeartbeat, StopPod
from bec_operator.decide.attempts.running import accompany
from bec_operator.decide.attempts.view import Limits
from bec_operator.decide.hosts.seats import REPLACED_AFTER, Seating, seats_of
from bec_operator.decide.sight.failures import FailureClass
from bec_operator.decide.sight.moments import iso
from bec_operator.decide.sight.pool_seen import PoolWorker
from bec_operator.decide.sight.seen import PodSeen, Report, TaskSeen, Verdict, WorkerSeen
from tests.unit.decide.views import task_view

NOW = 1_800_000_000.0
LEASE = 300.0
BEGUN = Attempt(
    number=1,
    pod="desk",
    pod_uid="desk-1/left",
    session="mine",
    start_time=iso(NOW),
    lease_seconds=LEASE,
)
TASK = TaskSeen("ns", "t", "uid-t", 1, "j", "uid-j", 0, TaskPhase.RUNNING, attempts=(BEGUN,))
WORKER = PoolWorker("desk-1/left", "mine", NOW - 200, has=("uid-t", 1))
LATE = Verdict(FailureClass.TOO_LONG, "it ran for 1h (timeouts.task)")


class Look:
    """Looks at the seat of the attempt, one after the other."""

    def __init__(self) -> None:
        self.seating = Seating()
        self.worker: PoolWorker | None = WORKER
        self.told: WorkerSeen | None = None

    def at(self, after: float, turned_away: float = 0.0) -> PodSeen:
        """Return the seat so many seconds after the attempt began."""
        found = seats_of(
            [TASK],
            {},
            lambda _: self.worker,
            lambda _: self.told,
            lambda _: self.seating,
            NOW + after,
            turned_away,
        )
        return found[pod_name("t", 1)]

    def call(self, after: float, report: Report | None = None, activity: int = 0) -> None:
        """Have the worker call."""
        at = NOW + after
        self.told = WorkerSeen(BEGUN.pod_uid, 1, at, at, activity=activity, report=report)


def test_it_is_like_a_pod_though_there_is_none() -> None:
    seat = Look().at(0)
    assert (seat.name, seat.task, seat.owner_uid) == ("t-1", "t", "uid-t")
    assert (seat.real_name, seat.uid, seat.node, seat.lease) == ("desk", "desk-1/left", "", LEASE)
    assert seat.alive
    assert not seat.worker_ended


def test_silence_ends_it_and_a_call_keeps_it() -> None:
    look = Look()
    assert not look.at(0).worker_ended
    assert not look.at(LEASE - 1).worker_ended
    look.call(LEASE - 1)
    assert not look.at(LEASE + 1).worker_ended
    ended = look.at(2 * LEASE)
    assert ended.worker_ended
    assert ended.report is not None
    assert ended.report.failure is FailureClass.DISRUPTED
    assert ended.report.message == "nothing was heard of worker desk for 5m: its lease is over"


def test_what_is_lost_stays_lost() -> None:
    look = Look()
    look.at(0)
    first = look.at(LEASE)
    look.call(LEASE + 1)
    again = look.at(LEASE + 2)
    assert again.worker_ended
    assert again.seen_ended == first.seen_ended
    assert look.seating.tenure.lapsed == 1


def test_after_a_restart_the_lease_begins_anew() -> None:
    look = Look()
    look.worker = None
    assert not look.at(10 * LEASE).worker_ended
    assert look.at(11 * LEASE).worker_ended


def test_who_is_not_listened_to_is_not_silent() -> None:
    look = Look()
    look.at(0)
    assert not look.at(LEASE + 1, turned_away=NOW + 10).worker_ended
    assert look.at(LEASE + 10, turned_away=NOW + 10).worker_ended


@pytest.mark.parametrize("failure", [None, FailureClass.TERMINAL])
def test_its_word_ends_it(failure: FailureClass | None) -> None:
    look = Look()
    look.at(0)
    look.call(1, Report(NOW + 1, failure))
    ended = look.at(2)
    assert ended.worker_ended
    assert ended.report is not None
    assert ended.report.failure is failure


def test_another_process_takes_over() -> None:
    look = Look()
    look.at(0)
    look.worker = PoolWorker(BEGUN.pod_uid, "other", NOW + 1)
    assert not look.at(1).worker_ended
    ended = look.at(1 + REPLACED_AFTER)
    assert ended.report is not None
    assert ended.report.failure is FailureClass.RETRYABLE


def test_one_that_is_to_stop_has_as_long_as_its_lease() -> None:
    look = Look()
    look.at(0)
    look.seating.tenure.stop(1, LATE, NOW + 10)
    look.seating.tenure.stop(1, Verdict(FailureClass.STUCK, "later"), NOW + 20)
    look.call(10 + LEASE - 1)
    assert look.at(10 + LEASE - 1).stopped == LATE
    assert look.at(10 + LEASE).worker_ended
    assert look.at(10 + LEASE).stopped == LATE, "which says how it failed"


def test_what_was_of_another_attempt_counts_for_nothing() -> None:
    look = Look()
    look.seating.tenure.stop(2, LATE, NOW)
    look.seating.tenure.lapsed = 2
    seat = look.at(0)
    assert not seat.worker_ended
    assert seat.stopped is None


def limits(**spans: str) -> Limits:
    return Limits.of(Timeouts(**spans), Retry())


def test_it_is_told_to_stop_once_and_nothing_is_written_on_a_pod() -> None:
    look = Look()
    look.call(0)
    pod = look.at(0)
    late = task_view(TASK, pods={pod.name: pod}, limits=limits(task="1h"), now=NOW + 3600.0)
    assert [type(action) for action in accompany(late, pod)] == [StopPod]
    stopped = replace(pod, stopped=LATE)
    later = replace(late, said=look.told, probed=NOW - 100.0)
    assert not [a for a in accompany(later, stopped) if isinstance(a, StopPod | RecordHeartbeat)]


def test_only_who_tells_of_progress_is_held_to_it() -> None:
    look = Look()
    look.call(0)
    pod = look.at(0)
    view = task_view(
        TASK, pods={pod.name: pod}, limits=limits(progress="1m"), now=NOW + 61, said=look.told
    )
    assert not [a for a in accompany(view, pod) if isinstance(a, StopPod)]
    look.call(0, activity=1)
    (stop,) = (a for a in accompany(replace(view, said=look.told), pod) if isinstance(a, StopPod))
    assert stop.verdict.failure is FailureClass.STUCK
