"""When the node of a pod that does not end is looked at, and when it counts as lost."""

from typing import Any

import pytest

from bec_operator.act.kube.nodes import node_of
from bec_operator.decide.attempts.actions import CheckNode, DeletePod, StopPod
from bec_operator.decide.attempts.lost_nodes import is_lost, release_pods
from bec_operator.decide.sight.action import Action
from bec_operator.decide.sight.failures import FailureClass
from bec_operator.decide.sight.moments import iso
from bec_operator.decide.sight.seen import NodeSeen, PodSeen, Verdict

ENDS = 1_800_000_000.0  # of the grace
LIMIT = 300.0
GONE = NodeSeen(ENDS + 60, gone=True)


def _pod(**seen: Any) -> PodSeen:
    base = {"namespace": "ns", "name": "t-1", "uid": "u", "version": 1, "job": "j", "task": "t"}
    state = {"phase": "Running", "node": "n1", "deleting": True, "grace_ends": ENDS}
    return PodSeen(**{**base, "owner_uid": "o", **state, **seen})


def _actions(
    after: float, looked: NodeSeen | None = None, limit: float = LIMIT, **seen: Any
) -> list[Action]:
    pod, nodes = _pod(**seen), {"n1": looked} if looked else {}
    return list(release_pods({pod.name: pod}, nodes, limit, ENDS + after))


@pytest.mark.parametrize(
    "seen",
    [
        {"deleting": False, "grace_ends": None},
        {"grace_ends": ENDS + 1},
        {"phase": "Failed"},
        {"node": ""},
    ],
    ids=["not deleted", "in its grace", "ended", "never had a node"],
)
def test_the_node_of_such_a_pod_is_let_alone(seen: dict[str, Any]) -> None:
    assert _actions(60, **seen) == []
    assert _actions(60, GONE, **seen) == []


def test_the_node_is_looked_at_a_minute_after_the_grace_and_each_half_minute() -> None:
    assert _actions(59) == []
    assert _actions(60) == [CheckNode("n1")]
    well = NodeSeen(ENDS + 60)
    assert _actions(89, well) == []
    assert _actions(90, well) == [CheckNode("n1")]


def test_a_shorter_limit_shortens_all() -> None:
    assert _actions(5, limit=5.0) == [CheckNode("n1")]
    assert _actions(10, NodeSeen(ENDS + 5), limit=5.0) == [CheckNode("n1")]
    assert is_lost(NodeSeen(100.0, down_since=95.0, seen_down=95.0), 5.0)


@pytest.mark.parametrize(
    ("node", "lost"),
    [
        (GONE, True),
        (NodeSeen(1000.0), False),
        (NodeSeen(1000.0, forbidden=True), False),
        (NodeSeen(1000.0, down_since=700.0, seen_down=940.0), True),
        (NodeSeen(1000.0, down_since=701.0, seen_down=701.0), False),
        (NodeSeen(1000.0, down_since=100.0, seen_down=941.0), False),  # our clock may be ahead
    ],
)
def test_lost(node: NodeSeen, *, lost: bool) -> None:
    assert is_lost(node, LIMIT) is lost


def test_one_that_may_run_has_failed_with_its_node() -> None:
    (action,) = _actions(61, GONE)
    verdict = Verdict(FailureClass.NODE_LOST, "the node n1 is lost: it is gone")
    assert action == StopPod(_pod(), verdict, force=True)
    down = NodeSeen(ENDS + 60, down_since=ENDS - 300, seen_down=ENDS)
    (action,) = _actions(61, down)
    assert isinstance(action, StopPod)
    assert action.verdict.message == "the node n1 is lost: not Ready for 6m"


def test_one_whose_worker_has_ended_only_has_to_go() -> None:
    assert _actions(61, GONE, worker_ended=True) == [DeletePod(_pod(worker_ended=True), force=True)]


@pytest.mark.parametrize(
    ("failure", "explained"),
    [
        (FailureClass.SILENT, True),
        (FailureClass.START_TIMEOUT, True),
        (FailureClass.TOO_LONG, False),
        (FailureClass.STUCK, False),
    ],
)
def test_a_lost_node_explains_silence_and_nothing_else(
    failure: FailureClass, *, explained: bool
) -> None:
    (action,) = _actions(61, GONE, stopped=Verdict(failure, "so it was"))
    assert isinstance(action, StopPod)
    assert action.verdict.failure is (FailureClass.NODE_LOST if explained else failure)


def _node(status: str, since: float) -> dict[str, Any]:
    ready = {"type": "Ready", "status": status, "lastTransitionTime": iso(since)}
    return {"status": {"conditions": [{"type": "DiskPressure", "status": "False"}, ready]}}


def test_what_a_node_says_is_read_anew_each_time_it_changes() -> None:
    first = node_of(_node("Unknown", 700.0), None, 1000.0)
    assert first == NodeSeen(1000.0, down_since=700.0, seen_down=1000.0)
    again = node_of(_node("Unknown", 700.0), first, 1030.0)
    assert again == NodeSeen(1030.0, down_since=700.0, seen_down=1000.0)
    assert node_of(_node("False", 1031.0), again, 1060.0).seen_down == 1060.0
    assert node_of(_node("True", 1050.0), again, 1060.0) == NodeSeen(1060.0)
    assert node_of({}, None, 1.0) == NodeSeen(1.0)
