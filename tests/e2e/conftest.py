"""One cluster of one real node with the operator installed by its chart, and a namespace a test."""

import logging
from collections.abc import Iterator

import pytest

from bec_ops.store import Store
from examples import deploy
from tests.cluster import Cluster, Parts
from tests.cluster.images import archive, image_ref
from tests.e2e.site import Site
from tests.support.kube import Kube

log = logging.getLogger(__name__)

BUCKET = "bec-e2e"


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with Cluster.start("e2e", Parts.NODE) as running:
        deploy.load_images(running, log.info)
        running.load_image(archive("worker"), image_ref("worker"))
        deploy.install_operator(running)
        yield running


@pytest.fixture(scope="session")
def store(cluster: Cluster) -> Store:
    return deploy.open_store(cluster, BUCKET)


@pytest.fixture
def site(cluster: Cluster, store: Store, request: pytest.FixtureRequest) -> Iterator[Site]:
    """A namespace of the test's own, and what a test does in it."""
    name = request.node.name.removeprefix("test_").replace("_", "-")[:50].strip("-")
    deploy.add_namespace(cluster, name)
    yield Site(cluster, Kube(cluster.kubeconfig), store, BUCKET, name)
    cluster.kubectl("delete", "namespace", name, "--ignore-not-found", "--wait=false")
