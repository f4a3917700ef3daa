"""Processes that take task after task, since this operator runs: who asks for work, who has some.

They are in the pods of pools, or elsewhere.
"""

import asyncio
from collections.abc import Callable, Set
from dataclasses import replace

from bec_operator.act.ground.key import Key
from bec_operator.decide.sight.pool_seen import PoolWorker


class PoolWorkers:
    """By the UID of the pod. `changed` is told which Job to look at when one asks for work."""

    def __init__(self, changed: Callable[[Key], None]) -> None:
        self._workers: dict[str, PoolWorker] = {}
        self._waiting: dict[str, asyncio.Event] = {}
        self._changed = changed

    def get(self, pod_uid: str) -> PoolWorker | None:
        """Return the process in a pod that registered last."""
        return self._workers.get(pod_uid)

    def register(self, job: Key | None, pod_uid: str, session: str, now: float) -> None:
        """Take in a process; one that another has taken over from is known no more.

        One from elsewhere is of no Job yet.
        """
        known = self._workers.get(pod_uid)
        if known is None or known.session != session:
            self._workers[pod_uid] = PoolWorker(pod_uid, session, now)
            if job is not None:
                self._changed(job)

    def ask(self, job: Key | None, pod_uid: str, now: float) -> asyncio.Event | None:
        """Take in that a process waits for work, and return what is set once it has some.

        None if the pod is gone. One from elsewhere is of no Job yet.
        """
        known = self._workers.get(pod_uid)
        if known is None:
            return None
        since = known.idle_since if known.idle_since is not None else now
        self._workers[pod_uid] = replace(known, asked=now, idle_since=since)
        event = self._waiting[pod_uid] = asyncio.Event()
        if known.asked is None and job is not None:
            self._changed(job)
        return event

    def give(self, pod_uid: str, task_uid: str, attempt: int) -> None:
        """Take in that the process in a pod has an attempt: it is recorded."""
        known, given = self._workers.get(pod_uid), (task_uid, attempt)
        if known is None or known.has == given:
            return
        self._workers[pod_uid] = replace(
            known,
            asked=None,
            idle_since=None,
            given=known.given + 1,
            has=given,
        )
        if (event := self._waiting.pop(pod_uid, None)) is not None:
            event.set()

    def leave(self, pod_uid: str, attempts: Set[tuple[str, int]]) -> None:
        """Take in that the process in a pod does not work on these, though they are its own."""
        known = self._workers.get(pod_uid)
        if known is not None and not attempts <= known.left:
            self._workers[pod_uid] = replace(known, left=known.left | attempts)

    def forget(self, pod_uid: str) -> None:
        """Drop what is known of a pod: it is gone."""
        self._workers.pop(pod_uid, None)
        if (event := self._waiting.pop(pod_uid, None)) is not None:
            event.set()
