"""Others write to our objects while a job runs: the desired state is reached all the same."""

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from bec_operator.act.ground.api_server import bec
from bec_operator.api.names import ledger_name
from tests.support.behaviours import Behaviour, fail, for_volumes, hang
from tests.support.jobs import counts, is_true, job, numbered, phase
from tests.support.kube import Body, Kube, KubeError
from tests.support.space import Space
from tests.support.waiting import until
from tests.support.workers import Workers

pytestmark = pytest.mark.usefixtures("operator")

PATCHES = 1000
FAILING = {"I3", "I31", "I59"}
LAST = {"I58"}
WORK: Behaviour = for_volumes(FAILING, fail(65, "torn"), for_volumes(LAST, hang))

Change = Callable[[random.Random], tuple[str, Body]]  # a subresource or none, and a merge patch


def label(chance: random.Random) -> tuple[str, Body]:
    return "", {"metadata": {"labels": {"somebody": str(chance.random())}}}


def our_label(chance: random.Random) -> tuple[str, Body]:
    return "", {"metadata": {"labels": {"bec.bdrc.io/job": chance.choice([None, "other"])}}}


def annotation(chance: random.Random) -> tuple[str, Body]:
    return "", {"metadata": {"annotations": {"somebody": str(chance.random())}}}


def job_phase(chance: random.Random) -> tuple[str, Body]:
    phases = ["Pending", "Running", "Complete", "Failed"]
    return "/status", {"status": {"phase": chance.choice(phases)}}


def job_counts(chance: random.Random) -> tuple[str, Body]:
    return "/status", {"status": {"counts": {"succeeded": chance.randrange(99)}, "eta": "soon"}}


def job_status(_: random.Random) -> tuple[str, Body]:
    return "/status", {"status": None}


def task_phase(chance: random.Random) -> tuple[str, Body]:
    phases = ["Running", "Retrying", "Succeeded", "Failed"]
    return "/status", {"status": {"phase": chance.choice(phases)}}


def task_message(_: random.Random) -> tuple[str, Body]:
    return "/status", {"status": {"message": "all is well, says somebody"}}


ON_JOB: list[Change] = [label, our_label, annotation, job_phase, job_counts, job_status]
ON_TASK: list[Change] = [label, our_label, annotation, task_phase, task_message]


def meddle(kube: Kube, space: Space, name: str) -> None:
    """Patch the Job and its VolumeTasks a thousand times, in the same order in each run."""
    chance = random.Random(1)

    def patches() -> Iterator[tuple[str, Body]]:
        for _ in range(PATCHES // 20):
            tasks = [task["metadata"]["name"] for task in space.tasks()]
            for number in range(20):
                on_job = number % 4 == 0 or not tasks
                plural, target = ("jobs", name) if on_job else ("volumetasks", chance.choice(tasks))
                sub, body = chance.choice(ON_JOB if on_job else ON_TASK)(chance)
                yield bec(space.namespace, plural, target) + sub, body

    def patch(what: tuple[str, Body]) -> None:
        try:
            kube.patch(*what)
        except KubeError as error:
            if error.code != 404:  # finished, and no longer kept
                raise

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(patch, patches()))


def test_a_thousand_foreign_patches(kube: Kube, space: Space, workers: Workers) -> None:
    """kopf#1178, #729, #784: what is asked for is reached all the same."""
    workers.behaviour = WORK
    live = space.submit(job("meddled", space.bucket, numbered(60), parallelism=5, maxFailed=10))
    workers.running(1)

    meddle(kube, space, "meddled")
    workers.release(for_volumes(FAILING, fail(65, "torn")))
    found = live.wait_complete(timeout=60)

    assert counts(found) == {"total": 60, "succeeded": 57, "failed": 3}
    workers.runs.check_each_ran_once(60)
    until(
        lambda: _volumes(space, "Failed") == FAILING and len(_volumes(space, "Succeeded")) == 57,
        "each VolumeTask says what became of it",
    )
    assert found["metadata"]["labels"]["somebody"], "what is not ours stays"


def test_patches_of_a_finished_job(kube: Kube, space: Space, workers: Workers) -> None:
    workers.behaviour = WORK
    live = space.submit(job("after", space.bucket, numbered(5), maxFailed=1))
    live.wait_complete()

    for status in ({"phase": "Running"}, {"phase": "Failed"}, None):
        kube.patch(f"{live.path}/status", {"status": status})
        found = live.wait(
            lambda found: is_true(found, "Complete") and phase(found) == "Complete",
            f"Complete again after {status}",
        )
        assert counts(found) == {"total": 5, "succeeded": 4, "failed": 1}
    workers.runs.check_each_ran_once(5)


def test_tasks_and_ledgers_that_are_deleted(kube: Kube, space: Space, workers: Workers) -> None:
    """Somebody tidies up: a VolumeTask with its running pod, and the ledger."""
    workers.behaviour = hang
    live = space.submit(job("tidied", space.bucket, numbered(8), parallelism=4))
    first, *_ = workers.running(4)

    kube.delete(bec(space.namespace, "volumetasks", first.pod.name.rpartition("-")[0]))
    until(lambda: first.deleted, "the pod goes with its task", timeout=60)
    kube.delete(f"/api/v1/namespaces/{space.namespace}/configmaps/{ledger_name('tidied')}")
    workers.release()
    found = live.wait_complete(timeout=60)

    assert found["status"]["counts"]["succeeded"] == 8
    assert space.ledger("tidied") is not None
    assert not workers.runs.overlaps
    ran = {place: len(runs) for place, runs in workers.runs.of_volumes().items()}
    assert ran.pop(first.pod.task.output_uri) == 2
    assert set(ran.values()) == {1}


def _volumes(space: Space, phase: str) -> set[str]:
    tasks = space.tasks(fieldSelector=f"status.phase={phase}")
    return {task["spec"]["volume"]["iId"] for task in tasks}
