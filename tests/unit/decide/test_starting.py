"""Before the worker runs: what takes too long, and when nothing does."""

from dataclasses import replace

import pytest

from bec_operator.api.job import Retry, Timeouts
from bec_operator.decide.failures import FailureClass
from bec_operator.decide.seen import PodSeen, TaskSeen
from bec_operator.decide.starting import overdue_start
from bec_operator.decide.view import Limits, TaskView
from tests.unit.decide.views import task_view

SEEN = 1_000_000.0
POD = PodSeen("ns", "t-1", "pod", 1, "j", "t", "task", seen_first=SEEN)
BAD_TAG = replace(POD, waiting="ImagePullBackOff", waiting_message="no such tag", node="n",
                  seen_troubled=SEEN + 5)  # fmt: skip
NO_SECRET = replace(BAD_TAG, waiting="CreateContainerConfigError", waiting_message="no secret")
HOMELESS = replace(POD, unschedulable="0/3 nodes are available: 3 Insufficient memory")


def _view(after: float, start: str) -> TaskView:
    limits = Limits.of(Timeouts(start=start), Retry())
    return task_view(TaskSeen("ns", "t", "task", 1, "j", "job", 0), limits=limits, now=SEEN + after)


@pytest.mark.parametrize(
    ("pod", "after", "start", "failure", "said"),
    [
        (POD, 599, "10m", None, ""),
        (POD, 600, "10m", FailureClass.START_TIMEOUT, "did not run in 10m (timeouts.start)"),
        (HOMELESS, 480, "10m", None, ""),  # kueue#14041: a node may take eight minutes to come
        (HOMELESS, 600, "10m", FailureClass.UNSCHEDULABLE, "Insufficient memory"),
        (BAD_TAG, 185, "10m", None, ""),  # kubernetes#122300: a registry away for three minutes
        (BAD_TAG, 304, "10m", None, ""),
        (BAD_TAG, 305, "10m", FailureClass.IMAGE_PULL, "not within 5m: ImagePullBackOff: no such"),
        (BAD_TAG, 65, "1m", FailureClass.IMAGE_PULL, "not within 1m"),
        (NO_SECRET, 305, "10m", FailureClass.CONTAINER_CONFIG, "CreateContainerConfigError: no s"),
    ],
)
def test_each_cause_has_its_time(
    pod: PodSeen, after: float, start: str, failure: FailureClass | None, said: str
) -> None:
    verdict = overdue_start(_view(after, start), pod)
    assert (verdict.failure if verdict else None) is failure
    assert said in (verdict.message if verdict else "")
