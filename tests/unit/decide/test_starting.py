"""Before the worker runs: what takes too long, and when nothing does."""

from dataclasses import replace

import pytest

from bec_operator.api.retry import Retry
from bec_operator.api.timeouts import Timeouts
from bec_operator.decide.attempts.actions import AskKubelet
from bec_operator.decide.attempts.starting import ask_kubelet
from bec_operator.decide.attempts.timeouts import overdue_start
from bec_operator.decide.attempts.view import Limits, TaskView
from bec_operator.decide.sight.failures import FailureClass
from bec_operator.decide.sight.seen import Fact, PodSeen, TaskSeen
from tests.unit.decide.views import task_view

SEEN = 1_000_000.0
POD = PodSeen("ns", "t-1", "pod", 1, "j", "t", "task", seen_first=SEEN)
BAD_TAG = replace(POD, waiting="ImagePullBackOff", waiting_message="no such tag", node="n",
                  seen_troubled=SEEN + 5)  # fmt: skip
NO_SECRET = replace(BAD_TAG, waiting="CreateContainerConfigError", waiting_message="no secret")
RESERVED = replace(BAD_TAG, waiting="CreateContainerError",
                   waiting_message="failed to reserve container name")  # fmt: skip
HOMELESS = replace(
    POD, unschedulable="0/3 nodes are available: 3 Insufficient memory", seen_free=SEEN
)
PLACED = replace(POD, node="n", seen_placed=SEEN)
GATED = replace(POD, gated="example.org/wait", seen_free=SEEN)


NOTHING = Fact(SEEN)
NO_VOLUME = Fact(SEEN, "FailedMount", 'FailedMount: secret "keys" not found')


def _view(after: float, start: str, heard: Fact | None = NOTHING) -> TaskView:
    limits = Limits.of(Timeouts(start=start), Retry())
    task = TaskSeen("ns", "t", "task", 1, "j", "job", 0)
    return task_view(task, limits=limits, now=SEEN + after, heard=heard)


@pytest.mark.parametrize(
    ("pod", "after", "start", "failure", "said"),
    [
        (PLACED, 599, "10m", None, ""),
        (PLACED, 600, "10m", FailureClass.START_TIMEOUT, "did not run in 10m (timeouts.start)"),
        # A node that takes long to come: SocialGouv/iterion#707, apache/airflow#49784.
        (replace(PLACED, seen_placed=SEEN + 540), 1139, "10m", None, ""),
        (HOMELESS, 3599, "10m", None, ""),
        (HOMELESS, 3600, "10m", FailureClass.UNSCHEDULABLE, "Insufficient memory"),
        (HOMELESS, 3600, "10m", FailureClass.UNSCHEDULABLE, "within 1h0m (timeouts.node)"),
        # A queue: skypilot-org/skypilot#10252, tektoncd/pipeline#4078.
        (GATED, 99_999, "10m", None, ""),
        (replace(HOMELESS, seen_free=SEEN + 9_000), 12_599, "10m", None, ""),
        (BAD_TAG, 185, "10m", None, ""),  # kubernetes#122300: a registry away for three minutes
        (BAD_TAG, 304, "10m", None, ""),
        (BAD_TAG, 305, "10m", FailureClass.IMAGE_PULL, "not within 5m: ImagePullBackOff: no such"),
        (BAD_TAG, 65, "1m", FailureClass.IMAGE_PULL, "not within 1m"),
        (NO_SECRET, 305, "10m", FailureClass.CONTAINER_CONFIG, "CreateContainerConfigError: no s"),
        (replace(PLACED, stranded=True, seen_troubled=SEEN), 59, "10m", None, ""),
        (
            replace(PLACED, stranded=True, seen_troubled=SEEN),
            60,
            "10m",
            FailureClass.DISRUPTED,
            "the node n went down under it",
        ),
        (RESERVED, 305, "10m", FailureClass.RUNTIME_TROUBLE, "failed to reserve container name"),
    ],
)
def test_each_cause_has_its_time(
    pod: PodSeen, after: float, start: str, failure: FailureClass | None, said: str
) -> None:
    verdict = overdue_start(_view(after, start), pod)
    assert (verdict.failure if verdict else None) is failure
    assert said in (verdict.message if verdict else "")


def test_the_kubelet_is_asked_before_a_pod_is_given_up_and_its_words_are_told() -> None:
    """What keeps a Secret from being mounted stands in Events alone: tektoncd/pipeline#5116."""
    assert not list(ask_kubelet(_view(299, "10m", None), PLACED))
    asked = AskKubelet(_view(0, "10m").task, 1, PLACED)
    assert list(ask_kubelet(_view(300, "10m", None), PLACED)) == [asked]
    assert not list(ask_kubelet(_view(59, "1m", NOTHING), PLACED))
    assert list(ask_kubelet(_view(60, "1m", NOTHING), PLACED)) == [asked]
    assert not list(ask_kubelet(_view(300, "10m", None), HOMELESS))
    assert overdue_start(_view(600, "10m", None), PLACED) is None
    verdict = overdue_start(_view(600, "10m", NO_VOLUME), PLACED)
    assert verdict is not None
    assert verdict.message.endswith('(timeouts.start): FailedMount: secret "keys" not found')
