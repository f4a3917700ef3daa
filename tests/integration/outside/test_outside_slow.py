"""What is on its way to a worker from elsewhere while the API server takes its time."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import Cluster
from tests.integration.conftest import MakeOperator
from tests.integration.outside.conftest import Gate
from tests.support.api_faults import ApiFaults
from tests.support.jobs import job, numbered
from tests.support.kube import Kube
from tests.support.outsiders import certificate
from tests.support.ports import free_ports
from tests.support.rights import home_of, operator_rights
from tests.support.space import Space

ONLY = {"allowed": True, "only": True, "marker": "OnDone"}


@pytest.fixture(scope="module")
def proxy(cluster: Cluster, home: Path) -> Iterator[ApiFaults]:
    with ApiFaults(operator_rights(cluster, home, outside=True)) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def gate(proxy: ApiFaults, make_operator: MakeOperator, kube: Kube, home: Path) -> Iterator[Gate]:
    (port,) = free_ports(1)
    ca, here = certificate(home), home_of(home)
    settings = {"outside_port": port, "own_namespace": here, "outside_tls": home}
    with make_operator(proxy.kubeconfig(home), **settings) as operator:
        yield Gate(operator, kube, here, operator.outside_url, ca)


def test_what_is_on_its_way_is_waited_for(space: Space, gate: Gate, proxy: ApiFaults) -> None:
    """Who did not wait would never know of it, and it would be nobody else's for hours."""
    worker = gate.worker(gate.token(space))
    for name in ("one", "two"):
        space.submit(job(name, space.bucket, numbered(1, name), outside=ONLY)).wait_ready()
    proxy.slow_down("POST", "volumetasks", 3.0)
    given = worker.next(wait=0).body
    proxy.heal()
    assert given["task"] is not None
    held = worker.send("mine", {}).body["held"]
    assert [each["task"]["w_id"] for each in held] == [given["task"]["w_id"]], "and no other one"


def test_a_job_that_gives_nothing_holds_up_no_other(space: Space, gate: Gate) -> None:
    """Retries that are not due are work, and nobody gets any."""
    token = gate.token(space)
    patient = {"backoff": {"initial": "1h", "max": "1h"}}
    for name in ("late", "later"):
        spec = job(name, space.bucket, numbered(1, name), outside=ONLY, priority=9, retry=patient)
        space.submit(spec).wait_ready()
        worker = gate.worker(token)
        assert worker.next(jobs=[name]).body["task"]
        assert worker.report("failed", failure="Retryable").status == 200
    space.submit(job("free", space.bucket, numbered(1), outside=ONLY)).wait_ready()
    worker = gate.worker(token)
    found = [worker.next(wait=0).body for _ in range(3)]
    assert [given["job"].rpartition("/")[2] for given in found if given["task"]][:1] == ["free"]
