"""Workers from elsewhere that vanish, come twice, or are told to stop; and operators that do."""

from tests.integration.outside.conftest import Gate
from tests.support.jobs import LiveJob, counts, job, numbered
from tests.support.kube import Body
from tests.support.outsiders import Outsider
from tests.support.space import Space
from tests.support.waiting import until

ONLY: Body = {"allowed": True, "only": True, "marker": "OnDone", "lease": "3s"}
MINUTES: Body = {**ONLY, "lease": "5m"}


def started(space: Space, name: str, volumes: int, outside: Body, **spec: object) -> LiveJob:
    """Return a Job for workers from elsewhere, without pods."""
    return space.submit(job(name, space.bucket, numbered(volumes), outside=outside, **spec))


def failures(space: Space) -> list[tuple[str, str]]:
    """Return class and sentence of all failed attempts."""
    return [
        (attempt["failure"], attempt["message"])
        for task in space.tasks()
        for attempt in task.get("status", {}).get("attempts", [])
        if attempt.get("failure")
    ]


def told_to_stop(worker: Outsider) -> str:
    """Return why a worker is told to stop, as soon as it is."""

    def why() -> str:
        told = worker.report("heartbeat").body
        return str(told["reason"]) if told.get("directive") == "abort" else ""

    return until(why, "the worker is told to stop", 15)


def test_a_worker_that_vanishes_has_lost_its_volume(space: Space, gate: Gate) -> None:
    live = started(space, "vanished", 1, ONLY)
    token = gate.token(space)
    gone, other = gate.worker(token, "gone"), gate.worker(token, "other")
    assert gone.next().body["task"]["attempt"] == 1
    second = other.next().body["task"]
    assert second["attempt"] == 2
    said = "nothing was heard of worker gone for 3s: its lease is over"
    assert failures(space) == [("Disrupted", said)], "that is nobody's fault"
    for call, fields in (
        ("heartbeat", {}),
        ("done", {}),
        ("failed", {"failure": "Terminal"}),
        ("log", {"text": "late"}),
    ):
        assert gone.report(call, **fields).refused == (410, "Gone"), call
    assert other.report("done").status == 200
    assert counts(live.wait_complete())["succeeded"] == 1


def test_heartbeats_keep_a_volume(space: Space, gate: Gate) -> None:
    started(space, "beats", 1, ONLY)
    worker = gate.worker(gate.token(space))
    began = worker.next().body["task"]["attempt"]
    lived = []

    def longer_than_two_leases() -> bool:
        lived.append(worker.report("heartbeat").status)
        return len(lived) > 14

    until(longer_than_two_leases, "it has called for seven seconds", 30)
    assert set(lived) == {200}
    assert began == 1
    assert failures(space) == []


def test_a_worker_without_heartbeats_has_the_long_lease(space: Space, gate: Gate) -> None:
    started(space, "silent", 1, {**ONLY, "longLease": "2h"})
    worker = gate.worker(gate.token(space))
    assert worker.next(beats=False).body["lease_seconds"] == 7200


def test_an_operator_that_was_away_lets_a_worker_go_on(space: Space, gate: Gate) -> None:
    live = started(space, "restarted", 2, MINUTES)
    worker = gate.worker(gate.token(space))
    first = worker.next().body["task"]
    gate.operator.kill()
    gate.operator.start()
    assert worker.report("heartbeat").refused == (409, "UnknownSession")
    session = worker.session
    assert worker.register().body["session"] == session, "the same process, so the same session"
    assert worker.report("heartbeat").body["directive"] == "continue"
    assert worker.next().body["task"] == first, "it has it still"
    assert worker.report("done").status == 200
    assert worker.next().body["task"]["i_id"] != first["i_id"]
    assert worker.report("done").status == 200
    assert counts(live.wait_complete())["succeeded"] == 2
    assert failures(space) == []


def test_another_process_of_a_worker_takes_over(space: Space, gate: Gate) -> None:
    started(space, "twice", 1, MINUTES)
    worker = gate.worker(gate.token(space))
    assert worker.next().body["task"]["attempt"] == 1
    first, stale, worker.process = worker.process, worker.session, "0" * 32
    worker.register()
    again = until(lambda: worker.next(wait=5).body["task"], "it is tried again", 40)
    assert again["attempt"] == 2
    assert failures(space)[0][0] == "Retryable"
    worker.session, worker.process = stale, first
    assert worker.report("done").refused == (409, "UnknownSession")
    assert worker.register().refused == (409, "StaleSession"), "which it learns as it registers"


def test_several_seats_of_a_worker(space: Space, gate: Gate) -> None:
    live = started(space, "seats", 2, MINUTES)
    token = gate.token(space)
    left = gate.worker(token, seat="left")
    assert left.next().body["task"]
    right = gate.worker(token, seat="right")
    right.worker_id, right.secret = left.worker_id, left.secret
    right.register()
    assert right.next().body["task"]
    held = {each["seat"]: each["task"]["i_id"] for each in left.send("mine", {}).body["held"]}
    assert held == {"left": "I0", "right": "I1"}
    for seat in (left, right):
        assert seat.report("done").status == 200
    assert counts(live.wait_complete())["succeeded"] == 2
    assert left.send("mine", {}).body == {"held": []}


def test_a_suspended_job_has_its_workers_stop(space: Space, gate: Gate) -> None:
    live = started(space, "stopped", 1, MINUTES, suspendMode="Stop")
    worker = gate.worker(gate.token(space))
    assert worker.next().body["task"]
    live.patch(suspend=True)
    assert told_to_stop(worker) == "the Job is suspended (suspendMode: Stop)"
    assert worker.report("failed", failure="Interrupted", message="stopped").status == 200
    until(lambda: failures(space), "it is on record", 15)
    assert failures(space) == [("Stopped", "the Job is suspended (suspendMode: Stop)")]
    assert worker.next(wait=0).body["task"] is None, "it gives nothing now"


def test_a_deleted_job(space: Space, gate: Gate) -> None:
    live = started(space, "deleted", 1, MINUTES)
    worker = gate.worker(gate.token(space))
    assert worker.next().body["task"]
    live.delete()
    until(lambda: not space.tasks(), "the task is gone", 15)
    assert worker.report("heartbeat").refused == (410, "Gone")


def test_time_outs_hold_elsewhere_too(space: Space, gate: Gate) -> None:
    started(space, "slow", 1, MINUTES, timeouts={"task": "3s"})
    worker = gate.worker(gate.token(space))
    assert worker.next().body["task"]
    assert "timeouts.task" in told_to_stop(worker)


def test_no_marker_is_no_success(space: Space, gate: Gate) -> None:
    started(space, "lies", 1, {**MINUTES, "marker": "Worker"})
    worker = gate.worker(gate.token(space))
    assert worker.next().body["task"]
    assert worker.report("done").status == 200
    until(lambda: failures(space), "it has failed", 30)
    assert failures(space)[0][0] == "MarkerMissing"


def test_at_most_so_many_at_once(space: Space, gate: Gate) -> None:
    started(space, "few", 3, {**MINUTES, "max": 1})
    token = gate.token(space)
    one, two = gate.worker(token, "one"), gate.worker(token, "two")
    assert one.next().body["task"]
    assert two.next(wait=3).body["task"] is None
    assert one.report("done").status == 200
    assert two.next().body["task"]
