"""The operator may die at any instant, and may run twice: nothing is lost, nothing done twice."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.conftest import MakeOperator
from tests.support.api_faults import ApiFaults
from tests.support.behaviours import (
    Behaviour,
    fail,
    for_volumes,
    hang,
    in_turn,
    mark_and_vanish,
    succeed,
    vanish,
)
from tests.support.jobs import counts, job, numbered
from tests.support.operator_process import Operator
from tests.support.space import Space
from tests.support.waiting import until
from tests.support.workers import Workers

LIVES = 8
MIXED: Behaviour = for_volumes(
    {f"I{number}" for number in range(0, 60, 12)},
    fail(65, "torn"),
    for_volumes(
        {f"I{number}" for number in range(5, 60, 12)},
        in_turn(fail(1), succeed),
    ),
)


@pytest.fixture
def proxy(rights: Path) -> Iterator[ApiFaults]:
    with ApiFaults(rights) as proxy:
        yield proxy


@pytest.fixture
def mortal(proxy: ApiFaults, make_operator: MakeOperator, tmp_path: Path) -> Iterator[Operator]:
    """An operator that reaches the API server through the proxy; the test starts and ends it."""
    operator = make_operator(proxy.kubeconfig(tmp_path))
    yield operator
    operator.kill()
    operator.check_nothing_broke()


def test_killed_right_after_a_write(
    space: Space, workers: Workers, mortal: Operator, proxy: ApiFaults
) -> None:
    """It dies some times, each time when a random one of its writes has just happened."""
    moments = random.Random(1)
    workers.behaviour = MIXED
    history = {"succeeded": 5, "failed": 2}
    live = space.submit(
        job("mortal", space.bucket, numbered(60), parallelism=8, maxFailed=10, history=history)
    )
    for _ in range(LIVES):
        mortal.start()
        proxy.cut(after=moments.randint(1, 18))
        mortal.kill()
        proxy.heal()
    mortal.start()
    found = live.wait_complete(timeout=60)

    assert counts(found) == {"total": 60, "succeeded": 55, "failed": 5}
    workers.runs.check_one_pod_per_attempt()
    ran = [len(runs) for runs in workers.runs.of_volumes().values()]
    assert sorted(ran) == [1] * 55 + [2] * 5
    reported = {line["index"] for line in space.reported("mortal")}
    assert reported == set(range(0, 60, 12))
    until(lambda: len(space.tasks()) == 7, "what is not history goes")


def test_what_happens_while_nobody_looks(space: Space, workers: Workers, mortal: Operator) -> None:
    mortal.start()
    over = space.submit(job("over", space.bucket, numbered(2, work="W2")))
    before = over.wait_complete()
    workers.behaviour = hang
    live = space.submit(job("away", space.bucket, numbered(6), retry={"limit": 2}))
    runs = {run.pod.task.i_id: run for run in workers.running(6)}
    # What is recorded is known to the next one: without that the pod alone could tell.
    until(lambda: len(space.tasks(fieldSelector="status.phase=Running")) == 6, "recorded")
    mortal.kill()

    for volume, behaviour in {
        "I0": succeed,
        "I1": mark_and_vanish,
        "I2": fail(1),
        "I3": vanish,
        "I4": fail(65),
    }.items():
        workers.play(runs[volume], behaviour)
    workers.behaviour = succeed
    workers.ended(7)
    live.patch(maxFailed=1)
    for key in space.stored("artefacts/over/"):
        space.s3.delete_object(Bucket=space.bucket, Key=key)

    mortal.start()
    live.wait_counts(succeeded=4, failed=1, running=1)
    workers.play(runs["I5"], succeed)
    assert counts(live.wait_complete()) == {"total": 6, "succeeded": 5, "failed": 1}
    workers.runs.check_one_pod_per_attempt()
    tried = {
        place.split("-")[-2]: len(runs)
        for place, runs in workers.runs.of_volumes().items()
        if "/away/" in place
    }
    assert tried == {"I0": 1, "I1": 1, "I2": 2, "I3": 2, "I4": 1, "I5": 1}
    assert over.read()["status"] == before["status"], "what is complete stays so"


def test_two_operators_at_once(space: Space, workers: Workers, make_operator: MakeOperator) -> None:
    workers.behaviour = in_turn(fail(1), succeed)
    with make_operator() as one, make_operator() as other:
        live = space.submit(job("twice", space.bucket, numbered(60), parallelism=10))
        found = live.wait_complete(timeout=120)
        metrics = one.metrics() + other.metrics()

    assert counts(found) == {"total": 60, "succeeded": 60}
    workers.runs.check_one_pod_per_attempt()
    tried = {place: len(runs) for place, runs in workers.runs.of_volumes().items()}

    assert set(tried.values()) == {2}, [
        task["status"] for task in space.tasks() if tried[task["status"]["output"]] != 2
    ]
    # They did meet: each found what the other had made, and lost a race for the ledger.
    assert 'code="409",resource="pods"' in metrics
    assert 'code="409",resource="configmaps"' in metrics
