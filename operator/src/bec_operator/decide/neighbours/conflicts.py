"""Two unfinished jobs must not write to the same place: the younger waits for the other's end.

Only jobs whose outputs are in the same folder can meet; of those the places of all volumes have to
be compared, which takes a while and so is an action of its own.
"""

from collections.abc import Iterable, Sequence

from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.seen import Fact, Rival
from bec_operator.decide.volumes.ledger import Outcome
from bec_operator.decide.volumes.volume_list import Prefixes
from bec_ops.contract.location import OutputTemplate, TemplateError

SAY_AFTER = 8.0  # seconds for which a job waits for an older one to be read without a word


def judge(memory: Memory, others: Iterable[Memory], now: float) -> None:
    """Say whether the outputs of a loaded job may meet those of older, unfinished ones.

    Where that has to be found out first, `memory.books.conflict.rivals` says from whom.
    """
    known, conflict = memory.facts.conflict, memory.books.conflict
    if _has_begun(memory) or not _has_work(memory):
        memory.learn("conflict", Fact(now))  # whoever comes later is the one that waits
        conflict.rivals = ()
        return
    ahead = [other for other in others if other is not memory and _comes_first(other, memory)]
    unread = next((other for other in ahead if _is_unread(other)), None)
    if unread is not None:
        conflict.rivals = ()
        _wait_for(memory, unread, now)
        return
    conflict.waits_since = None
    rivals = tuple(_rival(memory, other) for other in ahead if other.ledger is not None)
    if not rivals:
        conflict.rivals = ()
        memory.learn("conflict", Fact(now))
    elif known is not None and not known.good and rivals == conflict.compared:
        memory.learn("conflict", Fact(now, known.reason, known.message))
    else:
        conflict.rivals = rivals


def compare(prefixes: Sequence[str], bucket: str, rivals: Iterable[Rival], now: float) -> Fact:
    """Compare where a job writes with where its rivals do, volume by volume: it takes a while."""
    for rival in rivals:
        mine = set(_bare(prefixes) if rival.versions else prefixes)
        theirs = _bare(rival.prefixes) if rival.versions else rival.prefixes
        shared = [prefix for prefix in theirs if prefix in mine]
        if shared:
            return Fact(
                now,
                "OutputConflict",
                f"Job {rival.whose}, which has not ended, writes {len(shared)} of this Job's "
                f"volumes to the same place, such as s3://{bucket}/{min(shared)}; this Job starts "
                "when that one ends, or give it another jobId or output in a new Job",
            )
    return Fact(now)


def _bare(prefixes: Sequence[str]) -> Iterable[str]:
    """Yield where volumes would write if they had no version."""
    assert isinstance(prefixes, Prefixes)
    render, job_id = prefixes.template.known_prefix, prefixes.job_id
    return (render(job_id, volume._replace(i_version="")) for volume in prefixes.volumes)


def _wait_for(memory: Memory, other: Memory, now: float) -> None:
    """Wait until an older job was read; say so if that takes its time."""
    conflict = memory.books.conflict
    if conflict.waits_since is None:
        conflict.waits_since = now
    if now - conflict.waits_since < SAY_AFTER:
        memory.learn("conflict", None)
        return
    faults = other.under_way.faults.values()
    why = next((fact.message for fact in faults), "its list cannot be loaded")
    said = (
        f"Job {_name(other)} is older, writes to the same folder, and could not be read yet: "
        f"{why}; this Job starts once it was, or is gone"
    )
    memory.learn("conflict", Fact(now, "WaitingForOlderJob", said))


def _is_unread(other: Memory) -> bool:
    """Whether nothing is known yet of what a job writes, though it may be."""
    facts = other.facts
    return facts.storage is None or (facts.storage.good and facts.manifest is None)


def _rival(memory: Memory, other: Memory) -> Rival:
    prefixes, versions = other.books.prefixes, bool(memory.stand_in or other.stand_in)
    return Rival(other.job.uid, _name(other), prefixes, len(prefixes), versions)


def _name(memory: Memory) -> str:
    return f"{memory.job.namespace}/{memory.job.name}"


def _comes_first(other: Memory, memory: Memory) -> bool:
    """Whether `other` is unfinished, writes to the same folder, and has the older right to it."""
    if other.job.spec is None or other.job.deleting:
        return False
    if other.output.bucket != memory.output.bucket or not _share_folder(other, memory):
        return False
    found = other.facts.conflict
    if found is not None and found.good:  # it may begin at any moment, or tell of its end
        return _has_work(other) or not other.job.status.terminal
    if other.job.status.terminal:
        return False
    older = (other.job.created, other.job.uid) < (memory.job.created, memory.job.uid)
    return _has_begun(other) or older


def _share_folder(one: Memory, other: Memory) -> bool:
    """Whether any output of one job could be in the folder of the other's."""
    try:
        folders = [
            OutputTemplate.parse(memory.output.prefix).common_folder(memory.job.job_id)
            for memory in (one, other)
        ]
    except TemplateError:
        return False  # it writes nothing
    return folders[0].startswith(folders[1]) or folders[1].startswith(folders[0])


def _has_begun(memory: Memory) -> bool:
    """Whether a job has begun, and has not ended since: one that is opened again begins anew."""
    return memory.job.status.start_time is not None and not memory.job.status.terminal


def _has_work(memory: Memory) -> bool:
    """Whether a job writes anything yet, as far as is known."""
    ledger = memory.ledger
    return (
        ledger.count(Outcome.WAITING) > 0 if ledger is not None else not memory.job.status.terminal
    )
