"""Workers of a pool that are refused by name of their ReplicaSet: the Job says so."""

import pytest

from bec_operator.act.ground.api_server import core
from tests.support.jobs import condition, is_true, job, numbered
from tests.support.kube import Body, KubeError
from tests.support.space import Space
from tests.support.waiting import until
from tests.support.warm_pool import WarmPool

pytestmark = pytest.mark.usefixtures("operator")

POOL = {"maxWorkers": 2}


def workers_of(space: Space) -> list[Body]:
    """Return the workers that there are."""
    return WarmPool(space.kube, space.namespace).pods()


def test_a_full_quota_is_told_of_and_is_no_stall(space: Space) -> None:
    quotas = core(space.namespace, "resourcequotas")
    full = {"metadata": {"name": "full"}, "spec": {"hard": {"count/pods": "0"}}}
    space.kube.create(quotas, full)
    live = space.submit(job("quota", space.bucket, numbered(3), pool=POOL))
    found = live.wait(
        lambda found: condition(found, "Ready")["reason"] == "QuotaExceeded", "it is told"
    )
    assert found["status"]["phase"] == "Running"
    assert is_true(found, "Ready")
    assert "exceeded quota: full" in condition(found, "Ready")["message"]
    space.kube.delete(f"{quotas}/full")
    until(lambda: len(workers_of(space)) == 2, "the workers are made", 60)
    live.wait(lambda found: condition(found, "Ready")["reason"] == "Running", "Running")


def test_a_namespace_that_comes_to_forbid_them_stalls_the_job(space: Space) -> None:
    """After the template was checked; it heals once they are let in."""
    volumes = [{"name": "host", "hostPath": {"path": "/"}}]
    spec = {"containers": [{"name": "worker", "image": "worker:1"}], "volumes": volumes}
    worker = {"template": {"spec": spec}}
    live = space.submit(job("bold", space.bucket, numbered(3), pool=POOL, worker=worker))
    until(lambda: len(workers_of(space)) == 2, "the workers are made", 30)
    _enforce(space, "restricted")
    until(lambda: _is_refused(space, spec), "the API server has heard of it")
    lost = workers_of(space)[0]["metadata"]["name"]
    space.kube.delete(core(space.namespace, "pods", lost), grace=0)
    assert "PodSecurity" in live.wait_stalled("TemplateRejected")
    assert len(workers_of(space)) == 1
    _enforce(space, None)
    until(lambda: len(workers_of(space)) == 2, "the lost one is made again", 60)
    live.wait_ready()


def _enforce(space: Space, level: str | None) -> None:
    labels = {"pod-security.kubernetes.io/enforce": level}
    space.kube.patch(core(None, "namespaces", space.namespace), {"metadata": {"labels": labels}})


def _is_refused(space: Space, spec: Body) -> bool:
    pod = {"metadata": {"name": "trial"}, "spec": spec}
    try:
        space.kube.request("POST", core(space.namespace, "pods"), pod, query={"dryRun": "All"})
    except KubeError as error:
        return error.code == 403
    return False
