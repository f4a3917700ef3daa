"""One cluster of one real node with the operator installed by its chart, and a namespace a test."""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import yaml

from bec_ops.contract.s3.store import Store
from examples import deploy
from examples.demo import MANIFEST
from examples.ocr.make_pages import upload
from tests.cluster import Cluster, Parts
from tests.e2e.site import Site
from tests.support.kube import Kube

log = logging.getLogger(__name__)

BUCKET = "bec-e2e"
HEARTBEAT_SECONDS = 1


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with Cluster.start(f"e2e-{os.getpid()}", Parts.NODE) as running:
        deploy.load_images(running, ("operator", "worker", "ocr", "lines", "checksums"), log.info)
        deploy.install_operator(running, f"--set=worker.heartbeatSeconds={HEARTBEAT_SECONDS}")
        yield running


@pytest.fixture(scope="session")
def store(cluster: Cluster) -> Store:
    return deploy.open_store(cluster, BUCKET)


@pytest.fixture(scope="session")
def demo_store(cluster: Cluster) -> Store:
    """The bucket and namespace of the examples, and the page images that they all read."""
    example = yaml.safe_load(MANIFEST.read_text())
    bucket = example["spec"]["output"]["bucket"]
    deploy.add_namespace(cluster, example["metadata"]["namespace"])
    store = deploy.open_store(cluster, bucket)
    upload(store, bucket)
    return store


@pytest.fixture
def site(cluster: Cluster, store: Store, request: pytest.FixtureRequest) -> Iterator[Site]:
    """A namespace of the test's own, and what a test does in it."""
    with _site(cluster, store, request.node.name) as made:
        yield made


@pytest.fixture(scope="module")
def shared_site(cluster: Cluster, store: Store, request: pytest.FixtureRequest) -> Iterator[Site]:
    """A namespace that the tests of a module share."""
    with _site(cluster, store, request.node.path.stem) as made:
        yield made


@contextmanager
def _site(cluster: Cluster, store: Store, test: str) -> Iterator[Site]:
    name = re.sub(r"[^a-z0-9]+", "-", test.removeprefix("test_").lower())[:50].strip("-")
    deploy.add_namespace(cluster, name)
    yield Site(cluster, Kube(cluster.kubeconfig), store, BUCKET, name)
    cluster.kubectl("delete", "namespace", name, "--ignore-not-found", "--wait=false")
