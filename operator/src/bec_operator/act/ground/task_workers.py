"""What the workers of tasks have told of their attempts, since this operator runs."""

from collections.abc import Callable
from dataclasses import replace

from bec_operator.act.ground.key import Key
from bec_operator.decide.sight.seen import PodSeen, Report, TaskSeen, WorkerSeen
from bec_ops.contract.protocol import Progress


class TaskWorkers:
    """What the worker of each task has told of its attempt, by the UID of the task.

    It is kept when the pod goes: its last word may say why. `turned_away` is when a call was last
    turned away for no fault of its worker: then nobody's silence says anything.
    """

    def __init__(self, changed: Callable[[Key], None]) -> None:
        self.turned_away = 0.0
        self._workers: dict[str, WorkerSeen] = {}
        self._changed = changed

    def get(self, task_uid: str) -> WorkerSeen | None:
        """Return what the last worker of a task has told."""
        return self._workers.get(task_uid)

    def note_turned_away(self, now: float) -> None:
        """Take in that workers which call are not heard: too many do, or nobody can tell whose."""
        self.turned_away = max(self.turned_away, now)

    def note_call(
        self, pod: PodSeen, attempt: int, now: float, progress: Progress | None, activity: int
    ) -> None:
        """Take in a sign of life, and whether anything has moved since the last one."""
        known = self._of_attempt(pod, attempt)
        if known is None:
            seen = WorkerSeen(pod.uid, attempt, now, now, progress, activity)
            self._changed((pod.namespace, pod.job))
        else:
            moved = (progress, activity) != (known.progress, known.activity)
            seen = replace(
                known,
                called=now,
                moved=now if moved else known.moved,
                progress=progress or known.progress,
                activity=activity,
            )
        self._workers[pod.owner_uid] = seen

    def note_report(self, pod: PodSeen, attempt: int, report: Report) -> None:
        """Take in what the worker says became of its attempt; the first word counts."""
        known = self._of_attempt(pod, attempt)
        known = known or WorkerSeen(pod.uid, attempt, report.at, report.at)
        self._workers[pod.owner_uid] = replace(
            known, called=report.at, moved=report.at, report=known.report or report
        )
        self._changed((pod.namespace, pod.job))

    def forget(self, task: TaskSeen) -> None:
        """Drop what the worker of a task has told: the task is gone."""
        self._workers.pop(task.uid, None)

    def _of_attempt(self, pod: PodSeen, attempt: int) -> WorkerSeen | None:
        known = self._workers.get(pod.owner_uid)
        same = known is not None and (known.pod_uid, known.attempt) == (pod.uid, attempt)
        return known if same else None
