"""Sessions: which process of a pod is meant. The latest to register counts, the others are to end.

A session is the same whenever the same process registers, so nothing is lost when the operator
forgets: the worker registers again and goes on.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from bec_operator.worker_api.callers.refusals import CallRefusedError

_REMEMBERED = 8  # processes of a pod that another one has taken over from


@dataclass(slots=True)
class _Pod:
    """The sessions of one pod, and whether the current one was given the task."""

    current: str
    given: bool = False
    past: list[str] = field(default_factory=list)


class Sessions:
    """The sessions of all pods, by UID, since this operator runs."""

    def __init__(self) -> None:
        self._pods: dict[str, _Pod] = {}

    def register(self, pod_uid: str, process: str) -> str:
        """Make a process the current one of its pod, and return its session.

        Raises CallRefusedError, StaleSession, for one that another has taken over from.
        """
        session = hashlib.sha256(f"{pod_uid} {process}".encode()).hexdigest()[:32]
        pod = self._pods.get(pod_uid)
        if pod is None:
            self._pods[pod_uid] = _Pod(session)
        elif session in pod.past:
            raise _stale()
        elif session != pod.current:
            self._pods[pod_uid] = _Pod(session, past=[*pod.past, pod.current][-_REMEMBERED:])
        return session

    def check(self, pod_uid: str, session: str) -> None:
        """See that a session is the current one of a pod; raises CallRefusedError."""
        pod = self._pods.get(pod_uid)
        if pod is None:
            raise CallRefusedError("UnknownSession", "the session is not known; register (again)")
        if session != pod.current:
            raise _stale()

    def give(self, pod_uid: str) -> None:
        """Note that the current process of a pod has its task."""
        self._pods[pod_uid].given = True

    def given(self, pod_uid: str) -> bool:
        """Whether the current process of a pod has its task."""
        return self._pods[pod_uid].given

    def keep(self, pod_uids: Iterable[str]) -> None:
        """Forget all pods but these."""
        kept = set(pod_uids)
        self._pods = {uid: pod for uid, pod in self._pods.items() if uid in kept}


def _stale() -> CallRefusedError:
    return CallRefusedError(
        "StaleSession",
        "this is not the session of the process of this pod that registered last; end",
    )
