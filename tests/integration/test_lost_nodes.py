"""Nodes that go silent, or go: what ran there is tried again, and what had ended never is."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from tests.integration.conftest import MakeOperator
from tests.support.behaviours import fail, for_volumes, hang, succeed
from tests.support.jobs import counts, job, numbered
from tests.support.kube import Kube
from tests.support.node import PlayedNode
from tests.support.operator_process import Operator
from tests.support.runs import Run
from tests.support.space import Space
from tests.support.waiting import throughout, until
from tests.support.workers import Workers

LOST_SECONDS = 3.0
ONE_TRY = {"limit": 1}


@pytest.fixture(scope="module", autouse=True)
def operator(make_operator: MakeOperator) -> Iterator[Operator]:
    with make_operator(node_lost_seconds=LOST_SECONDS) as operator:
        yield operator


@pytest.fixture
def doomed(kube: Kube, workers: Workers, node: str) -> Iterator[PlayedNode]:
    """The node of all pods, until a test gives `workers` another one."""
    with PlayedNode(kube, f"doomed-{uuid4().hex[:8]}") as doomed:
        workers.node = doomed.name
        yield doomed
        workers.node = node


def attempts(space: Space) -> list[dict[str, Any]]:
    """Return the recorded attempts of the one VolumeTask that there is."""
    (task,) = space.tasks()
    return list(task.get("status", {}).get("attempts", []))


def delete_in_vain(space: Space, run: Run) -> None:
    """Ask for the end of a pod whose kubelet does not hear of it."""
    space.kube.delete(run.pod.path, uid=run.pod.uid, grace=1)


def test_a_pod_on_a_silent_node_is_given_up(
    space: Space, workers: Workers, doomed: PlayedNode, node: str
) -> None:
    """`jobset#576`, `tekton#7218`."""
    workers.behaviour, workers.stubborn = hang, True
    live = space.submit(job("silent", space.bucket, numbered(1), retry=ONE_TRY))
    (run,) = workers.running(1)
    workers.node = node
    delete_in_vain(space, run)
    until(lambda: "deletionTimestamp" in space.pods()[0]["metadata"], "it is to go")
    throughout(3 * LOST_SECONDS, lambda: len(space.pods()) == 1, "its node is well: it is awaited")
    assert len(workers.runs.all()) == 1

    doomed.say_ready("Unknown", datetime.now(UTC) - timedelta(minutes=10))

    second = workers.nth(2, "Running", timeout=30)
    (first,) = (attempt for attempt in attempts(space) if attempt["failure"])
    assert (first["failure"], first["node"]) == ("NodeLost", doomed.name)
    assert first["message"] == f"the node {doomed.name} is lost: not Ready for 10m"
    doomed.say_ready("True", datetime.now(UTC))
    workers.play(run, fail(65, "the zombie is back"))
    throughout(2, lambda: second.alive, "the second attempt runs on")
    workers.release()
    assert counts(live.wait_complete()) == {"total": 1, "succeeded": 1}
    workers.runs.check_one_pod_per_attempt()
    assert len(workers.runs.all()) == 2


def test_a_pod_on_a_node_that_is_gone_is_given_up(
    space: Space, workers: Workers, doomed: PlayedNode, node: str
) -> None:
    workers.behaviour, workers.stubborn = hang, True
    live = space.submit(job("gone", space.bucket, numbered(1), retry=ONE_TRY))
    (run,) = workers.running(1)
    workers.node = node
    doomed.remove()
    delete_in_vain(space, run)

    workers.nth(2, "Running", timeout=30)

    (first,) = (attempt for attempt in attempts(space) if attempt["failure"])
    assert first["failure"] == "NodeLost"
    assert first["message"] == f"the node {doomed.name} is lost: it is gone"
    workers.release()
    assert counts(live.wait_complete()) == {"total": 1, "succeeded": 1}


def test_what_had_ended_does_not_run_again_when_its_node_goes(
    space: Space, workers: Workers, doomed: PlayedNode, node: str
) -> None:
    """`volcano#3296`: its pods and its node go; what still ran is ended by Kubernetes itself."""
    workers.behaviour = for_volumes({"I2"}, hang, succeed)
    live = space.submit(job("ended", space.bucket, numbered(3), retry=ONE_TRY))
    live.wait_counts(succeeded=2, running=1)
    workers.node, workers.behaviour = node, succeed

    for run in workers.runs.all():
        if not run.alive:
            space.kube.delete(run.pod.path, grace=0)
    doomed.remove()
    found = live.wait_complete(timeout=120)  # the garbage collection of pods waits for a minute

    assert counts(found) == {"total": 3, "succeeded": 3}
    ran = sorted((run.pod.task.i_id, run.pod.task.attempt) for run in workers.runs.all())
    assert ran == [("I0", 1), ("I1", 1), ("I2", 1), ("I2", 2)]
    (again,) = (task for task in space.tasks() if task["spec"]["volume"]["iId"] == "I2")
    first, _ = again["status"]["attempts"]
    assert (first["failure"], first["node"]) == ("NodeLost", doomed.name)
    assert first["message"] == f"the node {doomed.name} is lost: PodGC: node no longer exists"
