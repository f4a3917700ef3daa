"""Jobs share the pods that there may be; a full cluster or quota costs no attempt."""

from collections.abc import Iterator

import pytest

from bec_operator.act.ground.api_server import core
from tests.integration.conftest import MakeOperator
from tests.support.behaviours import hang, lack_image, succeed
from tests.support.jobs import SOON, condition, counts, job, numbered
from tests.support.operator_process import Operator
from tests.support.pods import PlayedPod
from tests.support.space import Space
from tests.support.waiting import until
from tests.support.workers import Workers

MOST = 6  # pods that the operator may have


@pytest.fixture(scope="module")
def narrow(make_operator: MakeOperator) -> Iterator[Operator]:
    with make_operator(max_pods=MOST) as operator:
        yield operator


@pytest.mark.usefixtures("narrow")
def test_a_small_job_ends_while_a_huge_one_runs(space: Space, workers: Workers) -> None:
    """argo-workflows#12253: and neither takes more than there may be."""
    workers.behaviour = hang
    huge = space.submit(job("huge", space.bucket, numbered(300, "W1"), parallelism=100))
    workers.running(MOST)
    small = space.submit(job("small", space.bucket, numbered(10, "W2"), parallelism=10))
    workers.release(succeed)
    small.wait_complete()
    assert counts(huge.read()).get("succeeded", 0) < 300
    assert workers.runs.most_alive <= MOST


@pytest.mark.usefixtures("narrow")
def test_a_higher_priority_gets_what_comes_free(space: Space, workers: Workers) -> None:
    workers.behaviour = hang
    space.submit(job("low", space.bucket, numbered(30, "W1"), parallelism=6))
    workers.running(MOST)
    high = space.submit(job("high", space.bucket, numbered(4, "W2"), parallelism=6, priority=5))
    high.wait_phase("Running")  # it could start, and nothing is free
    for run in workers.alive()[:4]:
        workers.play(run, succeed)
    until(lambda: names(workers) == ["high"] * 4 + ["low"] * 2, "the urgent job has its pods")
    workers.release(succeed)


def names(workers: Workers) -> list[str]:
    """Return the Jobs that the pods are of that are alive, in order."""
    return sorted(run.pod.job for run in workers.alive())


@pytest.mark.usefixtures("operator")
def test_a_quota_costs_no_attempt_and_a_request_a_second(space: Space, workers: Workers) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "few"},
        "spec": {"hard": {"count/pods": "2"}},
    }
    path = core(space.namespace, "resourcequotas")
    space.kube.create(path, quota)
    until(lambda: space.kube.get(f"{path}/few").get("status", {}).get("hard"), "it is in force")
    workers.behaviour = hang
    live = space.submit(job("quota", space.bucket, numbered(9), parallelism=9))
    workers.running(2)
    found = live.wait(
        lambda found: condition(found, "Ready")["reason"] == "QuotaExceeded", "it is told"
    )
    assert "exceeded quota" in condition(found, "Ready")["message"]
    space.kube.delete(f"{path}/few")
    workers.release(succeed)
    assert counts(live.wait_complete(timeout=60)) == {"total": 9, "succeeded": 9}
    assert all(len(task["status"]["attempts"]) == 1 for task in space.tasks())


def find_no_node(pod: PlayedPod) -> None:
    """Be refused by the scheduler."""
    pod.report_unschedulable("0/1 nodes are available: 1 Insufficient memory.")


@pytest.mark.usefixtures("operator")
def test_a_pod_without_a_node_is_told_of_and_gives_up_its_slot(
    space: Space, workers: Workers
) -> None:
    """kueue#14041, cowait#243: and the volume is tried again, for nothing."""
    workers.behaviour = find_no_node
    limits = {"node": "8s"}
    live = space.submit(
        job("roomy", space.bucket, numbered(1), timeouts=limits, retry={"limit": 1})
    )
    said = live.wait_stalled("Unschedulable")
    assert "Insufficient memory" in said
    workers.behaviour = succeed
    assert counts(live.wait_complete(timeout=40)) == {"total": 1, "succeeded": 1}
    (task,) = space.tasks()
    first = task["status"]["attempts"][0]
    assert first["failure"] == "Unschedulable"
    assert "Insufficient memory" in first["message"]


@pytest.mark.usefixtures("operator")
def test_a_registry_that_comes_back_hurts_nobody(space: Space, workers: Workers) -> None:
    """kubernetes#122300: shown, and no attempt lost."""
    workers.behaviour = lack_image
    live = space.submit(job("patient", space.bucket, numbered(1), retry={"limit": 1}))
    live.wait_stalled("ImagePull")
    workers.release(succeed)
    assert counts(live.wait_complete()) == {"total": 1, "succeeded": 1}


@pytest.mark.usefixtures("operator")
def test_an_image_that_never_comes_fails_no_volume_and_pauses_the_job(
    space: Space, workers: Workers
) -> None:
    """tekton#4895, #5987: after the grace; after several the job launches no more."""
    workers.behaviour = lambda pod: pod.wait_for_image("ErrImagePull", "no such tag: v9")
    spec = {"timeouts": {"start": "4s"}, "maxFailed": "100%", "parallelism": 5}
    slow = {"backoff": {"initial": "1h", "max": "1h"}}  # so are the probes: none comes in between
    live = space.submit(job("bad-tag", space.bucket, numbered(30), retry=slow, **spec))
    said = live.wait_stalled("RepeatedFailures", timeout=40)
    assert "ImagePull" in said
    assert "no such tag: v9" in said
    assert len(workers.runs.all()) <= 12
    workers.behaviour = succeed
    live.patch(worker={"parameters": {"tag": "v10"}}, retry={"backoff": SOON})
    assert counts(live.wait_complete(timeout=60)) == {"total": 30, "succeeded": 30}
