"""Sees each state of each Job, by a watch of its own, and tells what is wrong with it."""

import time
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Self

from bec_operator.act.ground.api_server import bec
from tests.scale.crowd import Member
from tests.scale.following import Following
from tests.support.jobs import condition, counts, is_true, phase
from tests.support.kube import Body, Kube
from tests.support.waiting import POLL

_PARTS = ("waiting", "queued", "running", "retrying", "succeeded", "failed", "skipped")
_FINISHED = ("succeeded", "failed", "skipped")


class JobsSeen:
    """As a context: follows all Jobs from its start on.

    `troubles` has a sentence for each time when the counts of a Job did not add up.
    """

    def __init__(self, kube: Kube) -> None:
        self.jobs: dict[str, Body] = {}
        self.troubles: list[str] = []
        self._kube = kube

    def __enter__(self) -> Self:
        self._following = Following(self._kube, bec(None, "jobs"), self._take_in)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._following.stop()

    def phases(self) -> list[str]:
        """Return the phases of all Jobs."""
        return [phase(job) or "unseen" for job in list(self.jobs.values())]

    def check(self) -> None:
        """See that nothing was missed."""
        assert not self._following.lost, f"nobody saw what happened: {self._following.lost}"

    def stuck(self, members: Mapping[str, Member], patience: float) -> list[str]:
        """Return a sentence for each Job that neither moves nor ends nor says why, within a time.

        It has to know its whole list, too, and if it has ended, to have come to what it must.
        """
        before = {name: _finished(job) for name, job in list(self.jobs.items())}
        deadline, left = time.monotonic() + patience, dict(members)
        while left and time.monotonic() < deadline:
            time.sleep(POLL)
            left = {
                name: member
                for name, member in left.items()
                if _why_not(self.jobs.get(name), member, before.get(name, 0))
            }
        self.check()
        return [_told(m, self.jobs.get(m.name), before.get(m.name, 0)) for m in left.values()]

    def _take_in(self, kind: str, job: Body) -> None:
        name = job["metadata"]["name"]
        if kind == "DELETED":
            self.jobs.pop(name, None)
            return
        self.jobs[name] = job
        found = counts(job)
        parts = _sum(found, _PARTS)
        if parts != found.get("total", 0):
            said = f"{name}: its counts do not add up to their total, but to {parts}: {found}"
            self.troubles.append(said)


def _sum(found: Mapping[str, int], names: Iterable[str]) -> int:
    return sum(found.get(name, 0) for name in names)


def _finished(job: Body) -> int:
    return _sum(counts(job), _FINISHED)


def _why_not(job: Body | None, member: Member, before: int) -> str:
    """Return what is not well with a Job; empty if all is."""
    if job is None:
        return "is not there"
    if condition(job, "Stalled")["status"] == "True":
        return "" if condition(job, "Stalled")["message"] else "is stalled and does not say why"
    if is_true(job, "Failed"):
        return ""
    found = counts(job)
    if found.get("total", 0) != len(member.volumes):
        return f"counts {found.get('total', 0)} of its {len(member.volumes)} volumes"
    if is_true(job, "Complete"):
        failed = found.get("failed", 0)
        right = failed == member.failing and _finished(job) == len(member.volumes)
        return "" if right else f"is complete with {failed}, not {member.failing}, failed"
    return "" if _finished(job) > before else "does not move"


def _told(member: Member, job: Body | None, before: int) -> str:
    status = (job or {}).get("status", {})
    says = f"{status.get('phase')}, {counts(job or {})}, {condition(job or {}, 'Ready')['message']}"
    return f"{member.name} {_why_not(job, member, before)}; it says: {says}"
