"""One task with all that bears on it: what decisions about it are made from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Self

from bec_operator.api.base import seconds
from bec_operator.api.retry import Backoff, OnTimeout, Retry
from bec_operator.api.timeouts import Timeouts
from bec_operator.decide.attempts.record import Shown
from bec_operator.decide.attempts.retrying import Budget
from bec_operator.decide.hosts.at_fault import Hosts
from bec_operator.decide.hosts.pool import Host
from bec_operator.decide.sight.failures import FailureClass
from bec_operator.decide.sight.seen import (
    Fact,
    MarkerSeen,
    MarkerState,
    PodSeen,
    TaskSeen,
    Verdict,
    WorkerSeen,
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a job allows a task: its budget, and the seconds of each time-out of an attempt."""

    budget: Budget
    node: float
    start: float
    heartbeat: float
    progress: float
    task: float

    @classmethod
    @lru_cache
    def of(cls, timeouts: Timeouts, retry: Retry) -> Self:
        """Return the limits that a job's spec gives."""
        times = (
            timeouts.node,
            timeouts.start,
            timeouts.heartbeat,
            timeouts.progress,
            timeouts.task,
        )
        budget = Budget(retry.limit, timeouts_final=retry.on_timeout is OnTimeout.FAIL)
        return cls(budget, *map(seconds, times))


@dataclass(frozen=True, slots=True)
class TaskView:
    """One task with all that bears on it.

    `parted` is the pod of it that went last, as it was then. `blocked` says that somebody else has
    a name that it needs, `missed` is when the pod of its attempt was missed, `own` whether this
    process made the task (so that its marker was looked at before), `old_pods_until` when somebody
    else who might write its marker was last seen, `may_launch` whether its pod may be made now,
    or it be handed to `host`, a worker of the pool,
    `stop` why no attempt may run, if so. `said` and `verdict` are of its attempt, `log` is what
    became of the log of it, None while nobody has looked, as is `heard`: what the kubelet says of
    its start. `probed` is when a heartbeat was last written on a pod of it, `record_every` the
    seconds between two. `generation` is the Job's.
    `redone` (epoch seconds) is since when everything is done again.
    `marker_shows` is how many seconds S3 may take to show a marker that was written.
    `locate` gives the output URI of the volume at an index. `turned_away` is when calls of workers
    were last not heard, for no fault of theirs, `hosts` is what is known of workers and nodes.
    """

    task: TaskSeen
    pods: Mapping[str, PodSeen]
    parted: PodSeen | None
    reading: MarkerSeen | None
    blocked: Fact | None
    missed: float | None
    own: bool
    old_pods_until: float
    said: WorkerSeen | None
    verdict: Verdict | None
    log: str | None
    heard: Fact | None
    probed: float
    shown: Shown | None
    may_launch: bool
    host: Host | None
    stop: Verdict | None
    redone: int
    limits: Limits
    backoff: Backoff
    generation: int
    record_every: float
    locate: Callable[[int], str]
    marker_shows: float
    now: float
    turned_away: float = 0.0
    hosts: Hosts = field(default_factory=Hosts)

    @property
    def attempt(self) -> int:
        """The number of the attempt that is under way or comes next."""
        return self.task.attempt

    @property
    def pod(self) -> PodSeen | None:
        """The pod of that attempt; one of this name that is another task's is none."""
        pod = self.pods.get(self.task.pod)
        return pod if pod is not None and pod.owner_uid == self.task.uid else None

    @property
    def impossible(self) -> Verdict | None:
        """Why no attempt can succeed: the store can hold no marker of this volume."""
        if self.reading is None or self.reading.state is not MarkerState.IMPOSSIBLE:
            return None
        return Verdict(FailureClass.OUTPUT_IMPOSSIBLE, self.reading.message)

    @property
    def superseded(self) -> Verdict | None:
        """Why the attempt's pod is of no use: everything is done again since it was made."""
        if self.pod is None or self.pod.redo_at >= self.redone:
            return None
        return Verdict(FailureClass.STOPPED, "everything is done again (spec.redoAt)")

    @property
    def gone(self) -> PodSeen | None:
        """The pod of that attempt as it was when it went, if we saw it."""
        parted = self.parted
        return parted if parted is not None and parted.name == self.task.pod else None

    @property
    def worker(self) -> WorkerSeen | None:
        """What the worker in that pod has told, or, if the pod is gone, in the one that was."""
        if self.said is None or (self.pod is not None and self.pod.uid != self.said.pod_uid):
            return None
        return self.said
