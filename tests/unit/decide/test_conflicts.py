"""Two jobs with one place for their output: who waits."""

from dataclasses import replace

from bec_operator.api.job import Condition, Counts, JobPhase, JobSpec, JobStatus
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.neighbours.conflicts import SAY_AFTER, compare, judge
from bec_operator.decide.sight.seen import Fact, JobSeen
from bec_operator.decide.volumes.actions import LoadManifest
from bec_operator.decide.volumes.ledger import Ledger, Outcome
from bec_ops.contract.volume import Volume

NOW = 1000.0


def _job(name: str, created: str, *volumes: str, bucket: str = "b", begun: bool = False) -> Memory:
    spec = JobSpec.model_validate(
        {
            "volumes": {"manifest": {"uri": "s3://b/list.csv"}},
            "worker": {"template": {"spec": {"containers": [{"name": "worker"}]}}},
            "output": {"bucket": bucket, "prefix": "artefacts/{job_id}/{w_id}-{i_id}/"},
            "jobId": "ocr",
        }
    )
    status = JobStatus(start_time="2026-01-01T00:00:00Z" if begun else None)
    memory = Memory(JobSeen("ns", name, name, 1, 1, created, spec, status=status))
    memory.facts.storage = Fact(NOW)
    listed = [Volume("W1", volume) for volume in volumes]
    prefixes = [f"artefacts/ocr/W1-{volume}/" for volume in volumes]
    memory.load(listed, prefixes, Ledger.fresh("sha", len(listed)), NOW)
    return memory


def _judged(memory: Memory, others: list[Memory], now: float = NOW) -> Fact | None:
    """Judge a job, and compare its outputs with those that it has to be compared with."""
    judge(memory, others, now)
    rivals = memory.books.conflict.rivals
    if rivals:
        memory.learn("conflict", compare(memory.books.prefixes, memory.output.bucket, rivals, now))
        memory.books.conflict.note_compared(rivals)
    return memory.facts.conflict


def test_the_younger_waits() -> None:
    old, young = _job("old", "2026-01", "I1", "I2"), _job("young", "2026-02", "I2")
    verdict = _judged(young, [old, young], NOW)
    assert verdict is not None
    assert verdict.reason == "OutputConflict"
    assert "ns/old" in verdict.message
    assert "s3://b/artefacts/ocr/W1-I2/" in verdict.message
    other = _judged(old, [old, young], NOW)
    assert other is not None
    assert other.good


def test_who_has_begun_goes_on() -> None:
    old = _job("old", "2026-01", "I1")
    young = _job("young", "2026-02", "I1", begun=True)
    for memory, good in ((young, True), (old, False)):
        verdict = _judged(memory, [old, young], NOW)
        assert verdict is not None
        assert verdict.good is good


def test_other_volumes_and_other_buckets_do_not_meet() -> None:
    old = _job("old", "2026-01", "I1")
    for young in (_job("young", "2026-02", "I2"), _job("young", "2026-02", "I1", bucket="c")):
        verdict = _judged(young, [old, young], NOW)
        assert verdict is not None
        assert verdict.good


def test_an_older_job_that_was_not_looked_at_is_waited_for() -> None:
    old, young = _job("old", "2026-01", "I1"), _job("young", "2026-02", "I1")
    old.forget()
    assert _judged(young, [old, young]) is None
    old.facts.manifest = Fact(NOW, "ManifestNotFound", "no list")
    verdict = _judged(young, [old, young], NOW)
    assert verdict is not None
    assert verdict.good


def _ended(name: str, created: str) -> Memory:
    memory = _job(name, created, "I1", begun=True)
    over = Condition(
        type="Complete",
        status="True",
        reason="Completed",
        last_transition_time="2026-01-02T00:00:00Z",
    )
    status = JobStatus(
        phase=JobPhase.COMPLETE,
        counts=Counts(total=1, succeeded=1),
        start_time=memory.job.status.start_time,
        conditions=[over],
    )
    assert status.terminal
    memory.job = replace(memory.job, status=status)
    return memory


def _reason(memory: Memory, other: Memory) -> str:
    verdict = _judged(memory, [memory, other])
    assert verdict is not None
    return verdict.reason


def test_one_that_has_ended_waits_if_it_is_opened_again() -> None:
    """Another Job writes to the same place meanwhile."""
    assert _reason(_ended("old", "1"), _job("new", "2", "I1", begun=True)) == "OutputConflict"


def test_of_two_that_are_opened_again_one_waits() -> None:
    one, two = _ended("one", "1"), _ended("two", "2")
    assert [_reason(two, one), _reason(one, two)] == ["", "OutputConflict"]


def test_one_that_may_begin_at_any_moment_is_waited_for() -> None:
    """Such as one that is suspended before its first volume."""
    held = _job("held", "2", "I1")
    assert _reason(held, _ended("apart", "1")) == ""
    assert _reason(_ended("old", "1"), held) == "OutputConflict"


def test_one_that_has_nothing_to_do_writes_nothing() -> None:
    ended, other = _ended("old", "1"), _job("new", "2", "I1", begun=True)
    assert ended.ledger is not None
    ended.ledger.settle(0, Outcome.SUCCEEDED)
    assert _reason(ended, other) == ""
    ended.facts.conflict = Fact(NOW)
    other.job = replace(other.job, status=JobStatus())
    assert _reason(other, ended) == ""


def test_other_folders_are_not_compared_at_all() -> None:
    """There may be hundreds of thousands of volumes in each of fifty jobs."""
    old, young = _job("old", "2026-01", "I1"), _job("young", "2026-02", "I1")
    assert young.job.spec is not None
    apart = young.job.spec.model_copy(update={"job_id": "apart"})
    young.job = replace(young.job, spec=apart)
    judge(young, [old, young], NOW)
    assert young.books.conflict.rivals == ()
    assert young.facts.conflict == Fact(NOW)


def test_a_conflict_is_not_found_again_each_time() -> None:
    old, young = _job("old", "2026-01", "I1"), _job("young", "2026-02", "I1")
    verdict = _judged(young, [old, young])
    assert verdict is not None
    assert not verdict.good
    judge(young, [old, young], NOW + 5)
    assert young.books.conflict.rivals == ()
    assert young.facts.conflict == replace(verdict, at=NOW + 5)


def test_who_waits_for_an_older_job_that_is_not_read_says_so() -> None:
    old, young = _job("old", "2026-01", "I1"), _job("young", "2026-02", "I1")
    old.forget()
    broken = Fact(NOW, "InternalError", "LoadManifest fails with KeyError")
    old.under_way.note_fault(LoadManifest().key, broken)
    assert _judged(young, [old, young], NOW) is None
    verdict = _judged(young, [old, young], NOW + SAY_AFTER)
    assert verdict is not None
    assert verdict.reason == "WaitingForOlderJob"
    assert "ns/old" in verdict.message
    assert "KeyError" in verdict.message
