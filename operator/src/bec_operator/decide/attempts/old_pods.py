"""Pods of older tasks of the same name: they must be gone before an attempt begins."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bec_operator.decide.sight.seen import Fact, PodSeen, TaskSeen


@dataclass(slots=True)
class OldPods:
    """When such a pod was last seen alive, by the name of the task.

    `_over` are the tasks whose volume was settled when they went, and of which pods are still
    there: whoever asks for their marker has it already.
    """

    _alive: dict[str, float] = field(default_factory=dict)
    _over: set[str] = field(default_factory=set)

    def look(
        self, tasks: Mapping[int, TaskSeen], pods: Mapping[str, PodSeen], now: float
    ) -> dict[int, Fact]:
        """Return which of the tasks, by index, have to wait, whatever attempt a pod is of."""
        owners = {task.uid for task in tasks.values()}
        old = [pod for pod in pods.values() if pod.alive and pod.owner_uid not in owners]
        indices = {task.name: index for index, task in tasks.items()} if old else {}
        waiting = {}
        self._over &= {pod.task for pod in old}
        for pod in old:
            if pod.task not in self._over:
                self._alive[pod.task] = now
            if pod.task in indices:
                waiting[indices[pod.task]] = Fact(
                    now,
                    "WaitingForOldPod",
                    f"pod {pod.name} of an older task of this name is still there; the task waits "
                    "for its end",
                )
        return waiting

    def end(self, task: str) -> None:
        """Take in that the task of this name is gone, its volume being settled."""
        self._over.add(task)
        self.forget(task)

    def reopen(self) -> None:
        """Take in that volumes were opened again: what their old pods write counts."""
        self._over.clear()

    @property
    def any(self) -> bool:
        """Whether one was seen alive whose volume is not yet settled."""
        return bool(self._alive)

    def alive_at(self, task: str) -> float:
        """Return when one was last seen alive; 0 if none was."""
        return self._alive.get(task, 0.0)

    def forget(self, task: str) -> None:
        """Take in that the task of this name is settled."""
        self._alive.pop(task, None)
