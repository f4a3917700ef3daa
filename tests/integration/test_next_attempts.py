"""What the pod of the next attempt is like: more memory, rather another node, the new template."""

from typing import Any

import pytest

from bec_operator.act.ground.api_server import core
from tests.support.behaviours import fail, hang, in_turn, run_out_of_memory, succeed
from tests.support.jobs import TEMPLATE, counts, job, numbered
from tests.support.kube import Body
from tests.support.pods import PlayedPod
from tests.support.space import Space
from tests.support.waiting import throughout, until
from tests.support.workers import Workers

pytestmark = pytest.mark.usefixtures("operator")

SOON = {"backoff": {"initial": "1s", "max": "1s"}}
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def asking(**resources: Body) -> Body:
    container = {"name": "worker", "image": "worker:1", "resources": resources}
    return {"template": {"spec": {"containers": [container]}}}


def resources(pod: PlayedPod) -> Any:
    return pod.spec["containers"][0]["resources"]


def pods(workers: Workers) -> list[PlayedPod]:
    return [run.pod for run in workers.runs.all()]


def test_memory_grows_up_to_its_maximum(space: Space, workers: Workers) -> None:
    """`argo-workflows#13373`: the next attempt has more."""
    workers.behaviour = in_turn(*[run_out_of_memory] * 3, succeed)
    worker = asking(requests={"memory": "32Mi", "cpu": "10m"}, limits={"memory": "64Mi"})
    retry = {**SOON, "limit": 4, "outOfMemory": {"factor": 2, "max": "200Mi"}}
    live = space.submit(job("grows", space.bucket, numbered(1), worker=worker, retry=retry))

    assert counts(live.wait_complete()) == {"total": 1, "succeeded": 1}

    assert [resources(pod) for pod in pods(workers)] == [
        {"requests": {"memory": request, "cpu": "10m"}, "limits": {"memory": limit}}
        for request, limit in [
            ("32Mi", "64Mi"),
            ("64Mi", "128Mi"),
            ("128Mi", "200Mi"),
            ("200Mi", "200Mi"),
        ]
    ]


def test_a_namespace_may_allow_no_more_memory(space: Space, workers: Workers) -> None:
    """Such a refusal is no fault of the template: the attempt gets what that says."""
    limits = {"limits": [{"type": "Container", "max": {"memory": "100Mi"}}]}
    space.kube.create(
        core(space.namespace, "limitranges"),
        {"kind": "LimitRange", "apiVersion": "v1", "metadata": {"name": "a"}, "spec": limits},
    )
    workers.behaviour = in_turn(run_out_of_memory, succeed)
    worker = asking(limits={"memory": "80Mi"})
    live = space.submit(job("bound", space.bucket, numbered(1), worker=worker, retry=SOON))

    assert counts(live.wait_complete()) == {"total": 1, "succeeded": 1}

    assert [resources(pod)["limits"] for pod in pods(workers)] == [{"memory": "80Mi"}] * 2


def test_other_nodes_are_preferred_and_the_same_one_will_do(space: Space, workers: Workers) -> None:
    workers.behaviour = in_turn(fail(1), fail(1), succeed)
    live = space.submit(job("node", space.bucket, numbered(1), retry=SOON))

    assert counts(live.wait_complete()) == {"total": 1, "succeeded": 1}

    first, *later = (pod.spec.get("affinity") for pod in pods(workers))
    assert first is None
    shunned = {"key": "metadata.name", "operator": "NotIn", "values": [workers.node]}
    term = {"weight": 100, "preference": {"matchFields": [shunned]}}
    assert later == [{"nodeAffinity": {PREFERRED: [term]}}] * 2


def test_a_change_of_template_is_for_new_attempts(space: Space, workers: Workers) -> None:
    workers.behaviour = hang
    live = space.submit(job("changed", space.bucket, numbered(2), parallelism=1, retry=SOON))
    (run,) = workers.running(1)
    containers = [{**TEMPLATE["spec"]["containers"][0], "image": "worker:2"}]

    live.patch(worker={"template": {"spec": {"containers": containers}}})

    live.wait(lambda found: found["status"]["observedGeneration"] == 2, "it is taken in")
    live.wait_ready()
    path = run.pod.path
    throughout(2, lambda: "deletionTimestamp" not in space.kube.get(path)["metadata"], "it runs on")
    assert len(pods(workers)) == 1
    until(lambda: _generations(space) == [[1]], "the attempt that runs tells its own")
    workers.behaviour = succeed
    workers.play(run, fail(1))
    assert counts(live.wait_complete()) == {"total": 2, "succeeded": 2}

    images = [pod.spec["containers"][0]["image"] for pod in pods(workers)]
    assert images == ["worker:1", "worker:2", "worker:2"]
    until(lambda: sorted(_generations(space)) == [[1, 2], [2]], "each attempt tells its own")


def _generations(space: Space) -> list[list[int]]:
    listed = (task.get("status", {}).get("attempts", []) for task in space.tasks())
    return [[attempt.get("generation") for attempt in attempts] for attempts in listed]
