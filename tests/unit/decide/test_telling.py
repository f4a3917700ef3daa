"""What people are told beside the status: news once, and not too often."""

from dataclasses import replace

from bec_operator.api.job import Condition, JobPhase, JobStatus
from bec_operator.decide.jobs.actions import TellFailures, TellIdle
from bec_operator.decide.jobs.job import decide
from bec_operator.decide.jobs.scene import Scene
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.memory.telling import Telling
from bec_operator.decide.sight.action import Action
from bec_operator.decide.sight.notices import NoticeKind, news, notices
from bec_operator.decide.sight.seen import Fact, Facts, JobSeen
from bec_operator.decide.volumes.frontier import VolumeState
from bec_operator.decide.volumes.ledger import Ledger, Outcome
from bec_ops.contract.volume import Volume
from tests.unit.decide.steps import observe
from tests.unit.worker_api.scene import JOB

NOW = 1_800_000_000.0
GOOD = Fact(NOW)


def _said(kind: str, reason: str, *, true: bool = True, at: str = "10:00") -> Condition:
    status = "True" if true else "False"
    return Condition.model_validate(
        {
            "type": kind,
            "status": status,
            "reason": reason,
            "message": f"{reason} it is",
            "lastTransitionTime": f"2026-11-25T{at}:00Z",
        }
    )


def _job(phase: JobPhase, *conditions: Condition) -> JobSeen:
    return replace(JOB, status=JobStatus(phase=phase, conditions=list(conditions)))


RUNNING = _job(JobPhase.RUNNING, _said("Stalled", "Running", true=False))


def _memory(*outcomes: Outcome) -> Memory:
    memory = Memory(RUNNING)
    volumes = [Volume("W1", f"I{n}") for n in range(len(outcomes))]
    memory.load(volumes, [f"{v}/" for v in volumes], Ledger.fresh("sha", len(volumes)), NOW)
    memory.facts = Facts(GOOD, GOOD, GOOD, GOOD, GOOD)
    assert memory.ledger is not None
    for index, outcome in enumerate(outcomes):
        waits = outcome is Outcome.WAITING
        memory.books.frontier[index] = VolumeState.GATED if waits else VolumeState.SETTLED
        if not waits:
            memory.ledger.settle(index, outcome, 2 if outcome is Outcome.FAILED else 0)
    return memory


def _told(memory: Memory, now: float) -> list[Action]:
    observe(memory, [], {}, now)
    actions = decide(Scene(memory, {}, now))
    return [action for action in actions if isinstance(action, TellFailures | TellIdle)]


def test_failures_are_told_at_once_and_then_every_half_a_minute() -> None:
    memory = _memory(Outcome.FAILED, Outcome.WAITING, Outcome.SUCCEEDED)
    assert _told(memory, NOW) == [TellFailures("1 of 3 volumes failed: Terminal 1")]
    assert memory.ledger is not None
    memory.telling.failures, memory.telling.failures_at = memory.ledger.changes, NOW
    assert _told(memory, NOW + 31) == []
    memory.ledger.settle(1, Outcome.FAILED, 4)
    assert _told(memory, NOW + 29) == []
    (told,) = _told(memory, NOW + 30)
    assert told == TellFailures("2 of 3 volumes failed: OutOfMemory 1, Terminal 1")


def test_what_had_failed_before_the_start_is_no_news() -> None:
    memory = _memory(Outcome.FAILED, Outcome.WAITING)
    assert memory.ledger is not None
    stored = Ledger.decode("sha", memory.ledger.encode(), 2)
    memory.load(memory.books.volumes, memory.books.prefixes, stored, NOW)
    assert _told(memory, NOW) == []


def test_a_job_with_nothing_to_run_says_so_after_a_minute() -> None:
    memory = _memory(Outcome.SUCCEEDED, Outcome.WAITING, Outcome.WAITING)
    assert _told(memory, NOW) == []
    assert _told(memory, NOW + 59) == []
    (told,) = _told(memory, NOW + 60)
    assert told == TellIdle("no task runs, and none could be started: 2 volumes wait")
    memory.telling.idle_at = 1
    assert _told(memory, NOW + 3600) == []
    assert memory.ledger is not None
    memory.ledger.settle(1, Outcome.SUCCEEDED)  # it went on, and is idle again
    assert len(_told(memory, NOW + 3601)) == 1


def test_a_volume_that_could_start_keeps_a_job_from_being_idle() -> None:
    memory = _memory(Outcome.SUCCEEDED, Outcome.WAITING)
    for look in (VolumeState.STARTABLE, VolumeState.UNCHECKED, VolumeState.READING):
        memory.books.frontier[1] = look
        observe(memory, [], {}, NOW)
        assert memory.telling.idle_since is None
    memory.books.frontier[1] = VolumeState.GATED
    observe(memory, [], {}, NOW)
    assert memory.telling.idle_since == NOW


def test_a_stalled_job_is_not_idle() -> None:
    memory = _memory(Outcome.WAITING)
    memory.job = _job(JobPhase.RUNNING, _said("Stalled", "StorageUnavailable"))
    observe(memory, [], {}, NOW)
    assert memory.telling.idle_since is None


def test_a_stall_that_flaps_is_notified_once_in_ten_minutes() -> None:
    telling = Telling()
    assert telling.stall_due("StorageUnavailable", NOW)
    telling.note_stall("StorageUnavailable", NOW)
    assert not telling.stall_due("StorageUnavailable", NOW + 599)
    assert telling.stall_due("BucketNotFound", NOW + 1)
    assert telling.stall_due("StorageUnavailable", NOW + 600)


def test_the_news_of_a_status_is_what_it_did_not_say_before() -> None:
    stalled = _job(JobPhase.RUNNING, _said("Stalled", "BucketNotFound"))
    assert [notice.kind for notice in news(RUNNING, stalled)] == [NoticeKind.STALLED]
    assert news(stalled, stalled) == []
    other = _job(JobPhase.RUNNING, _said("Stalled", "StorageForbidden"))
    assert [notice.reason for notice in news(stalled, other)] == ["StorageForbidden"]
    assert news(stalled, RUNNING) == []
    ended = _job(JobPhase.COMPLETE, _said("Complete", "Completed"))
    assert [notice.kind for notice in news(RUNNING, ended)] == [NoticeKind.COMPLETED]
    failed = _job(JobPhase.FAILED, _said("Failed", "TooManyFailed"))
    assert [notice.kind for notice in news(RUNNING, failed)] == [NoticeKind.FAILED]


def test_an_id_stands_for_one_transition() -> None:
    def ended(at: str) -> str:
        job = _job(JobPhase.COMPLETE, _said("Complete", "Completed", at=at))
        return next(notices(job)).id

    assert ended("10:00") == ended("10:00")
    assert ended("10:00") != ended("10:01")  # it was tried again, and has ended again
