"""The status of a Job, as people and GitOps tools read it."""

from dataclasses import replace
from typing import Any

import pytest

from bec_operator.api.job import Condition, JobPhase, JobSpec, JobStatus
from bec_operator.decide.hosts.pool import Host, Pool
from bec_operator.decide.jobs.status import is_over, job_status, worth_writing
from bec_operator.decide.jobs.tally import Tally
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.conditions import find
from bec_operator.decide.sight.failures import FailureClass
from bec_operator.decide.sight.moments import duration, iso
from bec_operator.decide.sight.pool_seen import DeploymentSeen, PoolPod
from bec_operator.decide.sight.seen import Fact, Facts, JobSeen, ListSeen, PodSeen
from bec_operator.decide.slots.standings import Standings
from bec_operator.decide.volumes.ledger import ALREADY_DONE, Ledger, Outcome
from bec_ops.contract.volume import Volume

NOW = 1_800_000_000.0
GOOD = Fact(NOW)


def _memory(volumes: int = 10, status: JobStatus | None = None, **spec: Any) -> Memory:
    made = JobSpec.model_validate(
        {
            "volumes": {"manifest": {"uri": "s3://b/list.csv"}},
            "worker": {"template": {"spec": {"containers": [{"name": "worker"}]}}},
            "output": {"bucket": "b"},
            **spec,
        }
    )
    memory = Memory(JobSeen("ns", "ocr", "uid", 1, 3, "2026", made, status=status or JobStatus()))
    listed = [Volume("W1", f"I{n}") for n in range(volumes)]
    memory.load(listed, [f"{v}/" for v in listed], Ledger.fresh("sha", volumes), NOW)
    memory.facts = Facts(GOOD, GOOD, GOOD, GOOD, GOOD)
    memory.books.listed = ListSeen(NOW, 3, settled=volumes)
    return memory


def _settle(memory: Memory, outcome: Outcome, *indices: int, code: int = 0) -> None:
    assert memory.ledger is not None
    for index in indices:
        memory.ledger.settle(index, outcome, code)
    memory.ledger.unsaved.clear()
    memory.books.report.compiled = memory.ledger.changes


def _truths(status: JobStatus) -> dict[str, str]:
    return {condition.type: condition.status for condition in status.conditions}


def test_counts_and_time_left() -> None:
    started = JobStatus(phase=JobPhase.RUNNING, start_time=iso(NOW - 100))
    memory = _memory(10, started)
    memory.books.eta.begin(0, NOW - 100)
    memory.books.eta.note(NOW - 100, working=True)
    memory.books.eta.note(NOW, working=True)
    _settle(memory, Outcome.SUCCEEDED, 0, 1)
    _settle(memory, Outcome.SUCCEEDED, 2, 3, code=ALREADY_DONE)
    status = job_status(memory, Tally(queued=1, running=2), NOW)
    assert status.counts.add_up
    assert (status.counts.waiting, status.counts.succeeded, status.counts.already_done) == (3, 4, 2)
    assert (status.done, status.percent) == ("4/10", "40%")
    assert status.eta == "5m"  # two in a hundred seconds, six left


def test_a_running_job_is_healthy_to_those_who_wait_for_it() -> None:
    truths = _truths(job_status(_memory(), Tally(running=1), NOW))
    assert truths == {
        "Ready": "True",
        "Reconciling": "False",
        "Stalled": "False",
        "Complete": "False",
        "Failed": "False",
        "Suspended": "False",
    }


def _ready(memory: Memory) -> tuple[str, str]:
    ready = find(job_status(memory, Tally(running=1), NOW), "Ready")
    assert ready is not None
    return ready.reason, ready.message


def test_what_is_gone_from_the_list_is_told() -> None:
    memory = _memory()
    memory.books.listed = ListSeen(NOW, 3, settled=0, gone=3)
    assert _ready(memory) == (
        "Running",
        "0 of 10 volumes done; 3 volumes are no longer in the list; they are done all the same",
    )


def test_a_list_that_cannot_be_read_speaks_in_ready() -> None:
    memory = _memory()
    memory.books.listed = ListSeen(NOW, 3, settled=0, problem="list.csv, line 3: 1 column(s)")
    reason, message = _ready(memory)
    assert reason == "ListUnreadable"
    assert message.endswith("goes on with what it has: list.csv, line 3: 1 column(s)")
    memory.books.listed = ListSeen(NOW, 3, settled=0, problem="S3 does not answer", unknown=True)
    reason, message = _ready(memory)
    assert reason == "Running"
    assert message.endswith("S3 does not answer")


@pytest.mark.parametrize(
    "seen",
    [
        None,
        ListSeen(NOW, 2, settled=2),  # the Job has changed since
        ListSeen(NOW, 3, settled=1),  # the last volume was not settled yet
        ListSeen(NOW, 3, settled=2, problem="S3 does not answer", unknown=True),
    ],
)
def test_a_job_is_complete_only_once_its_list_was_looked_at(seen: ListSeen | None) -> None:
    memory = _memory(2)
    _settle(memory, Outcome.SUCCEEDED, 0, 1)
    memory.books.listed = seen
    assert not job_status(memory, Tally(), NOW).terminal
    memory.books.listed = ListSeen(NOW, 3, settled=2)
    assert job_status(memory, Tally(), NOW).terminal
    memory.books.added = [Volume("W1", "I9")]
    assert not job_status(memory, Tally(), NOW).terminal


def test_a_job_that_is_being_checked_reconciles() -> None:
    memory = _memory()
    memory.facts = Facts()
    status = job_status(memory, Tally(), NOW)
    assert status.phase is JobPhase.PENDING
    assert _truths(status)["Reconciling"] == "True"


def test_a_stall_speaks_in_ready_too() -> None:
    memory = _memory()
    memory.facts.storage = Fact(NOW, "BucketNotFound", "the bucket s3://b does not exist")
    status = job_status(memory, Tally(), NOW)
    for kind in ("Ready", "Stalled"):
        condition = find(status, kind)
        assert condition is not None
        assert (condition.reason, condition.message) == (
            "BucketNotFound",
            "the bucket s3://b does not exist",
        )


def test_complete_and_complete_with_failures() -> None:
    memory = _memory(2, maxFailed="100%")
    _settle(memory, Outcome.SUCCEEDED, 0, 1)
    assert job_status(memory, Tally(), NOW).terminal
    _settle(memory, Outcome.FAILED, 1, code=1)
    status = job_status(memory, Tally(), NOW)
    complete = find(status, "Complete")
    assert complete is not None
    assert (complete.status, complete.reason) == ("True", "CompletedWithFailures")


def test_the_end_waits_for_the_report() -> None:
    memory = _memory(2, maxFailed=1)
    _settle(memory, Outcome.SUCCEEDED, 0)
    _settle(memory, Outcome.FAILED, 1, code=2)
    memory.books.report.compiled = 0
    assert is_over(memory, Tally())
    assert job_status(memory, Tally(), NOW).phase is JobPhase.RUNNING
    memory.books.report.compiled = 1
    assert job_status(memory, Tally(), NOW).phase is JobPhase.COMPLETE


def _said(memory: Memory, kind: str, tally: Tally | None = None) -> str:
    condition = find(job_status(memory, tally or Tally(), NOW), kind)
    assert condition is not None
    return condition.message


def test_conditions_say_why_volumes_failed() -> None:
    memory = _memory(10, maxFailed="100%")
    _settle(memory, Outcome.SUCCEEDED, 0, 1)
    running = Tally(running=1)
    assert _said(memory, "Ready", running) == "2 of 10 volumes done"
    _settle(memory, Outcome.FAILED, 2, 3, code=FailureClass.TERMINAL)
    _settle(memory, Outcome.FAILED, 4, code=FailureClass.OUT_OF_MEMORY)
    assert _said(memory, "Ready", running) == (
        "5 of 10 volumes done, 3 failed: Terminal 2, OutOfMemory 1"
    )
    _settle(memory, Outcome.SKIPPED, 5, 6)
    assert _said(memory, "Ready", running).endswith("OutOfMemory 1; 2 skipped")
    _settle(memory, Outcome.SUCCEEDED, 7, 8, 9)
    told = "3 of 10 volumes failed: Terminal 2, OutOfMemory 1; 2 skipped"
    assert _said(memory, "Complete") == told


def test_a_failed_job_says_why_its_volumes_failed() -> None:
    memory = _memory(10, maxFailed=1)
    _settle(memory, Outcome.FAILED, 0, 1, code=FailureClass.TOO_LONG)
    assert _said(memory, "Failed") == "2 of 10 volumes failed: TooLong 2; maxFailed allows 1"


def test_a_complete_job_says_what_was_skipped() -> None:
    memory = _memory(3)
    _settle(memory, Outcome.SUCCEEDED, 0, 1)
    _settle(memory, Outcome.SKIPPED, 2)
    assert _said(memory, "Complete") == "all 3 volumes are done, 1 skipped"


def test_too_many_failures_end_it_once_nothing_runs() -> None:
    memory = _memory(10, maxFailed=1)
    _settle(memory, Outcome.FAILED, 0, 1, code=1)
    assert job_status(memory, Tally(running=1), NOW).phase is JobPhase.RUNNING
    status = job_status(memory, Tally(queued=2, retrying=1), NOW)
    assert status.phase is JobPhase.FAILED
    assert status.terminal
    assert status.counts.waiting == 8


def test_nothing_ends_before_it_is_saved() -> None:
    memory = _memory(1)
    assert memory.ledger is not None
    memory.ledger.settle(0, Outcome.SUCCEEDED)
    assert job_status(memory, Tally(), NOW).phase is JobPhase.RUNNING


def test_the_moment_of_a_transition_is_kept_and_what_others_wrote_stays() -> None:
    foreign = Condition(
        type="Audited", status="True", reason="Seen", last_transition_time=iso(NOW - 500)
    )
    old = job_status(_memory(), Tally(running=1), NOW - 60)
    old = old.model_copy(update={"conditions": [*old.conditions, foreign]})
    status = job_status(_memory(status=old), Tally(running=1), NOW)
    ready = find(status, "Ready")
    assert ready is not None
    assert ready.last_transition_time == iso(NOW - 60)
    assert status.conditions[-1] == foreign


def test_one_stray_write_does_not_end_a_job() -> None:
    running = job_status(_memory(), Tally(running=1), NOW)
    assert not running.model_copy(update={"phase": JobPhase.COMPLETE}).terminal


@pytest.mark.parametrize(
    ("refused", "kind", "reason"),
    [
        ('pods "a" is forbidden: exceeded quota: room', "Ready", "QuotaExceeded"),
        ('pods "a" is forbidden: status unknown for quota: room', "Ready", "QuotaExceeded"),
        ('pods "a" is forbidden: violates PodSecurity', "Stalled", "TemplateRejected"),
    ],
)
def test_what_is_said_of_workers_that_are_refused(refused: str, kind: str, reason: str) -> None:
    memory = _memory()
    deployment = DeploymentSeen("ns", "ocr-x", "d", 1, "ocr", "uid", 3, refused)
    tally = Tally.of(memory, {}, Standings(), Pool("ocr-x", {"ocr-x": deployment}))
    found = find(job_status(memory, tally, NOW), kind)
    assert found is not None
    assert (found.status, found.reason) == ("True", reason)
    assert refused in found.message


def test_what_is_written_and_when() -> None:
    memory = _memory(status=job_status(_memory(), Tally(), NOW))
    same = job_status(memory, Tally(), NOW + 3600)
    assert not worth_writing(same, memory, NOW + 3600)
    moved = job_status(memory, Tally(running=1), NOW + 1)
    memory.telling.written_at = NOW
    assert not worth_writing(moved, memory, NOW + 1)
    assert worth_writing(moved, memory, NOW + 2)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(45.9, "45s"), (60, "1m"), (3599, "59m"), (7800, "2h10m"), (273600, "3d4h")],
)
def test_durations(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_one_that_had_ended_begins_anew_if_no_other_job_writes_there() -> None:
    memory = _memory(1, status=_ended())
    conflict = Fact(NOW, "OutputConflict", "Job ns/other writes to the same place")
    memory.facts = Facts(GOOD, GOOD, GOOD, conflict, GOOD)
    held = job_status(memory, Tally(), NOW)
    assert (held.phase, held.start_time, held.terminal) == (JobPhase.PENDING, None, False)
    memory.facts.conflict = GOOD
    begun = job_status(memory, Tally(running=1), NOW)
    assert (begun.phase, begun.start_time) == (JobPhase.RUNNING, iso(NOW))


def _ended() -> JobStatus:
    memory = _memory(1, status=JobStatus(start_time=iso(NOW - 9)))
    _settle(memory, Outcome.SUCCEEDED, 0)
    status = job_status(memory, Tally(), NOW)
    assert (status.terminal, status.start_time) == (True, iso(NOW - 9))
    return status


def test_workers_that_never_come_to_a_volume_stall_the_job() -> None:
    memory = _memory()
    pod = PodSeen("ns", "w", "w", 1, "ocr", "", "rs", phase="Running", worker_ended=True)
    end = replace(pod, exit_code=1, reason="Error", message="no CUDA")
    host = Host(PoolPod(pod, "ocr-x", ended=end, restarts=3), None, busy=False)
    tally = Tally.of(memory, {}, Standings(), Pool("ocr-x", {}, (host,)))
    assert tally.trouble[0] == "CrashLoop"
    assert "w: exit 1: no CUDA" in tally.trouble[1]


def test_what_passes_by_itself_is_no_fault_of_the_template() -> None:
    away = "Internal error occurred: failed calling webhook: context deadline exceeded"
    deployment = DeploymentSeen("ns", "ocr-x", "d", 1, "ocr", "uid", 3, away)
    tally = Tally.of(_memory(), {}, Standings(), Pool("ocr-x", {"ocr-x": deployment}))
    assert (tally.trouble, tally.held_up) == (("", ""), ("", ""))


def test_time_left_is_at_the_rate_since_it_was_opened_again() -> None:
    """What was done before it lay idle says nothing of that."""
    memory = _memory(1000, JobStatus(phase=JobPhase.RUNNING, start_time=iso(NOW - 9)))
    _settle(memory, Outcome.SUCCEEDED, *range(900))
    assert memory.ledger is not None
    memory.books.eta.begin(memory.ledger.tried, NOW - 100)
    memory.books.eta.note(NOW - 100, working=True)
    memory.books.eta.note(NOW, working=True)
    assert job_status(memory, Tally(running=1), NOW).eta == ""
    _settle(memory, Outcome.SUCCEEDED, *range(900, 950))
    assert job_status(memory, Tally(running=1), NOW).eta == "1m"


def test_time_in_which_nothing_ran_says_nothing_of_the_time_left() -> None:
    """It was suspended over the weekend, stalled, or waited for another job."""
    memory = _memory(10, JobStatus(phase=JobPhase.RUNNING, start_time=iso(NOW - 9)))
    memory.books.eta.begin(0, NOW - 300_000)
    for since, working in ((300_000, True), (299_900, False), (100, True), (0, True)):
        memory.books.eta.note(NOW - since, working=working)
    _settle(memory, Outcome.SUCCEEDED, *range(4))
    assert job_status(memory, Tally(running=1), NOW).eta == "5m"  # 4 in 200 s, 6 left
