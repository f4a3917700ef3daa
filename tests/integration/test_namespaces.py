"""Namespaces: one that goes, and operators that serve only some."""

from pathlib import Path

from mypy_boto3_s3 import S3Client

from bec_operator.act.ground.api_server import core
from tests.cluster import Cluster
from tests.integration.conftest import MakeOperator
from tests.support.behaviours import hang
from tests.support.jobs import counts, job, numbered
from tests.support.kube import Kube
from tests.support.rights import operator_rights
from tests.support.space import new_space
from tests.support.waiting import until
from tests.support.workers import Workers


def test_a_namespace_goes_without_the_operator(
    cluster: Cluster, kube: Kube, client: S3Client, node: str, make_operator: MakeOperator
) -> None:
    """ray#21684, keda#7950: there are no finalizers."""
    with (
        new_space(cluster, kube, client) as space,
        Workers(kube, client, space.namespace, node) as workers,
    ):
        workers.behaviour = hang
        operator = make_operator(namespaces=space.namespace)
        operator.start()
        live = space.submit(job("left", space.bucket, numbered(20), parallelism=8))
        workers.running(8)
        live.wait_counts(running=8)
        operator.kill()

        path = core(None, "namespaces", space.namespace)
        kube.delete(path)

        until(lambda: kube.find(path) is None, "the namespace is gone", timeout=60)


def test_an_operator_of_some_namespaces(
    cluster: Cluster,
    kube: Kube,
    client: S3Client,
    node: str,
    make_operator: MakeOperator,
    tmp_path: Path,
) -> None:
    """It has rights in these, and asks for no others."""
    with (
        new_space(cluster, kube, client) as one,
        new_space(cluster, kube, client) as two,
        new_space(cluster, kube, client) as foreign,
        Workers(kube, client, one.namespace, node),
        Workers(kube, client, two.namespace, node),
        make_operator(
            operator_rights(cluster, tmp_path, (one.namespace, two.namespace)),
            namespaces=f"{one.namespace}, {two.namespace}",
        ),
    ):
        ignored = foreign.submit(job("mine", foreign.bucket, numbered(2)))
        served = [space.submit(job("mine", space.bucket, numbered(2))) for space in (one, two)]

        for live in served:
            assert counts(live.wait_complete()) == {"total": 2, "succeeded": 2}

        assert "status" not in ignored.read()
        assert not foreign.tasks()
        assert not foreign.pods()
