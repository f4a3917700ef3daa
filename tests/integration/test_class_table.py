"""Ends and waits as a real kubelet has left them, on a real API server: class, cost, and words."""

from typing import Any

import pytest

from bec_operator.act.ground.api_server import core
from tests.support.behaviours import become, fail, hang, in_turn, stay_pending, succeed
from tests.support.jobs import TEMPLATE, condition, counts, is_true, job, numbered
from tests.support.kube import Body, Kube
from tests.support.space import Space
from tests.support.waiting import throughout, until
from tests.support.workers import Workers

pytestmark = pytest.mark.usefixtures("operator")

STAY = {"history": {"succeeded": 100, "failed": 100}}


def attempts(space: Space) -> list[Body]:
    """Return the recorded attempts of the one VolumeTask that there is."""
    (task,) = space.tasks()
    found: list[Body] = task["status"]["attempts"]
    return found


@pytest.mark.parametrize(
    ("name", "failure", "says"),
    [
        ("init-exit-1", "Retryable", "init container fetch: exit 1: no such scan"),
        ("init-out-of-memory", "OutOfMemory", "init container fetch: killed for its memory"),
        ("init-exit-78", "Retryable", "init container fetch: exit 78: no such bucket"),
        ("ephemeral-storage-limit", "StorageExceeded", "Pod ephemeral local storage usage exceeds"),
        ("empty-dir-size-limit", "StorageExceeded", "Usage of EmptyDir volume"),
        ("deadline-while-running", "TooLong", "activeDeadlineSeconds of worker.template is over"),
        ("start-error-no-space", "RuntimeTrouble", "no space left on device"),
        ("exit-143", "Retryable", "exit 143"),
        ("exit-64", "Retryable", "exit 64: usage: scan FILE"),
    ],
)
def test_what_counts(space: Space, workers: Workers, name: str, failure: str, says: str) -> None:
    """argoproj/argo-workflows#10717, #941, #3244, kubernetes/kubernetes#93649."""
    workers.behaviour = become(name)
    live = space.submit(job("counts", space.bucket, numbered(1), retry={"limit": 2}, **STAY))
    live.wait_phase("Failed")
    told = attempts(space)
    assert [attempt["failure"] for attempt in told] == [failure] * 2
    assert all(says in attempt["message"] for attempt in told)


@pytest.mark.parametrize("name", ["init-exit-65", "start-error-no-such-file"])
def test_what_is_final(space: Space, workers: Workers, name: str) -> None:
    workers.behaviour = become(name)
    live = space.submit(job("final", space.bucket, numbered(1), retry={"limit": 3}, **STAY))
    live.wait_phase("Failed")
    assert len(attempts(space)) == 1


@pytest.mark.parametrize(
    ("name", "failure"),
    [
        ("out-of-cpu", "NodeRefused"),
        ("unexpected-admission-error", "NodeRefused"),
        ("node-rebooted", "Disrupted"),
        ("container-status-unknown", "Disrupted"),
    ],
)
def test_what_costs_nothing(space: Space, workers: Workers, name: str, failure: str) -> None:
    """kubernetes/kubernetes#70010, flyteorg/flyte#6461, argoproj/argo-workflows#11354."""
    workers.behaviour = in_turn(become(name), become(name), succeed)
    live = space.submit(job("free", space.bucket, numbered(1), retry={"limit": 1}, **STAY))
    live.wait_complete()
    assert [attempt.get("failure") for attempt in attempts(space)] == [failure, failure, ""]


def test_a_deadline_is_a_time_out(space: Space, workers: Workers) -> None:
    """armadaproject/armada#3122."""
    workers.behaviour = become("deadline-while-running")
    retry = {"limit": 3, "onTimeout": "Fail"}
    space.submit(job("over", space.bucket, numbered(1), retry=retry, **STAY)).wait_phase("Failed")
    assert [attempt["failure"] for attempt in attempts(space)] == ["TooLong"]


@pytest.mark.parametrize("name", ["init-exit-1", "out-of-cpu"])
def test_what_fails_everywhere_pauses_the_job(space: Space, workers: Workers, name: str) -> None:
    """bluek8s/kubedirector#543, NVIDIA/OSMO#1036: 20 volumes made 20 pods each."""
    workers.behaviour = become(name)
    slow = {"limit": 3, "backoff": {"initial": "20s", "max": "10m"}}
    live = space.submit(job("all", space.bucket, numbered(20), parallelism=10, retry=slow))
    message = live.wait_stalled("RepeatedFailures", timeout=30.0)
    said = "no such scan" if name == "init-exit-1" else "OutOfcpu"
    assert said in message
    until(lambda: not workers.alive(), "those that were begun have ended")
    assert len(workers.runs.all()) <= 20
    assert counts(live.read()).get("failed", 0) == 0


def test_ready_says_why_a_node_refuses(space: Space, workers: Workers) -> None:
    workers.behaviour = become("node-affinity")
    slow = {"limit": 1, "backoff": {"initial": "20s", "max": "10m"}}
    live = space.submit(job("why", space.bucket, numbered(2), retry=slow))
    said = "2 volume(s) wait for another attempt: its node did not take the pod: Node"

    def told(job: Body) -> bool:
        ready = condition(job, "Ready")
        return ready["reason"] == "NodeRefused" and said in ready["message"]

    found = live.wait(told, "it is told", 30.0)
    assert not is_true(found, "Stalled")


def test_a_scheduling_gate_is_no_start(space: Space, workers: Workers, kube: Kube) -> None:
    """skypilot-org/skypilot#10252, tektoncd/pipeline#4078."""
    workers.behaviour = lambda _: None  # nobody gives it a node
    gates = [{"name": "example.org/wait"}]
    template: dict[str, Any] = {"spec": {**TEMPLATE["spec"], "schedulingGates": gates}}
    short = {"start": "1s", "node": "2s"}
    live = space.submit(
        job("gated", space.bucket, numbered(1), worker={"template": template}, timeouts=short,
            retry={"limit": 1}, **STAY)
    )  # fmt: skip
    found = live.wait(
        lambda job: condition(job, "Ready")["reason"] == "SchedulingGated", "it is told"
    )
    assert "example.org/wait" in condition(found, "Ready")["message"]
    (run,) = workers.alive()
    throughout(5.0, lambda: run.alive, "it waits, for longer than any of its time-outs")
    kube.patch(core(space.namespace, "pods", run.pod.name), {"spec": {"schedulingGates": None}})
    workers.play(run, succeed)
    live.wait_complete()
    assert [attempt.get("failure") for attempt in attempts(space)] == [""]


def test_the_kubelets_word_is_in_the_message(space: Space, workers: Workers) -> None:
    """tektoncd/pipeline#5116."""

    def lack_secret(pod: Any) -> None:
        stay_pending(pod)
        pod.warn("FailedMount", 'MountVolume.SetUp failed for "keys": secret "keys" not found')

    workers.behaviour = in_turn(lack_secret, succeed)
    live = space.submit(
        job(
            "mount", space.bucket, numbered(1), timeouts={"start": "6s"}, retry={"limit": 2}, **STAY
        )
    )
    assert 'secret "keys" not found' in live.wait_stalled("FailedMount")
    live.wait_complete(timeout=60.0)
    first, _ = attempts(space)
    assert first["failure"] == "StartTimeout"
    assert first["message"].endswith('secret "keys" not found')


def test_three_volumes_are_believed_that_the_job_is_set_up_wrongly(
    space: Space, workers: Workers
) -> None:
    workers.behaviour = hang
    slow = {"backoff": {"initial": "1h", "max": "1h"}}  # both are to wait at the same time
    live = space.submit(job("claims", space.bucket, numbered(20), parallelism=3, retry=slow))
    one, two, three = workers.running(3)
    for run in (one, two):
        workers.play(run, fail(78, "bad config"))
    live.wait(lambda job: counts(job).get("retrying") == 2, "two have failed")
    assert not is_true(live.read(), "Stalled")
    workers.play(three, fail(78, "bad config"))
    assert "3 volumes say so: exit 78: bad config" in live.wait_stalled("Misconfigured")


def test_disruptions_that_go_on_wait_longer(space: Space, workers: Workers) -> None:
    workers.behaviour = become("node-pressure")
    slow = {"limit": 1, "backoff": {"initial": "1h", "max": "1h"}}
    space.submit(job("again", space.bucket, numbered(1), retry=slow, **STAY))
    until(
        lambda: any("nextAttempt" in task.get("status", {}) for task in space.tasks()),
        "the second one waits",
    )
    assert len(attempts(space)) == 2
