"""Two jobs with one place for their output: who waits."""

from dataclasses import replace

from bec_operator.api.job import Condition, Counts, JobPhase, JobSpec, JobStatus
from bec_operator.decide.conflicts import judge
from bec_operator.decide.ledger import Ledger, Outcome
from bec_operator.decide.memory import Memory
from bec_operator.decide.seen import Fact, JobSeen
from bec_ops.volume import Volume

NOW = 1000.0


def _job(name: str, created: str, *volumes: str, bucket: str = "b", begun: bool = False) -> Memory:
    spec = JobSpec.model_validate(
        {
            "volumes": {"manifest": {"uri": "s3://b/list.csv"}},
            "worker": {"template": {"spec": {"containers": [{"name": "worker"}]}}},
            "output": {"bucket": bucket},
        }
    )
    status = JobStatus(start_time="2026-01-01T00:00:00Z" if begun else None)
    memory = Memory(JobSeen("ns", name, name, 1, 1, created, spec, status=status))
    memory.facts.storage = Fact(NOW)
    listed = [Volume("W1", volume) for volume in volumes]
    prefixes = [f"artefacts/ocr/W1-{volume}/" for volume in volumes]
    memory.load(listed, prefixes, Ledger.fresh("sha", len(listed)), NOW)
    return memory


def test_the_younger_waits() -> None:
    old, young = _job("old", "2026-01", "I1", "I2"), _job("young", "2026-02", "I2")
    verdict = judge(young, [old, young], NOW)
    assert verdict is not None
    assert verdict.reason == "OutputConflict"
    assert "ns/old" in verdict.message
    assert "s3://b/artefacts/ocr/W1-I2/" in verdict.message
    other = judge(old, [old, young], NOW)
    assert other is not None
    assert other.good


def test_who_has_begun_goes_on() -> None:
    old = _job("old", "2026-01", "I1")
    young = _job("young", "2026-02", "I1", begun=True)
    for memory, good in ((young, True), (old, False)):
        verdict = judge(memory, [old, young], NOW)
        assert verdict is not None
        assert verdict.good is good


def test_other_volumes_and_other_buckets_do_not_meet() -> None:
    old = _job("old", "2026-01", "I1")
    for young in (_job("young", "2026-02", "I2"), _job("young", "2026-02", "I1", bucket="c")):
        verdict = judge(young, [old, young], NOW)
        assert verdict is not None
        assert verdict.good


def test_an_older_job_that_was_not_looked_at_is_waited_for() -> None:
    old, young = _job("old", "2026-01", "I1"), _job("young", "2026-02", "I1")
    old.forget()
    assert judge(young, [old, young], NOW) is None
    old.facts.manifest = Fact(NOW, "ManifestNotFound", "no list")
    verdict = judge(young, [old, young], NOW)
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
    verdict = memory.facts.conflict = judge(memory, [memory, other], NOW)
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
