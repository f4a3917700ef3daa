"""New versions of volumes that have one: when they are looked for, and what is said of that."""

from collections.abc import Iterator

from bec_operator.api.base import seconds
from bec_operator.api.job import JobPhase
from bec_operator.decide.memory.memory import Memory
from bec_operator.decide.sight.action import Action
from bec_operator.decide.sight.moments import iso
from bec_operator.decide.sight.seen import Fact
from bec_operator.decide.volumes.actions import FindVersions, FollowVersions
from bec_operator.decide.volumes.followed_versions import MOST
from bec_operator.decide.volumes.ledger import Outcome
from bec_operator.decide.volumes.reasons import count_volumes

WAITING = "WaitingForVersions"
LEFT_OUT = "VersionsLeftOut"
AHEAD = 600.0  # seconds; a look that was later than so much after now was by another clock


def follow_every(memory: Memory) -> float | None:
    """Return the seconds between two looks for new versions; None if the Job asks for none."""
    spec = memory.job.spec
    versions = spec.volumes.versions if spec is not None else None
    return seconds(versions.follow) if versions is not None and versions.follow else None


def follow_versions(memory: Memory, now: float) -> Iterator[Action]:
    """Look for new versions of the next volumes, from the first one on when it is time to.

    What is found is stored before there is more of it than one look may hold. Versions of volumes
    that have none yet come first: some of these could begin.
    """
    books, spec = memory.books, memory.job.spec
    followed, total = books.followed, len(books.volumes)
    if follow_every(memory) is None or spec is None or spec.suspend or not total:
        return
    if memory.under_way.of(FindVersions) or len(followed.found) >= MOST:
        return
    if memory.under_way.of(FollowVersions):
        return
    if followed.begun is None and _is_due(memory, now):
        yield FollowVersions(range(min(MOST, total)), upto=min(MOST, total), begins=True)
    elif followed.begun is not None and followed.next < followed.end and _has_room(memory):
        upto = min(followed.next + MOST, followed.end)
        yield FollowVersions(range(followed.next, upto), upto)
    elif followed.silent and now >= followed.not_before:
        yield FollowVersions(tuple(followed.silent[:MOST]), upto=followed.next)


def _is_due(memory: Memory, now: float) -> bool:
    every, ledger = follow_every(memory), memory.ledger
    assert every is not None
    assert ledger is not None
    return now - ledger.followed >= every or ledger.followed - now > AHEAD


def _has_room(memory: Memory) -> bool:
    """Whether not so many gave no answer that nobody seems to answer at all."""
    return len(memory.books.followed.silent) < MOST


def trouble_of_followed(memory: Memory) -> Fact | None:
    """Return why nobody tells whether some volumes have newer versions."""
    return memory.books.followed.trouble if follow_every(memory) is not None else None


def tell_of_followed(memory: Memory, phase: JobPhase, verdict: tuple[str, str]) -> tuple[str, str]:
    """Return reason and sentence of a Job, with what is to be said of new versions."""
    every, ledger, followed = follow_every(memory), memory.ledger, memory.books.followed
    if every is None or ledger is None or phase is not JobPhase.RUNNING:
        return verdict
    reason, message = verdict
    waits = not ledger.count(Outcome.WAITING) and not followed.found and not memory.books.added
    if followed.begun is not None and followed.over is None:
        message = f"{message}; looks for new versions, {followed.next} of {followed.end} so far"
    elif waits and ledger.followed and len(ledger):
        next_look = iso(ledger.followed + every)
        message = f"{message}; waits for new versions, the next look is at {next_look}"
    if followed.gone:
        message = f"{message}; {told_of_gone(followed.gone)}"
    if followed.left_out:
        message = f"{message}; {told_of_left_out(memory)}"
    plain = reason == phase
    if plain and followed.left_out:
        return LEFT_OUT, message
    return WAITING if plain and waits else reason, message


def told_of_gone(number: int) -> str:
    """Say that volumes have no version any more."""
    if number == 1:
        return "1 volume has no version now; what was done stays"
    return f"{number} volumes have no version now; what was done stays"


def told_of_left_out(memory: Memory) -> str:
    """Say that new versions cannot be taken, and why."""
    followed = memory.books.followed
    number = followed.left_out
    one = "1 new version is" if number == 1 else f"{number} new versions are"
    return f"{one} left out; the first: {followed.left_out_said}"


def told_of_growth(number: int, total: int) -> str:
    """Say that volumes have new versions, which are volumes as well."""
    verb = "has a new version" if number == 1 else "have new versions"
    return f"{count_volumes(number)} {verb}, {total} in all"
