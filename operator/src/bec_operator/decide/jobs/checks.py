"""What must be known to be well before anything is launched, and when it is found out."""

from collections.abc import Iterator

from bec_operator.decide.jobs.actions import CheckTemplate
from bec_operator.decide.jobs.status import is_hopeless
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.action import Action
from bec_operator.decide.sight.seen import Fact
from bec_operator.decide.volumes.actions import CheckStorage, CompareOutputs, LoadManifest, Sweep

CHECK_AGAIN_AFTER = 5.0  # seconds after which a check that failed is made again


def may_launch(memory: Memory, now: float) -> bool:
    """Whether tasks and pods may be made: all is known to be well, and the job is not hopeless."""
    facts = memory.facts
    checks = (facts.storage, facts.manifest, facts.template, facts.conflict, facts.sweep)
    if memory.ledger is None or memory.ledger.turned:
        return False  # what is opened again is stored first
    if not all(fact is not None and fact.good for fact in (*checks, facts.gates)):
        return False
    if facts.worker is not None or memory.job.spec is None or memory.job.spec.suspend:
        return False
    if not memory.launching.may_try(now):
        return False
    return not is_hopeless(memory)


def is_due(fact: Fact | None, now: float) -> bool:
    """Whether to find out something: nobody has yet, or it was not well a while ago."""
    return fact is None or (not fact.good and now - fact.at >= CHECK_AGAIN_AFTER)


def checks(memory: Memory, now: float) -> Iterator[Action]:
    """Say what is to be found out, one after the other."""
    facts, books = memory.facts, memory.books
    rivals = books.conflict.rivals
    steps = (
        (facts.storage, CheckStorage()),
        (facts.manifest, LoadManifest()),
        (facts.template, CheckTemplate()),
        # judged beside the other jobs, before a sweep could go stale
        (facts.conflict, CompareOutputs(rivals) if rivals else None),
        (facts.sweep, Sweep()),
    )
    for fact, check in steps:
        if check is not None and (is_due(fact, now) or isinstance(check, CompareOutputs)):
            yield check
        if fact is None or not fact.good:
            return
    if books.markers.swept < len(books.volumes):  # it has grown: only what is new is swept
        yield Sweep()
