"""Sees every pod and every VolumeTask there is, by watches of its own: what really happened."""

from collections import defaultdict
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from bec_operator.act.ground.api_server import bec, core
from bec_operator.api.names import JOB_LABEL, TASK_LABEL
from tests.scale.following import Following
from tests.support.kube import Body, Kube

_ENDED = {"Succeeded", "Failed"}


@dataclass(frozen=True)
class PodRecord:
    """One pod that there was: its job, its task, and its name, which has the attempt's number."""

    job: str
    task: str
    name: str


@dataclass
class Witness:
    """As a context: from its start on it sees all pods of tasks, and all VolumeTasks.

    None of what happens is left out, as `Following` says. `most` is by job how many pods were alive
    at once, and `most_of_all` of all jobs together; `attempts` is the failure class of each attempt
    that was recorded as failed, by the UID of its pod.
    """

    kube: Kube
    pods: dict[str, PodRecord] = field(default_factory=dict)
    most: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    most_of_all: int = 0
    attempts: dict[str, str] = field(default_factory=dict)
    _live: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _lines: list[Following] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._lines = [
            Following(self.kube, core(None, "pods"), self._see_pod, {"labelSelector": TASK_LABEL}),
            Following(self.kube, bec(None, "volumetasks"), self._see_task),
        ]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for line in self._lines:
            line.stop()
        if error is None:
            self._check()

    def count(self) -> int:
        """Return how many pods there were so far."""
        self._check()
        return len(self.pods)

    def alive(self) -> int:
        """Return how many pods are alive."""
        return sum(map(len, list(self._live.values())))

    def _check(self) -> None:
        lost = [line.lost for line in self._lines if line.lost]
        assert not lost, f"nobody saw what happened: {lost}"

    def _see_pod(self, kind: str, pod: Body) -> None:
        meta = pod["metadata"]
        uid, labels = meta["uid"], meta["labels"]
        job = labels[JOB_LABEL]
        self.pods.setdefault(uid, PodRecord(job, labels[TASK_LABEL], meta["name"]))
        live = self._live[job]
        if kind == "DELETED" or pod.get("status", {}).get("phase") in _ENDED:
            live.discard(uid)
        elif uid not in live:
            live.add(uid)
            self.most[job] = max(self.most[job], len(live))
            self.most_of_all = max(self.most_of_all, self.alive())

    def _see_task(self, kind: str, task: Body) -> None:
        del kind
        self.note_attempts((task.get("status") or {}).get("attempts") or [])

    def note_attempts(self, attempts: list[Body]) -> None:
        """Take in what is on record of a task's attempts."""
        for attempt in attempts:
            if attempt.get("failure"):
                self.attempts[attempt.get("podUid", "")] = attempt["failure"]
