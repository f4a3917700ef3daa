"""What the operator does when there is nothing to do, or no longer."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.conftest import MakeOperator
from tests.support.api_faults import ApiFaults
from tests.support.behaviours import hang
from tests.support.jobs import job, manifest, numbered
from tests.support.space import Space
from tests.support.waiting import throughout, until
from tests.support.workers import Workers

IDLE = 30.0  # seconds


@pytest.fixture(scope="module")
def api(
    rights: Path, make_operator: MakeOperator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ApiFaults]:
    """What an operator asks of the API server."""
    with ApiFaults(rights) as api:
        kubeconfig: Path = api.kubeconfig(tmp_path_factory.mktemp("api"))
        with make_operator(kubeconfig):
            yield api


@pytest.mark.usefixtures("api")
def test_a_job_that_is_deleted_in_mid_run(space: Space, workers: Workers) -> None:
    workers.behaviour = hang
    live = space.submit(job("short", space.bucket, numbered(20), parallelism=5))
    workers.running(5)

    live.delete()

    # Kubernetes looks for new kinds only every half a minute before it cleans up after them.
    until(lambda: not space.tasks(), "the VolumeTasks are gone", timeout=60)
    until(lambda: not space.pods(), "the pods are gone")
    until(lambda: space.ledger("short") is None, "the ledger is gone")
    throughout(3, lambda: len(workers.runs.all()) == 5, "nothing is started any more")
    assert not space.tasks()
    workers.runs.check_one_pod_per_attempt()


def test_with_nothing_to_do_nothing_is_written(
    space: Space, workers: Workers, api: ApiFaults
) -> None:
    """One job has ended, one is stalled, and the workers of a third are at work."""
    ended = space.submit(job("ended", space.bucket, numbered(5)))
    ended.wait_complete()
    stalled = space.submit(job("stalled", space.bucket, manifest(space.bucket, "none.csv")))
    stalled.wait_stalled("ManifestNotFound")
    workers.behaviour = hang
    busy = space.submit(job("busy", space.bucket, numbered(3, work="W2")))
    busy.wait_counts(running=3)
    until(
        lambda: len(space.tasks(fieldSelector="status.phase=Running")) == 3,
        "the tasks are recorded as running",
    )

    before = api.writes()
    throughout(IDLE, lambda: api.writes() == before, "nothing is written")
    assert api.requests["WATCH", "pods"] > 0, "the operator is watched through the proxy"
