"""Two unfinished jobs must not write to the same place: the younger waits for the other's end."""

from collections.abc import Iterable

from bec_operator.decide.ledger import Outcome
from bec_operator.decide.memory import Memory
from bec_operator.decide.seen import Fact


def judge(memory: Memory, others: Iterable[Memory], now: float) -> Fact | None:
    """Say whether the outputs of a loaded job meet those of an older, unfinished one.

    None means that it cannot be said yet: an older job has not even been looked at.
    """
    if _has_begun(memory) or not _has_work(memory):
        return Fact(now)  # whoever comes later is the one that waits
    for other in others:
        if other is memory or not _comes_first(other, memory):
            continue
        if other.facts.storage is None or (
            other.facts.storage.good and other.facts.manifest is None
        ):
            return None
        shared = set(memory.prefixes) & set(other.prefixes)
        if shared:
            return _conflict(memory, other, shared, now)
    return Fact(now)


def _comes_first(other: Memory, memory: Memory) -> bool:
    """Whether `other` is unfinished, writes to the same bucket, and has the older right to it."""
    if other.job.spec is None or other.job.deleting:
        return False
    if other.output.bucket != memory.output.bucket:
        return False
    found = other.facts.conflict
    if found is not None and found.good:  # it may begin at any moment
        return _has_work(other)
    if other.job.status.terminal:
        return False
    older = (other.job.created, other.job.uid) < (memory.job.created, memory.job.uid)
    return _has_begun(other) or older


def _has_begun(memory: Memory) -> bool:
    """Whether a job has begun, and has not ended since: one that is opened again begins anew."""
    return memory.job.status.start_time is not None and not memory.job.status.terminal


def _has_work(memory: Memory) -> bool:
    """Whether a job writes anything yet, as far as is known."""
    ledger = memory.ledger
    return (
        ledger.count(Outcome.WAITING) > 0 if ledger is not None else not memory.job.status.terminal
    )


def _conflict(memory: Memory, other: Memory, shared: set[str], now: float) -> Fact:
    place = f"s3://{memory.output.bucket}/{min(shared)}"
    whose = f"{other.job.namespace}/{other.job.name}"
    return Fact(
        now,
        "OutputConflict",
        f"Job {whose}, which has not ended, writes {len(shared)} of this Job's volumes to the same "
        f"place, such as {place}; this Job starts when that one ends, or give it another jobId "
        "or output in a new Job",
    )
