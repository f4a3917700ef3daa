"""What all integration tests share: one API server and S3, and a namespace and bucket for each."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from mypy_boto3_s3 import S3Client

from bec_ops.contract.s3.store import Store
from tests import stores
from tests.cluster import S3, Cluster, Parts
from tests.stores import choosing
from tests.support.kube import Kube
from tests.support.node import PlayedNode
from tests.support.operator_process import Operator
from tests.support.rights import operator_rights
from tests.support.space import Space, new_space, remove_bucket, s3_client
from tests.support.waiting import until
from tests.support.worker_runs import end_started
from tests.support.workers import Workers

_CRDS = Path(__file__).parents[2] / "crds"
_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def pytest_configure(config: pytest.Config) -> None:
    choosing.tally(config)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    choosing.choose(config, items)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with Cluster.start(f"integration-{os.getpid()}", Parts.API) as cluster:
        cluster.kubectl("apply", "-f", str(_CRDS))
        kube = Kube(cluster.kubeconfig)
        until(lambda: _are_established(kube), "the CRDs are established", timeout=60)
        yield cluster


def _are_established(kube: Kube) -> bool:
    """Whether the API server serves the CRDs; kubectl wait fails where they have no status yet."""
    told = [crd.get("status", {}).get("conditions") or [] for crd in kube.items(_DEFINITIONS)]
    return bool(told) and all(
        any((c["type"], c["status"]) == ("Established", "True") for c in conditions)
        for conditions in told
    )


@pytest.fixture(scope="session")
def s3(request: pytest.FixtureRequest) -> Iterator[S3]:
    """The cluster's S3, or another server if the environment names one."""
    server = stores.chosen()
    if server.spec is None:
        cluster: Cluster = request.getfixturevalue("cluster")
        yield cluster.s3
        return
    with stores.running(server) as s3:
        yield s3


@pytest.fixture(scope="session")
def client(s3: S3) -> S3Client:
    return s3_client(s3)


@pytest.fixture(scope="session")
def kube(cluster: Cluster) -> Kube:
    return Kube(cluster.kubeconfig)


@pytest.fixture(scope="session")
def node(kube: Kube) -> Iterator[str]:
    with PlayedNode(kube, "played") as node:
        yield node.name


@pytest.fixture
def space(cluster: Cluster, kube: Kube, client: S3Client) -> Iterator[Space]:
    with new_space(cluster, kube, client) as space:
        yield space


@pytest.fixture
def bucket(client: S3Client) -> Iterator[str]:
    """A bucket alone, for what needs no namespace."""
    name = f"bucket-{uuid4().hex[:12]}"
    client.create_bucket(Bucket=name)
    yield name
    remove_bucket(client, name)


@pytest.fixture
def store(s3: S3, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The client that operator and workers use, set up as theirs is."""
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    return Store()


@pytest.fixture
def workers(kube: Kube, client: S3Client, space: Space, node: str) -> Iterator[Workers]:
    with Workers(kube, client, space.namespace, node) as workers:
        yield workers


@pytest.fixture(scope="session")
def rights(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The kubeconfig of an operator that may do what the chart lets it do, everywhere."""
    return operator_rights(cluster, tmp_path_factory.mktemp("rights"))


MakeOperator = Callable[..., Operator]


@pytest.fixture(scope="session")
def make_operator(rights: Path, s3: S3, tmp_path_factory: pytest.TempPathFactory) -> MakeOperator:
    """Make an operator, not yet started; keywords are its settings, or another API server or S3."""

    def make(kubeconfig: Path = rights, s3: S3 = s3, **settings: object) -> Operator:
        log = tmp_path_factory.mktemp("operator") / "log"
        return Operator(kubeconfig, s3, log, **settings)

    return make


@pytest.fixture(scope="module")
def operator(make_operator: MakeOperator) -> Iterator[Operator]:
    """One operator for all tests of a module that do not harm it."""
    with make_operator() as operator:
        yield operator


@pytest.fixture(autouse=True)
def no_worker_is_left() -> Iterator[None]:
    """See that no worker outlives its test."""
    yield
    end_started()
