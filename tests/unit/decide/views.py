"""Views of a task, as tests want them."""

from typing import Any

from bec_operator.api.retry import Backoff, Retry
from bec_operator.api.timeouts import Timeouts
from bec_operator.decide.attempts.view import Limits, TaskView
from bec_operator.decide.sight.seen import TaskSeen


def task_view(task: TaskSeen, **seen: Any) -> TaskView:
    """Return a view of a task of this process, about which nothing is known but what is given."""
    nothing = dict.fromkeys(
        (
            "parted",
            "reading",
            "blocked",
            "missed",
            "said",
            "verdict",
            "log",
            "heard",
            "shown",
            "stop",
            "host",
        )
    )
    return TaskView(
        **{
            **nothing,
            "task": task,
            "pods": {},
            "own": True,
            "old_pods_until": 0.0,
            "probed": 0.0,
            "may_launch": True,
            "redone": 0,
            "backoff": Backoff(),
            "limits": Limits.of(Timeouts(), Retry()),
            "generation": 1,
            "record_every": 60.0,
            "locate": str,
            "marker_shows": 30.0,
            "now": 0.0,
            **seen,
        }
    )
