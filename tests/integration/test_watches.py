"""Watches that break, lie still or are too old: what happened meanwhile is seen all the same."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.conftest import MakeOperator
from tests.support.api_faults import ApiFaults
from tests.support.behaviours import (
    fail,
    for_volumes,
    hang,
    in_turn,
    mark_and_vanish,
    succeed,
    succeed_and_vanish,
    vanish,
)
from tests.support.jobs import counts, job, numbered
from tests.support.operator_process import Operator
from tests.support.space import Space
from tests.support.waiting import throughout, until
from tests.support.workers import Workers

SEEN_WITHIN = 90.0  # seconds
KINDS = ("jobs", "volumetasks", "pods")


@pytest.fixture(scope="module")
def proxy(rights: Path) -> Iterator[ApiFaults]:
    with ApiFaults(rights) as proxy:
        yield proxy


@pytest.fixture
def api(proxy: ApiFaults) -> Iterator[ApiFaults]:
    """The proxy, which is well before and after each test."""
    yield proxy
    proxy.heal()


@pytest.fixture(scope="module", autouse=True)
def operator(
    proxy: ApiFaults, make_operator: MakeOperator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Operator]:
    """An operator that reaches the API server through the proxy."""
    kubeconfig: Path = proxy.kubeconfig(tmp_path_factory.mktemp("api"))
    with make_operator(kubeconfig) as operator:
        yield operator


def test_an_outage_of_the_api_server(
    space: Space, workers: Workers, api: ApiFaults, operator: Operator
) -> None:
    """It answers 503; meanwhile pods end and go; then the watches for pods are too old."""
    workers.behaviour = hang
    live = space.submit(job("outage", space.bucket, numbered(12), parallelism=4))
    first, second, third, fourth = workers.running(4)
    live.wait_counts(running=4)

    api.refuse()
    workers.behaviour = succeed
    workers.play(first, succeed)
    workers.play(second, fail(1))
    workers.play(third, mark_and_vanish)
    workers.play(fourth, vanish)
    workers.ended(4)
    asked = api.requests["WATCH", "pods"]
    until(lambda: api.requests["WATCH", "pods"] > asked, "the watch is tried again")
    api.expire("pods")
    api.heal()

    assert counts(live.wait_complete(timeout=60)) == {"total": 12, "succeeded": 12}
    workers.runs.check_one_pod_per_attempt()
    tried = {places[0].pod.task.i_id: len(places) for places in workers.runs.of_volumes().values()}
    assert tried == {f"I{number}": 1 for number in range(12)} | {
        second.pod.task.i_id: 2,
        fourth.pod.task.i_id: 2,
    }
    assert operator.health() == 200


def test_connections_that_break_all_the_time(
    space: Space, workers: Workers, api: ApiFaults, operator: Operator
) -> None:
    workers.behaviour = in_turn(fail(1), succeed)
    live = space.submit(job("broken", space.bucket, numbered(30), parallelism=6))
    for number in range(1, 11):
        workers.ended(3 * number)
        api.drop()

    assert counts(live.wait_complete(timeout=60)) == {"total": 30, "succeeded": 30}
    workers.runs.check_one_pod_per_attempt()
    assert len(workers.runs.all()) == 60
    assert operator.health() == 200


@pytest.mark.parametrize("kind", ["pods", "volumetasks"])
def test_answers_that_get_lost(space: Space, workers: Workers, api: ApiFaults, kind: str) -> None:
    """What was asked for has happened, but nobody told; half of the pods are gone again at once."""
    workers.behaviour = for_volumes(
        {f"I{number}" for number in range(0, 12, 2)}, succeed_and_vanish
    )
    api.lose("POST", kind)
    live = space.submit(job("lost", space.bucket, numbered(12), parallelism=4))
    workers.ended(4)
    api.heal()

    assert counts(live.wait_complete()) == {"total": 12, "succeeded": 12}
    workers.runs.check_each_ran_once(12)


def test_a_job_that_goes_unseen(
    space: Space, workers: Workers, api: ApiFaults, operator: Operator
) -> None:
    """Its deletion is never told; nothing is made for it any more all the same."""
    workers.behaviour = hang
    live = space.submit(job("unseen", space.bucket, numbered(9), parallelism=3))
    workers.running(3)
    live.wait_counts(running=3)

    api.refuse()
    live.delete()
    until(lambda: not space.tasks() and not space.pods(), "all of it is gone", timeout=60)
    api.expire(*KINDS)
    api.heal()
    other = space.submit(job("other", space.bucket, numbered(2, work="W2")))
    workers.behaviour = succeed

    other.wait_complete(timeout=60)
    # Until it has looked at all Jobs again, it makes tasks, which the garbage collector deletes.
    until(lambda: 'job="unseen"' not in operator.metrics(), "it knows that it is gone", timeout=30)
    until(lambda: len(space.tasks()) == 2, "only the other's tasks are left", timeout=30)
    throughout(5, lambda: len(space.tasks()) == 2, "nothing more is made")


def test_watches_that_lie_still(
    space: Space, workers: Workers, api: ApiFaults, operator: Operator
) -> None:
    """kopf#955, airflow#21087, #44127: they tell nothing, and the next ones are too old."""
    workers.behaviour = hang
    live = space.submit(job("still", space.bucket, numbered(3)))
    workers.running(3)
    live.wait_counts(running=3)

    api.silence(*KINDS)
    api.expire("pods")
    deadline = time.monotonic() + SEEN_WITHIN
    workers.release()
    fresh = space.submit(job("fresh", space.bucket, numbered(2, work="W2")))

    for waited in (live, fresh):
        waited.wait_complete(timeout=deadline - time.monotonic())
    workers.runs.check_each_ran_once(5)
    assert operator.health() == 200
